// The gated program by accelerated proximal steps, for problems too large for Newton's method: hinge losses with group norms by the
// screened, recentred hinge of robustHinge.ts (two classes as two columns, same objective), everything else by termsProblem.ts.
// T: [P, outputs, D]

import { FormatError, fingerprint } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Objective } from "../program/objective.js";
import { type ReluProgram, takeProgramSamples } from "../program/program.js";
import { AcceleratedProximal } from "../proximal/acceleratedProximal.js";
import { type Minimised, type MinimiseOptions, type MinimiserState, minimise } from "../proximal/minimise.js";
import { SharedMetric } from "../proximal/sharedMetric.js";
import { checkMemory } from "../threads/predictedBytes.js";
import { ThreadedHinge } from "../threads/threadedHinge.js";
import { GatedProblem, HINGE_SMOOTHING } from "./gatedProblem.js";
import { hingeDataOf, RobustHinge } from "./robustHinge.js";
import { TermsProblem } from "./termsProblem.js";

/** Sets of at least this many samples start from a solution on every STRIDE-th sample. */
const SUBSET_FROM = 4000;
const STRIDE = 8;

/** State of an interrupted run; plain objects, numbers and typed arrays, so `structuredClone` and v8 serialisation keep it. */
export interface FirstOrderCheckpoint {
  readonly format: "worstcase/gated-first-order";
  readonly version: 2;
  /** Of the program; a state continues the same program only. */
  readonly program: string;
  readonly state: MinimiserState;
}

export interface FirstOrderOptions
  extends Pick<MinimiseOptions, "tolerance" | "maximumIterations" | "signal" | "onEvent" | "checkpointEvery"> {
  readonly lowerBound: number;
  /** Pieces to start from. */
  readonly start?: Float64Array | undefined;
  readonly onCheckpoint?: ((checkpoint: FirstOrderCheckpoint) => void | Promise<void>) | undefined;
  readonly resume?: FirstOrderCheckpoint | undefined;
  /** Threads that share the samples of hinge losses with group norms; 1 for this thread alone. */
  readonly threads?: number | undefined;
}

export interface FirstOrderOutcome extends Omit<Minimised, "point"> {
  readonly objective: Objective;
  readonly pieces: Float64Array;
}

export async function fitFirstOrder(
  program: ReluProgram,
  kernels: Kernels,
  options: FirstOrderOptions,
): Promise<FirstOrderOutcome> {
  const identity = options.onCheckpoint || options.resume ? programFingerprint(program) : "";
  if (options.resume) checkResume(options.resume, identity);
  const paired = program.loss === "hinge" && program.regulariser === "group";
  const columns = paired && program.task === "two-class";
  const start = options.resume ? undefined : (options.start ?? (await startFromSubset(program, kernels, options)));
  const { problem, workspace, close } = paired
    ? await hingeProblem(program, kernels, options.threads ?? 1)
    : termsProblem(program, kernels);
  const { onCheckpoint } = options;
  let outcome: Minimised;
  try {
    outcome = await minimise(problem, workspace, {
      where: "fitGatedRelu",
      curvature: 2 / HINGE_SMOOTHING,
      lowerBound: options.lowerBound,
      tolerance: options.tolerance,
      maximumIterations: options.maximumIterations,
      start: start && columns ? asTwoColumns(start, program.width) : start,
      signal: options.signal,
      onEvent: options.onEvent,
      checkpointEvery: options.checkpointEvery,
      onCheckpoint:
        onCheckpoint &&
        ((state) => onCheckpoint({ format: "worstcase/gated-first-order", version: 2, program: identity, state })),
      resume: options.resume?.state,
    });
  } finally {
    await close();
  }
  const { status, lowerBound, gap, iterations } = outcome;
  const pieces = columns ? asOneColumn(problem.bestWeights, program.width) : problem.bestWeights;
  return { status, lowerBound, gap, iterations, objective: problem.best, pieces };
}

async function hingeProblem(program: ReluProgram, kernels: Kernels, wanted: number) {
  const data = hingeDataOf(program);
  const rowLength = data.classCount * program.width;
  const length = program.gateCount * rowLength;
  const modules = wanted > 1 ? globalThis.process?.getBuiltinModule?.("node:worker_threads") : undefined;
  const threads = modules ? wanted : 1;
  checkMemory(program, threads);
  const sizes = RobustHinge.sizes(ThreadedHinge.largestShard(program.samples, threads), program.gateCount, rowLength);
  const workspace = kernels.workspace(
    workspaceSize(
      ...sizes,
      ...SharedMetric.sizes(program.gateCount, program.width),
      ...AcceleratedProximal.sizes(length),
    ),
  );
  if (!modules) {
    const hinge = new RobustHinge(data, workspace);
    return { problem: new GatedProblem(data, program.beta, hinge, workspace), workspace, close: async () => {} };
  }
  const hinge = await ThreadedHinge.start(modules, data, threads, kernels, workspace, length);
  return { problem: new GatedProblem(data, program.beta, hinge, workspace), workspace, close: () => hinge.close() };
}

function termsProblem(program: ReluProgram, kernels: Kernels) {
  const length = program.gateCount * program.outputs * program.width;
  const workspace = kernels.workspace(TermsProblem.workspaceSize(program, AcceleratedProximal.sizes(length)));
  return { problem: new TermsProblem(program, workspace), workspace, close: async () => {} };
}

// Large sets: a few cheap iterations on every STRIDE-th sample first, from where the full problem starts. Bounds are not carried over.
async function startFromSubset(
  program: ReluProgram,
  kernels: Kernels,
  { signal, threads }: FirstOrderOptions,
): Promise<Float64Array | undefined> {
  if (program.samples < SUBSET_FROM) return undefined;
  const picked = Int32Array.from({ length: Math.floor(program.samples / STRIDE) }, (_, i) => i * STRIDE);
  const subset = takeProgramSamples(program, picked);
  const options = { lowerBound: 0, tolerance: 0.2, maximumIterations: 100, signal, threads };
  return (await fitFirstOrder(subset, kernels, options)).pieces;
}

/** t -> (-t/2, t/2), `[P, 1, D]` to `[P, 2, D]`. */
export function asTwoColumns(pieces: Float64Array, width: number): Float64Array {
  const out = new Float64Array(2 * pieces.length);
  for (let from = 0; from < pieces.length; from += width) {
    for (let k = 0; k < width; k++) {
      out[2 * from + k] = -pieces[from + k] / 2;
      out[2 * from + width + k] = pieces[from + k] / 2;
    }
  }
  return out;
}

/** The difference of the two columns, `[P, 2, D]` to `[P, 1, D]`. */
export function asOneColumn(weights: Float64Array, width: number): Float64Array {
  const out = new Float64Array(weights.length / 2);
  for (let from = 0; from < out.length; from += width) {
    for (let k = 0; k < width; k++) out[from + k] = weights[2 * from + width + k] - weights[2 * from + k];
  }
  return out;
}

function programFingerprint(program: ReluProgram): string {
  const { task, loss, regulariser, exponent, radius, beta, bias, inputs, bits, targets } = program;
  const settings = JSON.stringify([task, loss, regulariser, String(exponent), radius, beta, bias]);
  return fingerprint(settings, inputs, bits, targets);
}

function checkResume(resume: FirstOrderCheckpoint, identity: string): void {
  if (resume.format !== "worstcase/gated-first-order" || resume.version !== 2) {
    const expected = "a checkpoint of fitGatedRelu, version 2";
    throw new FormatError({ argument: "options.resume", expected, received: resume.format });
  }
  if (resume.program === identity) return;
  const hint = "give the same features, labels, gates and settings as the interrupted run";
  throw new FormatError({
    argument: "options.resume",
    expected: "a checkpoint of this program",
    received: "another",
    hint,
  });
}
