// Exact l2 robustness of an argmax over quadratic scores (math.md 10): f_y - f_c is a quadratic, so its exact minimum over
// the ball is one worst case. One decomposition for each unordered pair of classes serves all samples of both.

import { checkLabels, gatherBatch, type NumericBatch, type Radius, ShapeError } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { createEllipsoidRows, type EllipsoidRows, pointsInEllipsoid, quadraticInEllipsoid } from "./ellipsoid.js";
import { type FlipOracle, flipRows, prepareFlip, prepareFlips } from "./flipDistance.js";
import { checkPoints } from "./inputs.js";
import { type MoveOptions, moveSetOf } from "./moveSet.js";
import { checkQuadratic, type Quadratic, subtractQuadratics } from "./quadratic.js";
import { errorBound } from "./worstCase/errorBound.js";
import { type RotatedForm, rotate } from "./worstCase/rotatedForm.js";
import { createRotator } from "./worstCase/rotator.js";
import { prepareOver, radiusValue, solveBatch, type WorstCaseOracle } from "./worstCase/worstCase.js";

export interface PairwiseOptions extends MoveOptions {
  readonly kernels?: Kernels;
}

export interface PairwiseMargins {
  /** Lower bound, exact up to rounding, of min over the ball of f_y - f_c; Infinity for c = y. `[samples, classes]` */
  readonly margins: Float64Array;
  /** Smallest margin of each sample, `[samples]`: the prediction is y on the whole ball when it is positive. */
  readonly worst: Float64Array;
  /** Class that attains it, `[samples]`. */
  readonly rivals: Int32Array;
}

export interface RobustAccuracy {
  /** Share of samples whose prediction equals the label on the whole ball. */
  readonly accuracy: number;
  /** 1 when robust, `[samples]`. */
  readonly robust: Uint8Array;
  readonly radius: number;
}

/** The decompositions of all pairs, for questions at several radii. */
export interface PairwiseOracle {
  readonly classCount: number;
  margins(points: NumericBatch, labels: Int32Array, radius: number | Radius): PairwiseMargins;
  /** Largest radius at which the prediction provably stays the label; 0 when it is wrong at the point. `[samples]` */
  robustRadii(points: NumericBatch, labels: Int32Array): Float64Array;
}

/** C (C - 1) / 2 decompositions. Throws ShapeError or DataError on fewer than two or malformed quadratics. */
export function preparePairwise(quadratics: readonly Quadratic[], options: PairwiseOptions = {}): PairwiseOracle {
  const classCount = quadratics.length;
  if (classCount < 2) {
    throw new ShapeError({ argument: "quadratics", expected: "at least two classes", received: classCount });
  }
  const d = quadratics[0].dimension;
  quadratics.forEach((quadratic, c) => {
    checkQuadratic(quadratic, `quadratics[${c}]`);
    if (quadratic.dimension !== d) {
      const argument = `quadratics[${c}].dimension`;
      throw new ShapeError({ argument, expected: `${d}, as in the first`, received: quadratic.dimension });
    }
  });
  const set = moveSetOf(options, d);
  const kernels = options.kernels ?? chooseKernels();
  if (set && set.fixed.length > 0) {
    const makePair = (first: number, second: number): PairSolver => {
      const difference = subtractQuadratics(quadratics[first], quadratics[second]);
      let oracle: WorstCaseOracle | null = null;
      let flips: FlipOracle | null = null;
      return {
        margins(points, signs, radius) {
          oracle ??= prepareOver(difference, set, kernels);
          return oracle.solve(points, signs, radius, { points: false }).values;
        },
        distances(points, signs) {
          flips ??= prepareFlips(difference, set, kernels);
          return flips.solve(points, signs, false).distances;
        },
      };
    };
    return combinePairs(classCount, d, makePair, null);
  }
  const ellipsoid = set?.shape ?? null;
  const scores = ellipsoid
    ? quadratics.map((quadratic) => quadraticInEllipsoid(quadratic, ellipsoid, kernels))
    : quadratics;
  const forms: RotatedForm[][] = scores.map((_, first) =>
    scores.map((_, second) =>
      second > first ? rotate(subtractQuadratics(scores[first], scores[second]), kernels) : emptyForm,
    ),
  );
  const rotator = createRotator(kernels, d, Math.max(...forms.flat().map(({ rank }) => rank)));
  const makePair = (first: number, second: number): PairSolver => {
    const form = forms[first][second];
    return {
      margins(points, signs, radius) {
        rotator.use(form);
        const prepared = { form, bound: errorBound(form), rotator };
        return solveBatch(prepared, points, signs, radius, false).values;
      },
      distances(points, signs) {
        rotator.use(form);
        return flipRows(prepareFlip(form), rotator, points, signs, false).distances;
      },
    };
  };
  return combinePairs(classCount, d, makePair, ellipsoid && createEllipsoidRows(ellipsoid, d, kernels));
}

/** Worst values and flip distances of f_first - f_second, with signs +1 for samples of the first class. */
interface PairSolver {
  margins(points: NumericBatch, signs: Float64Array, radius: number): Float64Array;
  distances(points: NumericBatch, signs: Float64Array): Float64Array;
}

const emptyForm = { rank: 0 } as RotatedForm;

/** Asks each pair about the samples of its classes. `rows`: points are moved into their coordinates first. */
function combinePairs(
  classCount: number,
  d: number,
  makePair: (first: number, second: number) => PairSolver,
  rows: EllipsoidRows | null,
): PairwiseOracle {
  const pairs: { first: number; second: number; solver: PairSolver }[] = [];
  for (let first = 0; first < classCount; first++) {
    for (let second = first + 1; second < classCount; second++) {
      pairs.push({ first, second, solver: makePair(first, second) });
    }
  }

  /** Calls `visit` with the samples of each pair: +1 for those of the first class. */
  function forEachPair(
    given: NumericBatch,
    labels: Int32Array,
    visit: (pair: (typeof pairs)[number], points: NumericBatch, signs: Float64Array, positions: number[]) => void,
  ): void {
    const [samples] = checkPoints(given, "points", d);
    checkLabels(labels, samples, classCount);
    const points = rows ? pointsInEllipsoid(given, rows) : given;
    const byClass: number[][] = Array.from({ length: classCount }, () => []);
    for (let i = 0; i < samples; i++) byClass[labels[i]].push(i);
    for (const pair of pairs) {
      const positions = [...byClass[pair.first], ...byClass[pair.second]];
      if (positions.length === 0) continue;
      const signs = Float64Array.from(positions, (_, t) => (t < byClass[pair.first].length ? 1 : -1));
      visit(pair, gatherBatch(points, positions), signs, positions);
    }
  }

  return {
    classCount,
    margins(points, labels, radius) {
      const r = radiusValue(radius);
      const samples = labels.length;
      const margins = new Float64Array(samples * classCount).fill(Number.POSITIVE_INFINITY);
      const worst = new Float64Array(samples).fill(Number.POSITIVE_INFINITY);
      const rivals = new Int32Array(samples);
      forEachPair(points, labels, ({ first, second, solver }, batch, signs, positions) => {
        const values = solver.margins(batch, signs, r);
        positions.forEach((i, t) => {
          const rival = signs[t] > 0 ? second : first;
          margins[i * classCount + rival] = values[t];
          if (values[t] >= worst[i]) return;
          worst[i] = values[t];
          rivals[i] = rival;
        });
      });
      return { margins, worst, rivals };
    },
    robustRadii(points, labels) {
      const radii = new Float64Array(labels.length).fill(Number.POSITIVE_INFINITY);
      forEachPair(points, labels, ({ solver }, batch, signs, positions) => {
        const distances = solver.distances(batch, signs);
        positions.forEach((i, t) => {
          radii[i] = Math.min(radii[i], distances[t]);
        });
      });
      return radii;
    },
  };
}

/**
 * Exact worst margins f_y - f_c over the ball for every other class and their minimum.
 * points `[samples, features]`, labels: class indices `[samples]`, radius in feature space. Source: math.md 10.
 */
export function pairwiseWorstMargins(
  quadratics: readonly Quadratic[],
  points: NumericBatch,
  labels: Int32Array,
  radius: number | Radius,
  options: PairwiseOptions = {},
): PairwiseMargins {
  return preparePairwise(quadratics, options).margins(points, labels, radius);
}

/** Exact l2 robust accuracy of the argmax: a sample counts when all its pairwise worst margins are positive. */
export function exactRobustAccuracy(
  quadratics: readonly Quadratic[],
  points: NumericBatch,
  labels: Int32Array,
  radius: number | Radius,
  options: PairwiseOptions = {},
): RobustAccuracy {
  const { worst } = pairwiseWorstMargins(quadratics, points, labels, radius, options);
  const robust = Uint8Array.from(worst, (margin) => (margin > 0 ? 1 : 0));
  return { accuracy: robust.reduce((sum, hit) => sum + hit, 0) / robust.length, robust, radius: radiusValue(radius) };
}
