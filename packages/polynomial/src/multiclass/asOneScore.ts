// Joint training of two classes is the training of one score f = f_1 - f_0: both multi-class hinges are the hinge of the signed score, and
// neurons of positive weight belong to f_1, those of negative weight to -f_0. Where the joint trainer does not close its gap, the exact
// trainer solves this problem instead. A bias is a constant feature that the adversary cannot move.

import type { NumericBatch } from "@worstcase/core";
import { fitPolynomial } from "../fit.js";
import type { MoveOptions } from "../moveSet.js";
import type { PairwiseFit, PairwiseFitOptions } from "./fitPairwise.js";
import type { JointOutcome } from "./trainJoint.js";

export interface TwoClasses {
  readonly features: NumericBatch;
  /** 0 or 1, `[samples]` */
  readonly labels: Int32Array;
  readonly kappa: Float64Array;
  readonly bias: number;
  readonly beta: number;
  readonly radius: number;
  /** Seconds left. */
  readonly left: number;
}

type Outcome = Omit<JointOutcome, "status"> & Pick<PairwiseFit, "status">;

/** The better ends of the joint outcome and of the exact trainer's. */
export function asOneScore(joint: JointOutcome, problem: TwoClasses, options: PairwiseFitOptions): Outcome {
  const { features, labels, kappa, bias, beta, radius, left } = problem;
  const { tolerance = 1e-2, activation, kernels, signal } = options;
  if (!(left > 0)) return joint;
  const d = features.shape[1] as number;
  const fit = fitPolynomial(
    bias === 0 ? features : withConstant(features, bias),
    Float64Array.from(labels, (label) => (label === 1 ? 1 : -1)),
    {
      ...{ radius, beta, tolerance, loss: "sum-hinge", sampleWeights: kappa, method: "exact" },
      ...(activation && { activation }),
      ...(kernels && { kernels }),
      ...(signal && { signal }),
      ...(left < Number.POSITIVE_INFINITY && { timeLimitSeconds: left }),
      ...movesWithBias(options, d, bias),
    },
  );
  const lower = Math.max(joint.lower, fit.lowerBound);
  const { directions, weights } = fit.neurons;
  const status = fit.status === "infeasible" ? "stalled" : fit.status;
  const rounds = joint.rounds + fit.iterations;
  if (!(fit.objective.total <= joint.upper)) return { ...joint, status, lower, rounds };
  const width = bias === 0 ? d : d + 1;
  const vectors = directions.map((value, at) => value * Math.sqrt(Math.abs(weights[Math.floor(at / width)])));
  // f_1 has the neurons of positive weight, f_0 those of negative weight with their signs turned.
  const blocks = Int32Array.from(weights, (weight) => (weight > 0 ? 1 : 0));
  const network = { vectors, signs: weights.map(() => 1), blocks, count: weights.length };
  return { ...joint, status, network, upper: fit.objective.total, lower, rounds };
}

/** Points with one more feature, the same for all. */
function withConstant({ data, shape }: NumericBatch, bias: number): NumericBatch {
  const [samples, d] = shape as [number, number];
  const wider = new Float64Array(samples * (d + 1)).fill(bias);
  for (let i = 0; i < samples; i++) wider.set(data.subarray(i * d, (i + 1) * d), i * (d + 1));
  return { data: wider, shape: [samples, d + 1] };
}

/** The moves of d features, and none of the bias. */
function movesWithBias({ immutable = [], ellipsoid }: MoveOptions, d: number, bias: number): MoveOptions {
  if (bias === 0) return { immutable, ...(ellipsoid && { ellipsoid }) };
  const fixed = [...Array.from(immutable), d];
  if (!ellipsoid) return { immutable: fixed };
  const wider = new Float64Array((d + 1) ** 2);
  for (let k = 0; k < d; k++) wider.set(ellipsoid.subarray(k * d, (k + 1) * d), k * (d + 1));
  wider[wider.length - 1] = 1;
  return { immutable: fixed, ellipsoid: wider };
}
