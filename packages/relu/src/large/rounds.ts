// The rounds of a large fit. One round: an exact float64 pass at the point reached (true objective, dual pair over ALL gates, multipliers), then the
// groups and rows that can matter are chosen and float32 steps are taken on them alone. Bounds and objectives come from passes only.
//   objective = 1/n sum of losses + beta sum ||t_pc||,   bound from pairs (-grad, sum a) as in gated/dualBound.ts
// A round moves the centres of the smoothed hinge when the steps before it had settled (method of multipliers).
// point: groups in use, class by class, [groups, D]   gradient: [C, P, D]

import { throwIfAborted } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import { squaredReach } from "../ballSupport.js";
import { type BundleState, DualBundle } from "../gated/dualBound.js";
import type { Objective } from "../program/objective.js";
import { sumOfGroupNorms } from "../proximal/acceleratedProximal.js";
import { RowReader } from "./featureRows.js";
import { chooseGroups, countGroups, type Lists } from "./groups.js";
import { type LowRankMetric, lowRankMetric } from "./lowRankMetric.js";
import { BUNDLE } from "./memory.js";
import { takeSteps } from "./restrictedSteps.js";
import { patternWords, widthOf } from "./shardData.js";
import type { Team, TeamValue } from "./team.js";
import { chooseRows } from "./workingRows.js";

/** Width of the smoothed hinge; of the first pass at a zero model, where it makes every multiplier 1; of the first pass at a given model. */
const HINGE_SMOOTHING = 2;
const ZERO_SMOOTHING = 1;
const GIVEN_SMOOTHING = 0.25;
/** First width of the smoothed norm, and what every move of the centres multiplies it by, down to a floor. */
const NORM_SMOOTHING = 0.1;
const NORM_DECAY = 0.7;
const NORM_FLOOR = 1e-6;
/** Share of all groups that the first round may add, and growth in later ones. */
const FIRST_SHARE = 0.1;
const GROWTH = 0.5;
/** Steps of a round, at most: first, growth by round, most. */
const STEPS = { first: 40, more: 10, most: 120 };
/** Hinge arguments down to minus this are kept in the working rows; it follows how many rows were missed. */
const DEPTH = { first: 0.5, least: 0.1, most: 8 };
/** Samples the metric is made from. */
const PICKED = 320;
/** Rounds without one percent less gap after which the method gives up. */
const PATIENCE = 25;

export type LargeStatus = "optimal" | "zero-optimal" | "step-limit" | "time-limit" | "stalled";

export interface LargeProgress {
  readonly type: "round";
  /** Samples of the level: a part of them first, then all. */
  readonly samples: number;
  readonly round: number;
  readonly steps: number;
  readonly objective: number;
  readonly lowerBound: number;
  readonly gap: number;
  /** Groups in use, of gates x classes. */
  readonly groups: number;
  /** Samples that the steps before this round touched. */
  readonly rows: number;
  readonly seconds: number;
}

/** What a later round depends on; arrays are not shared with the run. */
export interface RoundState {
  readonly numbers: {
    readonly round: number;
    readonly steps: number;
    readonly curvature: number;
    readonly normSmoothing: number;
    readonly depth: number;
    readonly markGap: number;
    readonly markRound: number;
    readonly objective: Objective;
    readonly bound: number;
    readonly sums: readonly number[];
  };
  readonly lists: Lists;
  readonly point: Float64Array;
  readonly bestLists: Lists;
  readonly best: Float64Array;
  readonly pairs: readonly Float64Array[];
  readonly centres: Float32Array;
  readonly excess: Float32Array;
}

export interface RoundOptions {
  readonly beta: number;
  readonly tolerance: number;
  readonly mostSteps: number;
  readonly mostRounds: number;
  /** performance.now() after which no more steps are taken. */
  readonly deadline: number;
  readonly where: string;
  readonly start?: { readonly lists: Lists; readonly point: Float64Array } | undefined;
  readonly resume?: RoundState | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onRound?: ((progress: LargeProgress) => void) | undefined;
  /** Called after every pass but the last with a function that makes the state. */
  readonly onState?: ((state: () => RoundState) => void) | undefined;
}

export interface RoundsOutcome {
  readonly status: LargeStatus;
  readonly objective: Objective;
  readonly lowerBound: number;
  readonly gap: number;
  readonly rounds: number;
  readonly steps: number;
  readonly lists: Lists;
  readonly point: Float64Array;
}

const relativeGap = (total: number, bound: number) => (total > 0 ? Math.max(0, (total - bound) / total) : 0);

export async function runRounds(team: Team, kernels: Kernels, options: RoundOptions): Promise<RoundsOutcome> {
  const { task } = team;
  const { beta, tolerance, start, resume } = options;
  const { classCount, gates } = task;
  const { samples } = task.rows;
  const width = widthOf(task);
  const began = performance.now();
  const gradient = new Float64Array(classCount * gates.count * width);
  const duals = new DualBundle(gradient.length, width, beta, BUNDLE);
  duals.best = 0;
  let lists: Lists = start?.lists ?? Array.from({ length: classCount }, () => new Int32Array(0));
  let point = start?.point ?? new Float64Array(0);
  let objective: Objective = { total: classCount - 1, loss: classCount - 1, regulariser: 0 };
  let best: Float64Array = new Float64Array(0);
  let bestLists: Lists = Array.from({ length: classCount }, () => new Int32Array(0));
  let [round, steps, curvature, normSmoothing, depth] = [0, 0, 0, NORM_SMOOTHING, DEPTH.first];
  let mark = { gap: 2, round: 0 };
  let recentre = start !== undefined;
  let chosen = samples;
  let working: Uint8Array | null = null;
  const value: TeamValue = { smooth: 0, loss: 0, dualSum: 0 };

  const finish = (status: LargeStatus): RoundsOutcome => ({
    status: status === "optimal" && objective.regulariser === 0 ? "zero-optimal" : status,
    objective,
    lowerBound: duals.best,
    gap: relativeGap(objective.total, duals.best),
    rounds: round,
    steps,
    lists: bestLists,
    point: best,
  });

  if (resume) {
    ({ round, steps, curvature, normSmoothing, depth, objective } = resume.numbers);
    mark = { gap: resume.numbers.markGap, round: resume.numbers.markRound };
    ({ lists, point, bestLists, best } = resume);
    task.centres.set(resume.centres);
    task.excess.set(resume.excess);
    duals.restore(bundleState(resume, gradient.length));
    const last = resume.pairs[resume.pairs.length - 1];
    for (let k = 0; k < gradient.length; k++) gradient[k] = -last[k];
  }

  for (let fresh = resume !== undefined; ; fresh = false) {
    throwIfAborted(options.signal, options.where);
    if (!fresh) {
      round++;
      const hinge = round > 1 ? HINGE_SMOOTHING : start ? GIVEN_SMOOTHING : ZERO_SMOOTHING;
      team.pass(lists, point, { hinge, norm: normSmoothing }, recentre, gradient, value);
      if (recentre) normSmoothing = Math.max(NORM_FLOOR, NORM_DECAY * normSmoothing);
      depth = nextDepth(team, working, depth);
      const regulariser = beta * sumOfGroupNorms(point, width);
      if (value.loss + regulariser < objective.total || round === 1) {
        objective = { total: value.loss + regulariser, loss: value.loss, regulariser };
        best = point.slice();
        bestLists = lists.map((list) => list.slice());
      }
      duals.add(gradient, value.dualSum, 1);
      duals.keepGradient(gradient, value.dualSum);
      duals.polish(100);
      const gap = relativeGap(objective.total, duals.best);
      options.onRound?.({
        ...{ type: "round", samples, round, steps, objective: objective.total, lowerBound: duals.best, gap },
        ...{ groups: countGroups(lists), rows: chosen, seconds: (performance.now() - began) / 1000 },
      });
      if (gap <= tolerance) return finish("optimal");
      if (steps >= options.mostSteps || round >= options.mostRounds) return finish("step-limit");
      if (performance.now() >= options.deadline) return finish("time-limit");
      if (gap < 0.99 * mark.gap) mark = { gap, round };
      else if (round - mark.round >= PATIENCE) return finish("stalled");
      options.onState?.(() => ({
        numbers: {
          ...{ round, steps, curvature, normSmoothing, depth, objective, bound: duals.best, sums: duals.state().sums },
          ...{ markGap: mark.gap, markRound: mark.round },
        },
        ...{ lists, point: point.slice(), bestLists, best, pairs: duals.state().pairs },
        ...{ centres: task.centres.slice(), excess: task.excess.slice() },
      }));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const all = gates.count * classCount;
    const most =
      round === 1 && !start ? Math.ceil(FIRST_SHARE * all) : Math.ceil(GROWTH * countGroups(lists)) + classCount;
    ({ lists, point } = chooseGroups(gradient, lists, point, { beta, width, gateCount: gates.count, most }));
    team.select(lists, depth);
    chosen = team.rows;
    working = markRows(team, depth);
    const metric = metricOf(team, lists, depth, kernels);
    const outcome = await takeSteps(team, metric, point, {
      ...{ beta, width, smoothing: { hinge: HINGE_SMOOTHING, norm: normSmoothing } },
      curvature: curvature > 0 ? curvature : (2 / HINGE_SMOOTHING) * (chosen / samples),
      mostSteps: Math.min(options.mostSteps - steps, STEPS.most, STEPS.first + STEPS.more * (round - 1)),
      pause: async () => {
        throwIfAborted(options.signal, options.where);
        await new Promise((resolve) => setTimeout(resolve, 0));
        return performance.now() < options.deadline;
      },
    });
    ({ point, curvature } = outcome);
    recentre = outcome.settled;
    steps += outcome.steps;
  }
}

function bundleState(resume: RoundState, length: number): BundleState {
  const { bound, sums } = resume.numbers;
  return { best: bound, average: new Float64Array(length), averageSum: 0, averageWeight: 0, pairs: resume.pairs, sums };
}

function everyRow({ task }: Team, depth: number): Int32Array {
  const { samples } = task.rows;
  return chooseRows(task, { from: 0, to: samples }, depth);
}

function markRows(team: Team, depth: number): Uint8Array {
  const marks = new Uint8Array(team.task.rows.samples);
  for (const i of everyRow(team, depth)) marks[i] = 1;
  return marks;
}

/** Deeper when the steps missed rows that matter now, shallower when they missed none. */
function nextDepth(team: Team, working: Uint8Array | null, depth: number): number {
  if (!working) return depth;
  const needed = everyRow(team, 0);
  let missed = 0;
  for (const i of needed) if (working[i] === 0) missed++;
  const share = missed / Math.max(1, needed.length);
  return share > 0.01 ? Math.min(DEPTH.most, 1.5 * depth) : share < 0.001 ? Math.max(DEPTH.least, 0.9 * depth) : depth;
}

// From evenly spaced samples of those that matter.
function metricOf(team: Team, lists: Lists, depth: number, kernels: Kernels): LowRankMetric {
  const { task } = team;
  const width = widthOf(task);
  const rows = everyRow(team, depth);
  const from = rows.length >= 32 ? rows : Int32Array.from({ length: task.rows.samples }, (_, i) => i);
  const count = Math.min(PICKED, from.length);
  const picked = Int32Array.from({ length: count }, (_, t) => from[Math.floor((t * from.length) / count)]);
  const points = new Float64Array(count * width);
  const reader = new RowReader(task.rows, 1);
  const reach = Math.sqrt(squaredReach(task.norm, task.radius, task.rows.featureCount));
  picked.forEach((i, t) => {
    reader.read(i, 1, points.subarray(t * width, (t + 1) * width), width);
    if (task.bias) points[t * width + task.rows.featureCount] = 1;
  });
  reader.close();
  const words = patternWords(task.gates.count);
  const bits = lists.map((list) => {
    const values = new Float64Array(count * list.length);
    picked.forEach((i, t) => {
      list.forEach((p, k) => {
        values[t * list.length + k] = (task.patterns[i * words + (p >> 5)] >>> (p & 31)) & 1;
      });
    });
    return { values, count: list.length };
  });
  return lowRankMetric(points, count, width, bits, kernels, reach);
}
