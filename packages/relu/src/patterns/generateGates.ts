// Column generation for the gated program (math.md 13.4): solve over the present gates, look for gates that the dual point of the
// solution does not satisfy among random and locally improved ones, add the worst, repeat. A gate joins only if its violation exceeds 1:
// otherwise it cannot lower the objective. Every round reports
//   objective, lowerBound     certified over the present gates (nested programs: the objective can only fall)
//   estimate                  the lower bound if no unsampled gate had a larger violation than the largest one found. NOT a certificate
//   allPatternsBound          certified over all 2^n bit columns, usually far below
//   improvingProbability      with probability 1 - psi, a fresh gate of this kind improves with at most this probability (Clopper-Pearson)
// features: [n, d]

import { type NumericBatch, type Rng, SettingError, throwIfAborted, type WorkOptions } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { checkOptions, checkPositive, checkRng } from "../checks.js";
import { scaledDual } from "../gated/newton/certifier.js";
import { followPath } from "../gated/newton/pathFollowing.js";
import type { Objective } from "../program/objective.js";
import { type Answers, createProgram, type ProgramOptions, type ReluProgram } from "../program/program.js";
import type { FitStatus } from "../proximal/minimise.js";
import { CandidateScores, largestViolationOfAnyPattern, type ScoredGate } from "./candidateScores.js";
import { type GateKind, gateDraw } from "./gateDraws.js";
import { type GateSet, gatesFromVectors, refuseTrainingPatterns } from "./gateSet.js";
import { GateEvaluator, isSilent, PatternTable } from "./packedPatterns.js";
import { scenarioImprovementProbability } from "./scenarioBound.js";

export interface GenerateGatesOptions extends ProgramOptions, WorkOptions<GenerationRound> {
  readonly rng: Rng;
  /** Kind of the random candidates (default gaussian; not perturbed-data, whose patterns no gate need have). */
  readonly candidateKind?: GateKind;
  /** Random candidates per round (default 500). */
  readonly candidates?: number;
  /** Steps of local ascent on each of the best candidates (default 20; 0 for none). */
  readonly improvementSteps?: number;
  /** Most gates added per round (default 20). */
  readonly added?: number;
  /** Default 10. */
  readonly maximumRounds?: number;
  /** Relative gap each solve is driven to, and relative improvement still worth a round (default 1e-4). */
  readonly tolerance?: number;
  /** Probability that `improvingProbability` fails (default 0.01). */
  readonly psi?: number;
  readonly kernels?: Kernels;
}

export interface GenerationRound {
  readonly type: "round";
  readonly round: number;
  readonly gates: number;
  readonly solved: FitStatus;
  readonly objective: number;
  readonly lowerBound: number;
  readonly estimate: number;
  readonly allPatternsBound: number;
  /** Random candidates with a violation above 1, of `candidates`, before local ascent. */
  readonly improving: number;
  readonly improvingProbability: number;
  /** Largest violation found, also by local ascent; at most 1 means that nothing found improves. */
  readonly largestViolation: number;
}

export interface GeneratedGates {
  /**
   * `none-found`: no candidate of the last round improves by more than the tolerance. `round-limit`: some did. `stalled`: none was found, but the
   * last program was not solved to the tolerance, so that they could not be judged.
   */
  readonly status: "none-found" | "round-limit" | "stalled";
  readonly gates: GateSet;
  readonly objective: Objective;
  /** Pieces of the last solution, `[gates, outputs, d (+1)]` in the outputs of the program. */
  readonly pieces: Float64Array;
  readonly rounds: readonly GenerationRound[];
}

/**
 * Grows `options.gates` until no better gate is found. Throws ShapeError, DataError or SettingError before work starts, AbortedError when
 * the signal fires.
 */
export async function generateGates(
  features: NumericBatch,
  answers: Answers,
  options: GenerateGatesOptions,
): Promise<GeneratedGates> {
  checkOptions(options);
  checkRng(options.rng);
  const {
    rng,
    candidates = 500,
    added = 20,
    maximumRounds = 10,
    tolerance = 1e-4,
    psi = 0.01,
    improvementSteps = 20,
  } = options;
  checkPositive(candidates, "options.candidates");
  checkPositive(added, "options.added");
  checkPositive(maximumRounds, "options.maximumRounds");
  if (!Number.isSafeInteger(improvementSteps) || improvementSteps < 0) {
    throw new SettingError({
      argument: "options.improvementSteps",
      expected: "an integer >= 0",
      received: improvementSteps,
    });
  }
  if (!(tolerance > 0))
    throw new SettingError({ argument: "options.tolerance", expected: "a number > 0", received: tolerance });
  if (!(psi > 0 && psi < 1))
    throw new SettingError({ argument: "options.psi", expected: "a number in (0, 1)", received: psi });
  const kind = options.candidateKind ?? {};
  refuseTrainingPatterns(options.gates, "options.gates");
  if (kind.kind === "perturbed-data") {
    const expected = "gates whose patterns are the signs of g'x";
    throw new SettingError({ argument: "options.candidateKind", expected, received: "perturbed-data" });
  }
  const kernels = options.kernels ?? chooseKernels();
  let gates = options.gates;
  let program = createProgram(features, answers, { ...options, gates });
  const draw = gateDraw(features, kind, gates.bias, rng);
  const rounds: GenerationRound[] = [];
  let start: Float64Array | undefined;
  for (let round = 1; ; round++) {
    throwIfAborted(options.signal, "generateGates");
    const solution = await followPath(program, kernels, {
      tolerance,
      maximumIterations: 2000,
      start,
      where: "generateGates",
      signal: options.signal,
    });
    const { linear, quadratic, slopes } = solution.dual;
    const s = feasibleScale(program, slopes);
    const scaled = slopes.map((value) => s * value);
    const scores = new CandidateScores(program, features, scaled);
    const fresh = new Float64Array(candidates * (program.featureCount + (gates.bias ? 1 : 0)));
    const width = fresh.length / candidates;
    for (let g = 0; g < candidates; g++) draw(fresh.subarray(g * width, (g + 1) * width));
    const found = scores.violations(fresh, candidates);
    const order = Array.from(found.keys()).sort((a, b) => found[b] - found[a]);
    const scored: ScoredGate[] = order.slice(0, 2 * added).map((g) => {
      const gate = fresh.slice(g * width, (g + 1) * width);
      return improvementSteps > 0 ? scores.improve(gate, improvementSteps) : { gate, violation: found[g] };
    });
    scored.sort((a, b) => b.violation - a.violation);
    const largestViolation = scored[0]?.violation ?? 0;
    const improving = found.filter((violation) => violation > 1).length;
    const all = largestViolationOfAnyPattern(program, scaled);
    const report: GenerationRound = {
      type: "round",
      round,
      gates: program.gateCount,
      solved: solution.status,
      objective: solution.objective.total,
      lowerBound: solution.lowerBound,
      estimate: Math.min(solution.lowerBound, scaledDual(s * linear, s * s * quadratic, largestViolation)),
      allPatternsBound: Math.min(solution.lowerBound, scaledDual(s * linear, s * s * quadratic, all)),
      improving,
      // the binomial condition with improving + 1 variables is the Clopper-Pearson bound
      improvingProbability: scenarioImprovementProbability(candidates, { dualVariables: improving + 1, psi }),
      largestViolation,
    };
    rounds.push(report);
    options.onEvent?.(report);
    const chosen = newPatterns(
      features,
      gates,
      scored.filter(({ violation }) => violation > 1 + tolerance),
      added,
    );
    const result = { gates, objective: solution.objective, pieces: solution.pieces, rounds };
    const worth = report.objective - report.estimate > tolerance * report.objective;
    const solved = solution.gap <= tolerance;
    if (chosen.length === 0 || !worth) return { status: solved ? "none-found" : "stalled", ...result };
    if (round >= maximumRounds) return { status: "round-limit", ...result };
    gates = joined(features, gates, chosen);
    program = createProgram(features, answers, { ...options, gates });
    start = new Float64Array(program.gateCount * program.outputs * program.width);
    start.set(solution.pieces);
  }
}

// s with every present gate satisfied.
function feasibleScale(program: ReluProgram, slopes: Float64Array): number {
  const { samples, gateCount, outputs, width, bits, beta, regulariser } = program;
  const row = outputs * width;
  const h = new Float64Array(gateCount * row);
  for (let i = 0; i < samples; i++) {
    for (let p = 0; p < gateCount; p++) {
      if (bits[i * gateCount + p] === 1) for (let k = 0; k < row; k++) h[p * row + k] += slopes[i * row + k];
    }
  }
  let largest = 0;
  for (let from = 0; from < h.length; from += width) {
    let size = 0;
    for (let k = from; k < from + width; k++) {
      size = regulariser === "l1" ? Math.max(size, Math.abs(h[k])) : size + h[k] * h[k];
    }
    largest = Math.max(largest, regulariser === "l1" ? size : Math.sqrt(size));
  }
  return Math.min(1, (samples * beta) / largest || 1);
}

function newPatterns(
  features: NumericBatch,
  present: GateSet,
  scored: readonly ScoredGate[],
  most: number,
): Float64Array[] {
  const evaluator = new GateEvaluator(features, present.bias);
  const table = new PatternTable();
  const { words } = evaluator;
  const known = evaluator.patterns(present.gates, present.count);
  for (let p = 0; p < present.count; p++) table.add(known.subarray(p * words, (p + 1) * words));
  const chosen: Float64Array[] = [];
  for (const { gate } of scored) {
    if (chosen.length >= most) break;
    const pattern = evaluator.patterns(gate, 1);
    if (!isSilent(pattern) && table.add(pattern).isNew) chosen.push(gate);
  }
  return chosen;
}

function joined(features: NumericBatch, present: GateSet, chosen: readonly Float64Array[]): GateSet {
  const width = present.gates.length / present.count;
  const gates = new Float64Array((present.count + chosen.length) * width);
  gates.set(present.gates);
  chosen.forEach((gate, g) => {
    gates.set(gate, (present.count + g) * width);
  });
  return gatesFromVectors(gates, features, present.bias);
}
