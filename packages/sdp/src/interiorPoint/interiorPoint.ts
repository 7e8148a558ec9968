// Primal-dual interior point with the HKM direction and Mehrotra's predictor and corrector, from infeasible starts
// (Helmberg, Rendl, Vanderbei, Wolkowicz 1996; Kojima, Shindoh, Hara 1997; Monteiro 1997; step rules after Toh, Todd, Tutuncu).
//
// Per iteration, with r = c - (<F_k, Y>)_k - A'u, P = sum x_k F_k - F_0 - S, t = b - A x:
//   H dx - A'du = -c + A'u + mu (<F_k, S^-1>)_k - (<F_k, Y P S^-1 + dYa dSa S^-1>)_k,   A dx = t
//   dS = sum dx_k F_k + P,   dY = mu S^-1 - Y - sym(Y dS S^-1 + dYa dSa S^-1)

import { type Kernels, workspaceSize } from "@worstcase/linalg/kernels";
import { checkCertificate, checkSolution } from "../check/check.js";
import { type Face, faceOfDirection, faceOfTerms } from "../face/findFace.js";
import { type FaceOutcome, type Fallback, type Run, solveOnFace } from "../face/solveOnFace.js";
import type { SdpProblem } from "../problem.js";
import type { Point, Ray } from "../result.js";
import type { Command, IterationEvent, Outcome, SdpSettings, SdpSolver, StartEvent } from "../solver.js";
import { BlockState } from "./blockState.js";
import { expandDual, expandPoint, expandVariables } from "./expand.js";
import { Iterate } from "./iterate.js";
import { reduce } from "./reduce.js";
import { RootSystem } from "./rootSystem.js";
import { SchurSystem } from "./schurSystem.js";

/** Interior point: every size that fits, 6 to 9 digits, certificates of infeasibility. */
export const interiorPoint: SdpSolver = {
  name: "interior-point",
  summary: "primal-dual interior point, HKM direction, predictor-corrector",
  capabilities: { warmStart: false, certificates: true },
  defaults: { tolerance: 1e-8, maximumIterations: 250 },
  plan({ objective, blocks }) {
    const orders = blocks.map(({ kind, size }) => (kind === "psd" ? size : 0));
    const m = objective.length;
    // per iteration: one Cholesky factor of order m, about seven products of order n for each block; twenty iterations
    const flops = 20 * orders.reduce((sum, n) => sum + 14 * n ** 3, m ** 3 / 3);
    const float64Count = orders.reduce((sum, n) => sum + 14 * n * n, 2 * m * m);
    return { largestOrder: Math.max(m, ...orders), flops, float64Count };
  },
  *method(problem, settings, { kernels, warmStart }) {
    const outcome = yield* run(problem, settings, kernels, FACES);
    return { ...outcome, warmStart: warmStart ? "rejected" : "none" };
  },
};

/** How often in a row the problem may be restricted to a face of its cone. */
const FACES = 3;

/** The method; `faces` restrictions are still allowed. */
function* run(problem: SdpProblem, settings: SdpSettings, kernels: Kernels, faces: number): Run {
  const onFace = (face: Face, rest: SdpSettings) => run(face.restriction.problem, rest, kernels, faces - 1);
  const obvious = faces > 0 ? faceOfTerms(problem, kernels) : undefined;
  const announced = obvious !== undefined;
  let fallback: Fallback | undefined;
  let first = 0;
  if (obvious) {
    const found = yield* solveOnFace(problem, settings, obvious, onFace, { announce: true, iterations: 0 });
    if (found.outcome) return found.outcome;
    fallback = found.fallback;
    first = found.spent;
  }
  const base = { warmStart: "none" } as const;
  const reduced = reduce(problem, kernels);
  if ("kind" in reduced) {
    if (!announced) yield start(problem, kernels.name, [], 0, ["the reduction alone proves infeasibility"]);
    return { ...base, status: reduced.kind, certificate: reduced, iterations: 0 };
  }
  const m = reduced.objective.length;
  const lengths = [
    ...reduced.psd.flatMap((block) => BlockState.lengths(block)),
    ...SchurSystem.lengths(m, reduced.equalities.right.length),
    ...Iterate.lengths(reduced),
    ...RootSystem.lengths(reduced),
  ];
  const count = workspaceSize(...lengths);
  const blocks = reduced.psd.map(({ order }) => ({ kind: "psd" as const, size: order }));
  const rows = reduced.rows.right.length;
  const parts = rows > 0 ? [...blocks, { kind: "nonnegative" as const, size: rows }] : blocks;
  if (!announced) {
    const command = yield start(problem, kernels.name, parts, 8 * count, reduced.notes, m);
    if (command !== "continue") return { ...base, status: command, point: undefined, iterations: 0 };
  }
  const workspace = kernels.workspace(count);
  try {
    const iterate = new Iterate(problem, reduced, workspace);
    return yield* iterations(problem, settings, iterate, { fallback, first }, function* (iteration, direction) {
      const face = faces > 0 ? faceOfDirection(problem, direction, kernels) : undefined;
      if (!face) return { spent: 0 };
      return yield* solveOnFace(problem, settings, face, onFace, { announce: false, iterations: iteration });
    });
  } finally {
    workspace.dispose();
  }
}

function start(
  problem: SdpProblem,
  backend: string,
  blocks: StartEvent["blocks"],
  bytes: number,
  notes: readonly string[],
  variables = problem.objective.length,
): StartEvent {
  return { type: "start", solver: "interior-point", backend, variables, blocks, bytes, notes };
}

/** From this merit on, so many iterations without a better one call for the square-root form. */
const LATE = 1e-3;
const PATIENCE = 3;
const SLOW = 0.3;
/** A point within so many tolerances is not worth the square-root form. */
const CLOSE = 5;

type Stop = Exclude<Outcome["status"], "optimal" | "primal-infeasible" | "dual-infeasible">;

/** How x grows when its direction is worth a look for a face: so much of |x| in one step, at so small a cosine with c. */
const GROWTH = 0.1;
const FLAT = 1e-4;
const LOOKS = 4;

function* iterations(
  problem: SdpProblem,
  { tolerance, maximumIterations }: SdpSettings,
  iterate: Iterate,
  begin: { readonly fallback: Fallback | undefined; readonly first: number },
  tryFace: (iteration: number, direction: Float64Array) => Generator<StartEvent | IterationEvent, FaceOutcome, Command>,
): Run {
  const { reduced } = iterate;
  const point = (): Point => expandPoint(problem, reduced, iterate.best());
  const finished = (at: Point, iteration: number) =>
    ({ status: "optimal", point: at, iterations: iteration, warmStart: "none" }) as const;
  /** The best point with its dual moved onto the equations, and how good it is by the independent check. */
  const projected = (): { point: Point; worst: number } | undefined => {
    const undo = iterate.projectBestDual();
    if (!undo) return undefined;
    const moved = point();
    undo();
    return { point: moved, worst: checkSolution(problem, moved).worst };
  };
  let { fallback } = begin;
  const stopped = (status: Stop, iteration: number): Outcome => {
    const best = point();
    const common = { iterations: iteration, warmStart: "none" } as const;
    if (status !== "stalled" && !fallback) return { ...common, status, point: best };
    // a point good enough to be called optimal at reduced accuracy is handed over as such; the driver's check decides
    const moved = status === "stalled" ? projected() : undefined;
    const worst = checkSolution(problem, best).worst;
    let [at, error, warnings] = [best, worst, [] as NonNullable<Outcome["warnings"]>];
    if (moved && moved.worst < error) [at, error] = [moved.point, moved.worst];
    if (fallback && fallback.worst < error) [at, error, warnings] = [fallback.point, fallback.worst, fallback.warnings];
    if (status === "stalled" && error <= Math.sqrt(tolerance)) return { ...finished(at, iteration), warnings };
    return { ...common, status, point: at, warnings };
  };
  /** The plain forms end here: with a point close to the tolerance, or by going on in the square-root form. */
  const escalate = (iteration: number): ReturnType<typeof finished> | boolean => {
    if (!iterate.canEscalate || bestMerit >= LATE) return false;
    const moved = projected();
    if (moved && moved.worst <= CLOSE * tolerance) return finished(moved.point, iteration);
    return iterate.escalate();
  };
  let [primalStep, dualStep] = [0, 0];
  let bestMerit = Number.POSITIVE_INFINITY;
  let sinceBest = 0;
  let sinceProgress = 0;
  let looks = 0;
  const recent = [0, 0, 0].map(() => Number.POSITIVE_INFINITY);
  const lowest = {
    merit: Number.POSITIVE_INFINITY,
    dualResidual: Number.POSITIVE_INFINITY,
    complementarity: Number.POSITIVE_INFINITY,
  };
  for (let iteration = begin.first; ; iteration++) {
    const measures = iterate.measure();
    const { primalResidual, dualResidual, gap } = measures;
    const merit = Math.max(primalResidual, dualResidual, gap);
    if (merit < iterate.bestMerit) iterate.keepBest(merit);
    sinceProgress++;
    const { complementarity } = iterate;
    for (const [name, value] of Object.entries({ merit, dualResidual, complementarity })) {
      if (!(value < 0.9 * lowest[name as keyof typeof lowest])) continue;
      lowest[name as keyof typeof lowest] = value;
      sinceProgress = 0;
    }
    const command = yield { type: "iteration", iteration, primalStep, dualStep, ...measures };
    if (merit <= 0.5 * tolerance) {
      return { status: "optimal", point: point(), iterations: iteration, warmStart: "none" };
    }
    const certificate = findRay(problem, iterate, tolerance);
    if (certificate) {
      return { status: certificate.kind, certificate, best: point(), iterations: iteration, warmStart: "none" };
    }
    if (command !== "continue") return stopped(command, iteration);
    if (iteration >= maximumIterations) return stopped("iteration-limit", iteration);
    const patience = iterate.escalated ? 8 : 40;
    let escalated: ReturnType<typeof escalate> = false;
    if (merit < 0.9 * bestMerit) {
      bestMerit = merit;
      sinceBest = 0;
    } else sinceBest++;
    const tiny = iteration > begin.first && Math.max(primalStep, dualStep) < 1e-6;
    const wrecked = iterate.escalated && merit > 100 * iterate.bestMerit;
    // the careful form near its end: three steps without a factor of SLOW
    const slow = iterate.careful && merit > SLOW * recent[0] && bestMerit < LATE;
    recent.shift();
    recent.push(merit);
    const stuck = tiny || wrecked || sinceBest > patience || sinceProgress > 15 || !Number.isFinite(merit);
    if (stuck || slow || (!iterate.escalated && bestMerit < LATE && sinceBest > PATIENCE)) {
      escalated = escalate(iteration);
      if (typeof escalated === "object") return escalated;
      if (stuck && !escalated) return stopped("stalled", iteration);
      if (escalated) sinceBest = 0;
    }
    let steps = iterate.advance(tolerance);
    if (!steps) {
      escalated = escalate(iteration);
      if (typeof escalated === "object") return escalated;
      if (escalated) steps = iterate.advance(tolerance);
    }
    if (!steps) return stopped("stalled", iteration);
    [primalStep, dualStep] = steps;
    const { share, cosine } = iterate.growth(primalStep);
    if (looks < LOOKS && gap < 0.3 && share > GROWTH && cosine < FLAT) {
      looks++;
      const found = yield* tryFace(iteration + 1, expandVariables(problem, reduced, iterate.dx));
      if (found.outcome) return found.outcome;
      iteration += found.spent;
      // the same face would be found again
      if (found.fallback) looks = LOOKS;
      if (found.fallback && !(fallback && fallback.worst <= found.fallback.worst)) fallback = found.fallback;
    }
  }
}

/** A ray among the current iterate, when the independent check confirms it. */
function findRay(problem: SdpProblem, iterate: Iterate, tolerance: number): Ray | undefined {
  const { reduced } = iterate;
  const signs = iterate.raySigns();
  if (signs.dual < tolerance) {
    const { psdDual, dualRows, multipliers } = iterate.current();
    const dual = expandDual(problem, reduced, psdDual, dualRows, multipliers);
    const ray: Ray = { kind: "primal-infeasible", ...dual };
    if (confirmed(ray)) return ray;
  }
  if (signs.primal < tolerance) {
    const ray: Ray = { kind: "dual-infeasible", x: expandVariables(problem, reduced, iterate.x) };
    if (confirmed(ray)) return ray;
  }
  return undefined;

  function confirmed(ray: Ray): boolean {
    const { improvement, worst } = checkCertificate(problem, ray);
    return improvement > 0 && worst <= tolerance;
  }
}
