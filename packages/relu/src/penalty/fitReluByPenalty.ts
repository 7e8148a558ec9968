// The penalty trainer of the paper (arXiv 2405.14033; math.md 14.2) as a baseline: Adam on minibatches, cones as penalties, no certificate.
//   minimise over v, w   mean_{i in batch} [ l_i(v - w) + rho sum_g max(0, radius ||theta_g||_{q*} - s_pi x_i'theta_g) ] + beta R(v, w)
// over the 2 P outputs groups g. The normalisation is this one: both the loss and the penalty are means over the batch (the reference code
// divides by the batch size twice and sums the penalty over samples; its weight there grows with the batch). Step length halved when the mean
// objective of an epoch has not fallen for `patience` epochs. What it returns violates cones; `repaired` is made feasible exactly
// (feasible.ts), which is what can be compared with certified objectives.
// pieces: [2, P, outputs, D]

import { type NumericBatch, type Rng, SettingError, throwIfAborted, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type KernelName, type Kernels, workspaceSize } from "@worstcase/linalg";
import { checkOptions, checkPositive, checkRng } from "../checks.js";
import { ConeDistance } from "../network/coneDistance.js";
import { type ConeViolation, coneViolation, excess, makeFeasible, reluObjective } from "../network/feasible.js";
import { networkOfProgram } from "../network/networkOfProgram.js";
import { distinctRows, findOpenCones, openConesSize } from "../network/openCones.js";
import type { ReluNetwork } from "../network/reluNetwork.js";
import type { Objective } from "../program/objective.js";
import { createProgram, type ProgramOptions, type ReluProgram } from "../program/program.js";
import { Adam } from "./adam.js";
import { PenaltyGradient } from "./penaltyGradient.js";

export interface PenaltyProgress {
  readonly type: "epoch";
  readonly epoch: number;
  /** Mean penalised objective of the epoch's batches. */
  readonly objective: number;
  readonly learningRate: number;
}

export interface FitReluByPenaltyOptions extends ProgramOptions, WorkOptions<PenaltyProgress> {
  readonly rng: Rng;
  /** rho (default 1). */
  readonly penalty?: number;
  /** Default 200. */
  readonly epochs?: number;
  /** Default 100. */
  readonly batchSize?: number;
  /** Default 0.01. */
  readonly learningRate?: number;
  /** Epochs without a fall before the step is halved (default 10). */
  readonly patience?: number;
  readonly kernels?: Kernels;
}

export interface PenaltyResult {
  /** Of the pieces as trained, as if their cones held. */
  readonly objective: Objective;
  readonly constraintViolation: ConeViolation;
  readonly pieces: Float64Array;
  readonly network: ReluNetwork;
  /** The same after exact repair: pieces projected on their cones, moved into them or dropped, whichever objective is least. */
  readonly repaired: { readonly objective: Objective; readonly pieces: Float64Array; readonly network: ReluNetwork };
  readonly epochs: number;
  readonly seconds: number;
  readonly kernels: KernelName;
}

/**
 * Trains on features `[n, d]` and class indices by the penalty method, from zero. For comparisons only: use `fitRelu`.
 * Throws ShapeError, DataError or SettingError before work starts, AbortedError when the signal fires.
 */
export async function fitReluByPenalty(
  features: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: FitReluByPenaltyOptions,
): Promise<PenaltyResult> {
  const started = performance.now();
  checkOptions(options);
  checkRng(options.rng);
  const { rng, penalty = 1, epochs = 200, batchSize = 100, learningRate = 0.01, patience = 10 } = options;
  const { signal, onEvent } = options;
  const program = createProgram(features, { kind: "classes", labels, classCount }, options);
  for (const [argument, value] of Object.entries({ penalty, learningRate })) {
    if (Number.isFinite(value) && value > 0) continue;
    throw new SettingError({ argument: `options.${argument}`, expected: "a finite number > 0", received: value });
  }
  for (const [argument, value] of Object.entries({ epochs, batchSize, patience }))
    checkPositive(value, `options.${argument}`);
  const kernels = options.kernels ?? chooseKernels();
  const length = 2 * program.gateCount * program.outputs * program.width;
  const batch = Math.min(batchSize, program.samples);
  const workspace = kernels.workspace(workspaceSize(length, length, ...PenaltyGradient.sizes(program, batch)));
  const pieces = workspace.float64(length);
  const gradient = workspace.float64(length);
  const evaluator = new PenaltyGradient(program, batch, penalty, workspace);
  const adam = new Adam(length);
  let rate = learningRate;
  let best = Number.POSITIVE_INFINITY;
  let idle = 0;
  let epoch = 0;
  while (epoch < epochs) {
    throwIfAborted(signal, "fitReluByPenalty");
    const order = rng.permutation(program.samples);
    let total = 0;
    for (let from = 0; from < order.length; from += batch) {
      const picked = order.subarray(from, Math.min(order.length, from + batch));
      total += evaluator.evaluate(pieces, picked, gradient) * picked.length;
      adam.step(pieces, gradient, rate);
    }
    epoch++;
    const objective = total / program.samples;
    onEvent?.({ type: "epoch", epoch, objective, learningRate: rate });
    if (objective < best * (1 - 1e-4)) {
      best = objective;
      idle = 0;
    } else if (++idle > patience) {
      rate /= 2;
      idle = 0;
    }
    if (epoch % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const raw = pieces.slice();
  const repaired = await repair(program, raw, kernels, signal);
  return {
    objective: reluObjective(program, raw),
    constraintViolation: coneViolation(program, raw),
    pieces: raw,
    network: networkOfProgram(program, raw),
    repaired: {
      objective: reluObjective(program, repaired),
      pieces: repaired,
      network: networkOfProgram(program, repaired),
    },
    epochs: epoch,
    seconds: (performance.now() - started) / 1000,
    kernels: kernels.name,
  };
}

// The best of: pieces projected on their cones, pieces pushed inside along a direction, pieces outside dropped, zero.
async function repair(
  program: ReluProgram,
  raw: Float64Array,
  kernels: Kernels,
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const { width, gateCount, outputs } = program;
  const rows = distinctRows(program);
  const cones = await findOpenCones(program, rows, kernels.workspace(openConesSize(program)), signal);
  const directions = new Float64Array(gateCount * width);
  cones.open.forEach((p, k) => {
    directions.set(cones.directions.subarray(k * width, (k + 1) * width), p * width);
  });
  const moved = raw.slice();
  makeFeasible(program, moved, directions);
  const projected = raw.slice();
  const projection = new ConeDistance(program, rows);
  for (let from = 0; from < raw.length; from += width) {
    const p = Math.floor(from / width / outputs) % gateCount;
    if (excess(program, p, raw.subarray(from, from + width)) <= 0) continue;
    projection.measure(p, raw, from, 1, 0);
    projected.set(projection.residual, from);
  }
  makeFeasible(program, projected, directions);
  const dropped = raw.slice();
  makeFeasible(program, dropped, new Float64Array(gateCount * width));
  const zero = new Float64Array(raw.length);
  const candidates = [projected, moved, dropped, zero].map((pieces) => ({
    pieces,
    total: reluObjective(program, pieces).total,
  }));
  return candidates.reduce((a, b) => (b.total < a.total ? b : a)).pieces;
}
