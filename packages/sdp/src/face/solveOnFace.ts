// Runs a method on the face and brings its outcome back to the whole problem.

import { checkCertificate } from "../check/check.js";
import type { SdpProblem } from "../problem.js";
import type { Point, Ray } from "../result.js";
import type { Command, IterationEvent, Outcome, SdpSettings, StartEvent } from "../solver.js";
import { combination } from "./combination.js";
import type { Face } from "./findFace.js";
import { expandDual, type Lifted, liftPoint } from "./liftPoint.js";

export type Run = Generator<StartEvent | IterationEvent, Outcome, Command>;

/** A lifted point within so many tolerances ends the solve. */
const ACCEPT = 5;

/** A lifted point that is not good enough to stop at, but may prove the best there is. */
export type Fallback = Lifted & { readonly warnings: NonNullable<Outcome["warnings"]> };

/** What the face gave: the outcome, or nothing final and perhaps a point to fall back on. */
export interface FaceOutcome {
  readonly outcome?: Outcome;
  readonly fallback?: Fallback | undefined;
  /** Iterations announced on the way. */
  readonly spent: number;
}

/**
 * Solves on the face. Without an outcome the method should go on with the whole problem.
 * `announce`: the start event of the method on the face is passed on, with a note; else it is kept back.
 */
export function* solveOnFace(
  problem: SdpProblem,
  settings: SdpSettings,
  face: Face,
  method: (face: Face, settings: SdpSettings) => Run,
  { announce, iterations }: { readonly announce: boolean; readonly iterations: number },
): Generator<StartEvent | IterationEvent, FaceOutcome, Command> {
  const { tolerance } = settings;
  const maximumIterations = Math.max(0, settings.maximumIterations - iterations);
  const run = method(face, { tolerance: 0.5 * tolerance, maximumIterations });
  const note = describe(face);
  let step = run.next("continue");
  while (!step.done) {
    const event = step.value;
    let command: Command = "continue";
    if (event.type === "iteration") command = yield { ...event, iteration: event.iteration + iterations };
    else if (announce) {
      const variables = problem.objective.length;
      command = yield { ...event, variables, notes: [note, ...event.notes] };
    }
    step = run.next(command);
  }
  const outcome = takeBack(problem, settings, face, step.value, note, iterations);
  face.restriction.dispose();
  return outcome;
}

/** What the outcome on the face says of the whole problem. */
function takeBack(
  problem: SdpProblem,
  { tolerance }: SdpSettings,
  face: Face,
  inner: Outcome,
  note: string,
  iterations: number,
): FaceOutcome {
  const spent = inner.iterations + 1;
  const common = {
    iterations: inner.iterations + iterations,
    warmStart: "none" as const,
    warnings: [{ code: "reduced-to-face", message: note }, ...(inner.warnings ?? [])],
  };
  if ("certificate" in inner) {
    if (inner.certificate.kind !== "primal-infeasible") return { spent };
    const { dual: onFace, multipliers } = inner.certificate;
    const dual = face.bases.map((basis, b) => expandDual(basis, onFace[b], problem.blocks[b].kind === "psd"));
    const certificate: Ray = { kind: "primal-infeasible", dual, multipliers };
    const { improvement, worst } = checkCertificate(problem, certificate);
    if (!(improvement > 0 && worst <= tolerance)) return { spent };
    return { outcome: { ...common, status: "primal-infeasible", certificate }, spent };
  }
  const lifted = inner.point && liftPoint(problem, face, inner.point, tolerance);
  if (inner.status === "optimal" && lifted && lifted.worst <= ACCEPT * tolerance) {
    return { outcome: { ...common, status: "optimal", point: lifted.point }, spent };
  }
  if (inner.status === "optimal" || inner.status === "stalled") {
    return { fallback: lifted && { ...lifted, warnings: common.warnings }, spent };
  }
  const point = lifted?.point ?? (inner.point && embed(problem, face, inner.point));
  return { outcome: { ...common, status: inner.status, point }, spent };
}

/** The point as it is: Y feasible, S positive semidefinite on the face only. */
function embed(problem: SdpProblem, { restriction, bases }: Face, inner: Point): Point {
  const x = new Float64Array(problem.objective.length);
  restriction.variables.forEach((k, i) => {
    x[k] = inner.x[i];
  });
  return {
    x,
    slack: problem.blocks.map((_, b) => combination(problem, b, x, 1)),
    dual: bases.map((basis, b) => expandDual(basis, inner.dual[b], problem.blocks[b].kind === "psd")),
    multipliers: inner.multipliers.slice(),
  };
}

function describe({ bases, restriction }: Face): string {
  const cut = bases.flatMap(({ size, count }, b) =>
    count > 0 ? [`block ${b + 1} from ${size} to ${size - count}`] : [],
  );
  const shown = cut.length > 3 ? [...cut.slice(0, 3), `${cut.length - 3} more`] : cut;
  return `no Y has full rank: reduced to a face, ${shown.join(", ")}, ${restriction.variables.length} variables`;
}
