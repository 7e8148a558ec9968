// The worst margin of every sample over a perturbation ball, exactly or between bounds (math.md 13.5): branching.ts on each sample.
// features: [n, d]   labels: [n]   lower, upper: [n]   points: [n, d]

import {
  checkLabels,
  type NumericBatch,
  type ProgressEvent,
  SettingError,
  sampleCount,
  type WorkOptions,
} from "@worstcase/core";
import { checkBall, type PerturbationNorm } from "../ballSupport.js";
import { checkFeatures, checkModel, checkOptions, checkTwoClasses } from "../checks.js";
import { type GatedReluModel, gatedScores } from "../gatedModel.js";
import { networkScores, type ReluNetwork } from "../network/reluNetwork.js";
import { Pauses } from "../pauses.js";
import { branchAndBound } from "./branching.js";
import { LocalPieces, marginAt, marginScale, type Reading } from "./localPieces.js";

export interface WorstMarginOptions extends WorkOptions<ProgressEvent> {
  /** Norm of the perturbation: l1, l2, linf or any number q >= 1. */
  readonly norm: PerturbationNorm;
  /** Radius in FEATURE space. */
  readonly radius: number;
  /** `exact` means upper - lower at most this, relative to the sizes in the margin (default 1e-6). */
  readonly tolerance?: number;
  /** Convex problems solved per sample before giving up on exactness (default 2000). */
  readonly maximumNodes?: number;
}

export interface WorstMargins {
  /** What the numbers speak of: the gated model with its stored gates, or the ReLU network. */
  readonly reading: Reading;
  /** `exact`: the bounds meet. `bounded`: they are what the node limit allowed. */
  readonly status: readonly ("exact" | "bounded")[];
  /** Certified: the margin is nowhere on the ball smaller, `[n]`. */
  readonly lower: Float64Array;
  /** Margin of the model at `points`, `[n]`: an attack. */
  readonly upper: Float64Array;
  /** Perturbed samples `[n, d]`, in the ball. */
  readonly points: NumericBatch;
  /** Convex problems solved for each sample, `[n]`. */
  readonly nodes: Int32Array;
}

/**
 * Worst value of f_label - max of the other scores over {||z||_q <= radius} for each sample, with gates that move with the input. Where a
 * gated model jumps, the worst margin is the infimum, which `upper` approaches. Throws ShapeError, DataError or SettingError, and AbortedError.
 */
export async function worstMargins(
  subject: GatedReluModel | ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  options: WorstMarginOptions,
): Promise<WorstMargins> {
  checkOptions(options);
  const { radius } = options;
  const { norm, tolerance, maximumNodes } = checkCertificate(subject, features, labels, options);
  const samples = sampleCount(features);
  const lower = new Float64Array(samples);
  const nodes = new Int32Array(samples);
  const moved = Float64Array.from(features.data);
  const limits = new Float64Array(samples);
  const empty = subject.kind === "relu-network" && subject.neurons === 0;
  const local = empty ? null : new LocalPieces(subject, features, norm);
  const pause = new Pauses("worstMargins", samples, options);
  for (let i = 0; i < samples; i++) {
    await pause.at(i);
    if (!local) continue;
    const pairs = local.around(i, labels[i], radius);
    const zero = new Float64Array(subject.featureCount);
    limits[i] = tolerance * marginScale(pairs, norm, radius);
    if (radius === 0) {
      lower[i] = Math.min(...pairs.map((pair) => marginAt(pair, zero)));
      continue;
    }
    const search = { tolerance: limits[i] / 2, maximumNodes, signOnly: false };
    const outcome = branchAndBound(pairs, subject.featureCount, norm, radius, search);
    lower[i] = outcome.lower;
    nodes[i] = outcome.nodes;
    for (let k = 0; k < zero.length; k++) moved[i * zero.length + k] += outcome.point[k];
  }
  const points = { data: moved, shape: [...features.shape] };
  const upper = margins(subject, points, labels);
  for (let i = 0; i < samples; i++) lower[i] = Math.min(lower[i], upper[i]);
  const status = Array.from(upper, (value, i): "exact" | "bounded" =>
    value - lower[i] <= limits[i] ? "exact" : "bounded",
  );
  return {
    reading: subject.kind === "gated-relu" ? "gated-as-trained" : "true-relu",
    status,
    lower,
    upper,
    points,
    nodes,
  };
}

/** f_label - max of the other scores, `[n]`. */
export function margins(
  subject: GatedReluModel | ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
): Float64Array {
  const { data } = subject.kind === "gated-relu" ? gatedScores(subject, features) : networkScores(subject, features);
  const { classCount } = subject;
  return Float64Array.from(labels, (label, i) => {
    let best = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classCount; c++) if (c !== label) best = Math.max(best, data[i * classCount + c]);
    return data[i * classCount + label] - best;
  });
}

export function checkCertificate(
  subject: GatedReluModel | ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  { norm, radius, tolerance = 1e-6, maximumNodes = 2000 }: WorstMarginOptions,
): { norm: PerturbationNorm; tolerance: number; maximumNodes: number } {
  checkModel(subject);
  checkBall(norm, radius, "options.");
  checkFeatures(features, subject.featureCount);
  checkTwoClasses(subject.classCount);
  checkLabels(labels, sampleCount(features), subject.classCount);
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new SettingError({ argument: "options.tolerance", expected: "a number in (0, 1)", received: tolerance });
  }
  if (!Number.isSafeInteger(maximumNodes) || maximumNodes < 0) {
    throw new SettingError({ argument: "options.maximumNodes", expected: "an integer >= 0", received: maximumNodes });
  }
  const named = norm === 1 ? "l1" : norm === 2 ? "l2" : norm === Number.POSITIVE_INFINITY ? "linf" : norm;
  return { norm: named, tolerance, maximumNodes };
}
