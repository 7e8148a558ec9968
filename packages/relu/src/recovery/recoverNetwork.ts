// A plain two-layer ReLU network from a gated model: every piece is split into the difference of two neurons (coneDecomposition.ts), which
// by math.md 13.1 carry u = v / sqrt(||v||) with output weight +sqrt(||v||) for v and the same with a minus sign for w.
// Where both parts lie in the robust cone of radius r, network and gated model (gates fixed at the sample) agree on the whole ball of that
// radius around every training sample: max(0, u'x) = d_pi u'x there.
// features: [n, d]   model pieces: [P, C, d (+1)]

import { type NumericBatch, type ProgressEvent, SettingError, sampleCount, type WorkOptions } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { checkBall, type PerturbationNorm } from "../ballSupport.js";
import { checkFeatures, checkModel, checkOptions } from "../checks.js";
import type { GatedReluModel } from "../gatedModel.js";
import { distinctRows, findOpenCones, openConesSize } from "../network/openCones.js";
import { networkOfPieces, type ReluNetwork } from "../network/reluNetwork.js";
import { Pauses } from "../pauses.js";
import { createProgram, type ReluProgram } from "../program/program.js";
import { type ConeData, decomposeApproximately, decomposeExactly } from "./coneDecomposition.js";

export interface RecoverNetworkOptions extends WorkOptions<ProgressEvent> {
  /** Ball on which gates must not change (default radius 0: at the samples only). */
  readonly norm?: PerturbationNorm;
  readonly radius?: number;
  /** Weight of the squared shortfalls where a piece has no exact split, or for all pieces when `exact` is false (default 1e4). */
  readonly penalty?: number;
  /** Split exactly where that is possible (default true). */
  readonly exact?: boolean;
}

export interface RecoveredNetwork {
  /** `exact`: every part lies in its cone. `approximate`: some miss theirs by at most `largestShortfall`. */
  readonly status: "exact" | "approximate";
  readonly network: ReluNetwork;
  /** (sum ||v|| + ||w||) / sum ||t||: what the split costs in the regulariser; 1 when nothing had to be split, 0 for the zero model. */
  readonly normGrowth: number;
  /** max of r ||u||_{q*} - s_i x_i'u over samples and parts, at least 0: a neuron misjudges its score by no more than this on the balls. */
  readonly largestShortfall: number;
  /** Pieces (gate times class) that could only be split approximately. */
  readonly approximatePieces: number;
}

/**
 * The network of a gated model on its training features. Its scores equal those of the model with gates fixed at the samples, exactly or up
 * to the shortfalls. Throws ShapeError, DataError or SettingError, and AbortedError.
 */
export async function recoverNetwork(
  model: GatedReluModel,
  features: NumericBatch,
  options: RecoverNetworkOptions = {},
): Promise<RecoveredNetwork> {
  checkModel(model, ["gated-relu"]);
  checkOptions(options);
  const { norm = "l2", radius = 0, penalty = 1e4, exact = true, signal } = options;
  checkBall(norm, radius, "options.");
  checkFeatures(features, model.featureCount);
  if (!(penalty > 0) || !Number.isFinite(penalty)) {
    throw new SettingError({ argument: "options.penalty", expected: "a finite number > 0", received: penalty });
  }
  const { gates, classCount, bias, weights, featureCount } = model;
  const samples = sampleCount(features);
  const width = featureCount + (bias ? 1 : 0);
  // only the cones of this program are used
  const targets = { data: new Float64Array(samples), shape: [samples, 1] };
  const common = { gates, radius, norm, bias, beta: 1, loss: "squared" } as const;
  const program = createProgram(features, { kind: "regression", targets }, common);
  const interiors = exact ? await interiorDirections(program, signal) : new Map<number, Float64Array>();
  const { bits, inputs } = program;
  const half = gates.count * classCount * width;
  const pieces = new Float64Array(2 * half);
  let before = 0;
  let after = 0;
  let largestShortfall = 0;
  let approximatePieces = 0;
  const pause = new Pauses("recoverNetwork", gates.count * classCount, options);
  for (let p = 0; p < gates.count; p++) {
    const signs = Int8Array.from({ length: samples }, (_, i) => (bits[i * gates.count + p] === 1 ? 1 : -1));
    const cone: ConeData = { inputs, signs, width, featureCount, norm, radius };
    for (let c = 0; c < classCount; c++) {
      await pause.at(p * classCount + c);
      const from = (p * classCount + c) * width;
      const t = weights.slice(from, from + width);
      if (t.every((value) => value === 0)) continue;
      const parts =
        (exact ? decomposeExactly(cone, t, interiors.get(p) ?? null) : null) ??
        decomposeApproximately(cone, t, penalty);
      pieces.set(parts.v, from);
      pieces.set(parts.w, half + from);
      before += Math.hypot(...t);
      after += Math.hypot(...parts.v) + Math.hypot(...parts.w);
      largestShortfall = Math.max(largestShortfall, parts.shortfall);
      if (parts.status === "approximate") approximatePieces++;
    }
  }
  return {
    status: approximatePieces === 0 ? "exact" : "approximate",
    network: networkOfPieces(pieces, { featureCount, classCount, bias }),
    normGrowth: before > 0 ? after / before : 0,
    largestShortfall,
    approximatePieces,
  };
}

// Strictly interior directions of the robust cones that have an interior, by gate.
async function interiorDirections(
  program: ReluProgram,
  signal: AbortSignal | undefined,
): Promise<Map<number, Float64Array>> {
  const workspace = chooseKernels().workspace(openConesSize(program));
  const { open, directions } = await findOpenCones(program, distinctRows(program), workspace, signal);
  const { width } = program;
  return new Map(Array.from(open, (p, at) => [p, directions.slice(at * width, (at + 1) * width)]));
}
