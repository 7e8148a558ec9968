// Gated ReLU heads for data of CIFAR size and beyond (math.md 13.2, 13.3, 13.6): the hinge program of fitGatedRelu with group norms, rows from memory or
// from a file, float32 steps on the groups and samples that can matter, float64 passes over everything for objective and bound, checkpoints.
//   minimise over T  1/n sum_i sum_{c != y_i} max(0, 1 - x_i'A_ic + radius ||A_ic||_{q*}) + beta sum ||t_pc||_2,  A_ic = sum_p d_pi (t_py - t_pc)
// Features are float32: the program, its patterns and its certificate are those of the float32 numbers.
// rows: [n, d]   labels: [n]   T: [P, C, d (+1)]

import { checkLabels, SettingError, UnsupportedError, type Warning, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type KernelName, type Kernels } from "@worstcase/linalg";
import { checkBall, normExponent, type PerturbationNorm } from "../ballSupport.js";
import { checkKnown, checkOptions, checkPositive } from "../checks.js";
import { checkStart, type GatedReluModel } from "../gatedModel.js";
import { checkGates, copyGates, type GateSet, refuseTrainingPatterns } from "../patterns/gateSet.js";
import type { Objective } from "../program/objective.js";
import { Checkpoints } from "./checkpoints.js";
import { checkBlock, checkRows, type FeatureRows, RowReader, rowsInMemory, takeRows } from "./featureRows.js";
import { densePieces, groupsOf, type Lists } from "./groups.js";
import { hasKernel32 } from "./kernel32.js";
import { checkLargeMemory } from "./memory.js";
import { type LargeProgress, type LargeStatus, type RoundsOutcome, runRounds } from "./rounds.js";
import { patternWords, type ShardTask } from "./shardData.js";
import { newMail, sharedBytes, Team } from "./team.js";

export interface FitGatedLargeOptions extends WorkOptions<LargeProgress> {
  readonly gates: GateSet;
  /** Norm of the PERTURBATION: l2 or linf (any at radius 0). */
  readonly norm: PerturbationNorm;
  /** Radius of the perturbation ball in FEATURE space. */
  readonly radius: number;
  /** Weight of the sum of group norms, > 0. */
  readonly beta: number;
  /** Constant term in the linear pieces, not moved by perturbations (default: as the gates have). */
  readonly bias?: boolean;
  /** Relative certified gap to stop at (default 5e-2). */
  readonly tolerance?: number;
  /** Float32 steps over all samples (default 5000). */
  readonly maximumSteps?: number;
  /** Stops, with a last pass, after so many seconds (default none). A run that meets it is not repeatable bit for bit. */
  readonly timeLimitSeconds?: number;
  /** Threads that share the samples, this one included (default 1). Another number changes the last digits. */
  readonly threads?: number;
  /** Float64 kernels of the passes. */
  readonly kernels?: Kernels;
  /** Model to start from, for example the solution at a neighbouring radius or beta; its gates must be as many. */
  readonly start?: GatedReluModel;
  /**
   * File that the state is written to after passes, at most every `everySeconds` (default 60), and that a run of the same problem continues
   * from, bit for bit as if it had not been interrupted, when it exists. It is deleted when the run ends with a result.
   */
  readonly checkpoint?: { readonly file: string; readonly everySeconds?: number };
  /** Bytes that the fit may take (default: the machine's or container's memory). */
  readonly memoryLimit?: number;
}

export interface GatedLargeResult {
  /** `optimal` and `zero-optimal` mean gap <= tolerance. */
  readonly status: LargeStatus;
  /** Of the returned model, evaluated in float64 over all samples. */
  readonly objective: Objective;
  /** Certified in float64: no gated model over these gates has a smaller objective. */
  readonly lowerBound: number;
  /** (objective.total - lowerBound) / objective.total */
  readonly gap: number;
  readonly model: GatedReluModel;
  readonly rounds: number;
  readonly steps: number;
  readonly seconds: number;
  /** Whether the run continued from a checkpoint. */
  readonly resumed: boolean;
  /** Float64 kernels of the passes, and what multiplied in float32. */
  readonly kernels: KernelName;
  readonly steps32: "wasm-simd";
  readonly warnings: readonly Warning[];
}

/** Parts of the samples that come before all of them: every how many, solved to which gap, in how many rounds, from how many samples on. */
const LEVELS = [
  { stride: 16, gap: 0.5, rounds: 8 },
  { stride: 4, gap: 0.25, rounds: 12 },
];
const LEAST_LEVEL = 2000;

/**
 * Trains a gated ReLU head on `rows` `[n, d]` and class indices `[n]` as `fitGatedRelu` does with hinge losses and group norms, for sets that are too
 * large for it. Throws ShapeError, DataError or SettingError before work starts, ResourceError when the predicted memory exceeds the limit,
 * UnsupportedError for other balls than l2 and linf, losses than the hinge and regularisers than group norms, FormatError on a checkpoint that is damaged or of another problem, AbortedError when the signal fires.
 */
export async function fitGatedLarge(
  rows: FeatureRows,
  labels: Int32Array,
  classCount: number,
  options: FitGatedLargeOptions,
): Promise<GatedLargeResult> {
  const began = performance.now();
  const settings = settingsOf(rows, labels, classCount, options);
  const { gates, bias, threads, tolerance, maximumSteps } = settings;
  const kernels = options.kernels ?? chooseKernels();
  const checkpoints = options.checkpoint
    ? new Checkpoints(options.checkpoint, () => identityOf(rows, labels, classCount, settings, options))
    : null;
  if (!checkpoints) visitRows(rows, () => {});
  const resume = checkpoints?.read();
  const deadline = options.timeLimitSeconds ? began + 1000 * options.timeLimitSeconds : Number.POSITIVE_INFINITY;
  const { signal, onEvent } = options;
  const common = { beta: options.beta, deadline, where: "fitGatedLarge", signal, onRound: onEvent };
  let start: { lists: Lists; point: Float64Array } | undefined;
  if (options.start) {
    checkStart(options.start, { gateCount: gates.count, featureCount: rows.featureCount, classCount, bias });
    start = groupsOf(options.start.weights, rows.featureCount + (bias ? 1 : 0), gates.count, classCount);
  }
  const solve = async (
    part: FeatureRows,
    own: Int32Array,
    level?: { gap: number; rounds: number },
  ): Promise<RoundsOutcome> => {
    const task = taskOf(part, own, classCount, settings, options, kernels);
    const team = await Team.start(task, kernels, threads);
    try {
      team.findPatterns();
      if (level) {
        const limits = { tolerance: Math.max(level.gap, tolerance), mostSteps: maximumSteps, mostRounds: level.rounds };
        return await runRounds(team, kernels, { ...common, ...limits, start });
      }
      const limits = { tolerance, mostSteps: maximumSteps, mostRounds: Number.POSITIVE_INFINITY };
      const onState = checkpoints ? checkpoints.offer.bind(checkpoints) : undefined;
      return await runRounds(team, kernels, { ...common, ...limits, start, resume, onState });
    } finally {
      await team.close();
    }
  };
  for (const level of resume || options.start ? [] : LEVELS) {
    const { stride } = level;
    const count = Math.floor(rows.samples / stride);
    if (count < LEAST_LEVEL) continue;
    const picked = Int32Array.from({ length: count }, (_, t) => t * stride);
    const outcome = await solve(
      rowsInMemory(takeRows(rows, picked)),
      Int32Array.from(picked, (i) => labels[i]),
      level,
    );
    start = { lists: outcome.lists, point: outcome.point };
  }
  const outcome = await solve(rows, labels);
  checkpoints?.remove();
  const { status, objective, lowerBound, gap, rounds, steps } = outcome;
  const { featureCount } = rows;
  const width = featureCount + (bias ? 1 : 0);
  const model: GatedReluModel = {
    ...{ kind: "gated-relu", featureCount, classCount, bias },
    gates: copyGates(gates),
    weights: densePieces(outcome.lists, outcome.point, width, gates.count),
  };
  return {
    ...{ status, objective, lowerBound, gap, model, rounds, steps, resumed: resume !== undefined },
    ...{ kernels: kernels.name, steps32: "wasm-simd", warnings: warningsFor(labels, classCount, objective) },
    seconds: (performance.now() - began) / 1000,
  };
}

interface Settings {
  readonly gates: GateSet;
  readonly bias: boolean;
  readonly threads: number;
  readonly tolerance: number;
  readonly maximumSteps: number;
}

function settingsOf(
  rows: FeatureRows,
  labels: Int32Array,
  classCount: number,
  options: FitGatedLargeOptions,
): Settings {
  checkOptions(options);
  const { gates, norm, radius, beta, tolerance = 5e-2, maximumSteps = 5000, threads = 1, timeLimitSeconds } = options;
  checkRows(rows);
  checkKnown(options, { loss: "hinge", regulariser: "group" }, "fitGatedRelu knows the others");
  const { samples, featureCount } = rows;
  if (!Number.isSafeInteger(classCount) || classCount < 2) {
    throw new SettingError({ argument: "classCount", expected: "an integer >= 2", received: classCount });
  }
  checkLabels(labels, samples, classCount);
  checkBall(norm, radius, "options.");
  const q = normExponent(norm);
  if (radius > 0 && q !== 2 && q !== Number.POSITIVE_INFINITY) {
    const expected = "l2 or linf";
    throw new UnsupportedError({ argument: "options.norm", expected, received: norm, hint: "fitGatedRelu knows all" });
  }
  for (const [name, number] of [
    ["beta", beta],
    ["tolerance", tolerance],
    ["timeLimitSeconds", timeLimitSeconds ?? 1],
    ["memoryLimit", options.memoryLimit ?? 1],
    ["checkpoint.everySeconds", options.checkpoint?.everySeconds ?? 1],
  ] as const) {
    if (Number.isFinite(number) && (number > 0 || (number === 0 && name === "checkpoint.everySeconds"))) continue;
    throw new SettingError({ argument: `options.${name}`, expected: "a finite number > 0", received: number });
  }
  checkPositive(maximumSteps, "options.maximumSteps");
  checkPositive(threads, "options.threads");
  checkGates(gates, featureCount, "options.gates");
  refuseTrainingPatterns(gates, "options.gates");
  if (!hasKernel32()) {
    const received = "an engine without it";
    throw new UnsupportedError({ argument: "WebAssembly", expected: "SIMD", received, hint: "use fitGatedRelu" });
  }
  const bias = options.bias ?? gates.bias;
  const width = featureCount + (bias ? 1 : 0);
  const size = { samples, featureCount, width, classCount, gateCount: gates.count, threads };
  checkLargeMemory({ ...size, inMemory: rows.kind === "memory" }, options.memoryLimit);
  return { gates, bias, threads, tolerance, maximumSteps };
}

function taskOf(
  rows: FeatureRows,
  labels: Int32Array,
  classCount: number,
  { gates, bias }: Settings,
  { norm, radius }: FitGatedLargeOptions,
  kernels: Kernels,
): ShardTask {
  const { samples, featureCount } = rows;
  const groups = gates.count * classCount;
  const numbers = groups * (featureCount + (bias ? 1 : 0));
  return {
    ...{ rows, labels, classCount, gates, bias, norm, radius, kernels: kernels.name },
    patterns: new Uint32Array(sharedBytes(4 * samples * patternWords(gates.count))),
    centres: new Float32Array(sharedBytes(4 * samples * classCount)),
    excess: new Float32Array(sharedBytes(4 * samples * classCount)),
    mail: newMail(numbers, groups, classCount),
  };
}

/** Reads all rows once, checks them, and shows them block by block. */
function visitRows(rows: FeatureRows, visit: (block: Float32Array) => void): void {
  const { samples, featureCount } = rows;
  const size = Math.max(1, Math.min(samples, Math.floor(2 ** 20 / featureCount)));
  const block = new Float32Array(size * featureCount);
  const reader = new RowReader(rows, size);
  try {
    for (let from = 0; from < samples; from += size) {
      const count = Math.min(size, samples - from);
      reader.read(from, count, block, featureCount);
      checkBlock(block, from, count, featureCount);
      visit(block.subarray(0, count * featureCount));
    }
  } finally {
    reader.close();
  }
}

function identityOf(
  rows: FeatureRows,
  labels: Int32Array,
  classCount: number,
  { gates, bias, tolerance, maximumSteps, threads }: Settings,
  { norm, radius, beta, start }: FitGatedLargeOptions,
): string {
  const { createHash } = process.getBuiltinModule("node:crypto");
  const hash = createHash("sha256");
  const { samples, featureCount } = rows;
  const shape = [samples, featureCount, classCount, gates.count, gates.bias, bias];
  hash.update(JSON.stringify([...shape, String(normExponent(norm)), radius, beta, tolerance, maximumSteps, threads]));
  for (const array of [labels, gates.gates, ...(start ? [start.weights] : [])])
    hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  visitRows(rows, (block) => hash.update(new Uint8Array(block.buffer, block.byteOffset, block.byteLength)));
  return hash.digest("hex");
}

function warningsFor(labels: Int32Array, classCount: number, { total }: Objective): Warning[] {
  const warnings: Warning[] = [];
  if (labels.every((label) => label === labels[0])) {
    warnings.push({ code: "single-class", message: `all ${labels.length} labels are ${labels[0]}` });
  }
  const zero = classCount - 1;
  if (total >= 0.9 * zero) {
    const message = `objective ${total.toPrecision(4)} is close to ${zero}, that of the zero model: radius or beta leave little to gain`;
    warnings.push({ code: "collapsed-head", message });
  }
  return warnings;
}
