// The driver in front of every solver: validates, predicts memory, runs the generator, watches the clock and the abort
// signal, checks the outcome on the caller's data and decides accuracy. Solvers know none of this.

import { ResourceError, SettingError } from "@worstcase/core";
import { chooseKernels, type KernelRequest, type Kernels } from "@worstcase/linalg/kernels";
import { checkCertificate, checkSolution } from "./check/check.js";
import { interiorPoint } from "./interiorPoint/interiorPoint.js";
import { pause } from "./pause.js";
import { checkProblem, type SdpProblem } from "./problem.js";
import type { Point, SdpResult } from "./result.js";
import type { Command, Outcome, SdpEvent, SdpSettings, SdpSolver } from "./solver.js";

export interface SolveOptions<S extends object = object> extends Partial<SdpSettings> {
  /** The method; default `interiorPoint`. */
  readonly solver?: SdpSolver<S> | undefined;
  /** Settings of that method beyond the common ones. */
  readonly settings?: Partial<S> | undefined;
  /** Stop after this many seconds with status `time-limit` and the best point; checked once per iteration. */
  readonly timeLimitSeconds?: number | undefined;
  readonly backend?: KernelRequest | Kernels | undefined;
  /** Where to start; the result says whether it was used. Methods without warm starts reject it. */
  readonly warmStart?: Point | undefined;
  readonly onEvent?: ((event: SdpEvent) => void) | undefined;
  /** Checked once per iteration: status `aborted` with the best point, not an exception. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Solves in this thread, without pause. Returns a status for every mathematical outcome; throws only on misuse: ShapeError,
 * SettingError or DataError for a malformed problem or setting, ResourceError when the memory cannot be had,
 * UnsupportedError when a backend asked for is absent.
 */
export function solve<S extends object>(problem: SdpProblem, options: SolveOptions<S> = {}): SdpResult {
  const run = drive(problem, options);
  for (;;) {
    const step = run.next();
    if (step.done) return step.value;
  }
}

/** As `solve`, but lets other work of the event loop run between iterations, so that `signal` can fire. */
export async function solveAsync<S extends object>(
  problem: SdpProblem,
  options: SolveOptions<S> = {},
): Promise<SdpResult> {
  const run = drive(problem, options);
  let paused = performance.now();
  for (;;) {
    const step = run.next();
    if (step.done) return step.value;
    if (performance.now() - paused < 10) continue;
    await pause();
    paused = performance.now();
  }
}

/** Yields after every event of the method. */
function* drive<S extends object>(problem: SdpProblem, options: SolveOptions<S>): Generator<void, SdpResult> {
  const solver = options.solver ?? (interiorPoint as unknown as SdpSolver<S>);
  const settings = readSettings(solver, options);
  checkProblem(problem);
  checkRoom(problem);
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const kernels =
    typeof options.backend === "object" ? options.backend : chooseKernels(options.backend, solver.plan?.(problem));
  const run = solver.method(problem, settings, { kernels, warmStart: options.warmStart });
  let bytes = 0;
  let command: Command = "continue";
  let step = run.next(command);
  while (!step.done) {
    if (step.value.type === "start") bytes = step.value.bytes;
    options.onEvent?.(step.value);
    yield;
    if (options.signal?.aborted) command = "aborted";
    else if (options.timeLimitSeconds !== undefined && seconds() > options.timeLimitSeconds) command = "time-limit";
    step = run.next(command);
  }
  const base = { solver: { name: solver.name, backend: kernels.name }, bytes };
  const result = finish(problem, settings.tolerance, step.value, () => ({ ...base, seconds: seconds() }));
  options.onEvent?.({
    type: "end",
    status: result.status,
    iterations: result.iterations,
    seconds: result.seconds,
  });
  return result;
}

/** Results hold S and Y densely: a block that the engine cannot allocate is refused before work starts. */
function checkRoom({ blocks }: SdpProblem): void {
  const largest = blocks.reduce((most, { kind, size }) => Math.max(most, kind === "psd" ? size * size : size), 0);
  if (largest < 1e7) return;
  try {
    new Float64Array(largest);
  } catch (cause) {
    const received = `one of ${((8 * largest) / 1e9).toPrecision(3)} GB`;
    const hint = "split the problem into smaller blocks";
    throw new ResourceError(
      { argument: "problem.blocks", expected: "blocks that fit in memory densely", received, hint },
      { cause },
    );
  }
}

/** How much worse than the tolerance a point or ray may be and still be called reduced accuracy: 1e-8 gives 1e-4. */
const reducedTolerance = (tolerance: number) => Math.max(Math.sqrt(tolerance), tolerance);

function finish(
  problem: SdpProblem,
  tolerance: number,
  outcome: Outcome,
  base: () => { solver: { name: string; backend: string }; bytes: number; seconds: number },
): SdpResult {
  const { iterations, warmStart, warnings = [] } = outcome;
  const common = () => ({ ...base(), iterations, warmStart, warnings });
  if ("certificate" in outcome) {
    const { certificate, status } = outcome;
    const check = checkCertificate(problem, certificate);
    if (check.improvement > 0 && check.worst <= reducedTolerance(tolerance)) {
      const accuracy = check.worst <= tolerance ? "full" : "reduced";
      return { ...common(), status, accuracy, certificate, check };
    }
    return stopped("stalled", outcome.best);
  }
  if (outcome.status === "optimal") {
    const check = checkSolution(problem, outcome.point);
    if (check.worst <= reducedTolerance(tolerance)) {
      const accuracy = check.worst <= tolerance ? "full" : "reduced";
      return { ...common(), status: "optimal", accuracy, point: outcome.point, check };
    }
    return { ...common(), status: "stalled", point: outcome.point, check };
  }
  return stopped(outcome.status, outcome.point);

  function stopped(status: "iteration-limit" | "time-limit" | "aborted" | "stalled", point: Point | undefined) {
    const check = point && checkSolution(problem, point);
    return { ...common(), status, point, check };
  }
}

function readSettings<S extends object>(solver: SdpSolver<S>, options: SolveOptions<S>): SdpSettings & S {
  const { tolerance = solver.defaults.tolerance, maximumIterations = solver.defaults.maximumIterations } = options;
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new SettingError({ argument: "options.tolerance", expected: "between 0 and 1", received: tolerance });
  }
  if (!Number.isSafeInteger(maximumIterations) || maximumIterations < 0) {
    const expected = "an integer >= 0";
    throw new SettingError({ argument: "options.maximumIterations", expected, received: maximumIterations });
  }
  const limit = options.timeLimitSeconds;
  if (limit !== undefined && !(limit >= 0)) {
    throw new SettingError({ argument: "options.timeLimitSeconds", expected: "a number >= 0", received: limit });
  }
  const known = new Set(Object.keys(solver.defaults));
  for (const name of Object.keys(options.settings ?? {})) {
    if (known.has(name)) continue;
    const expected = `one of ${[...known].join(", ")}`;
    throw new SettingError({ argument: "options.settings", expected, received: name });
  }
  return { ...solver.defaults, ...options.settings, tolerance, maximumIterations };
}
