// Exact l2 robustness of an argmax over quadratic scores (math.md 10): f_y - f_c is a quadratic, so its exact minimum over
// the ball is one worst case. One decomposition for each unordered pair of classes serves all samples of both.

import { checkLabels, gatherBatch, type NumericBatch, type Radius, ShapeError } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { checkEllipsoid, pointsInEllipsoid, quadraticInEllipsoid } from "./ellipsoid.js";
import { flipRows, prepareFlip } from "./flipDistance.js";
import { checkPoints } from "./inputs.js";
import { checkQuadratic, type Quadratic, subtractQuadratics } from "./quadratic.js";
import { errorBound } from "./worstCase/errorBound.js";
import { type RotatedForm, rotate } from "./worstCase/rotatedForm.js";
import { createRotator } from "./worstCase/rotator.js";
import { createTrustRegionSolver } from "./worstCase/trustRegion.js";
import { radiusValue, solveBatch } from "./worstCase/worstCase.js";

export interface PairwiseOptions {
  readonly kernels?: Kernels;
  /** Lower triangular L: the adversary moves by L z, ||z|| <= r, instead of a ball. `[features, features]` */
  readonly ellipsoid?: Float64Array;
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
  const { ellipsoid } = options;
  if (ellipsoid) checkEllipsoid(ellipsoid, d);
  const kernels = options.kernels ?? chooseKernels();
  const scores = ellipsoid ? quadratics.map((quadratic) => quadraticInEllipsoid(quadratic, ellipsoid)) : quadratics;
  const pairs: { first: number; second: number; form: RotatedForm }[] = [];
  for (let first = 0; first < classCount; first++) {
    for (let second = first + 1; second < classCount; second++) {
      pairs.push({ first, second, form: rotate(subtractQuadratics(scores[first], scores[second]), kernels) });
    }
  }
  const rotator = createRotator(kernels, d, Math.max(...pairs.map((pair) => pair.form.rank)));

  /** Calls `visit` with the samples of each pair: +1 for those of the first class. */
  function forEachPair(
    given: NumericBatch,
    labels: Int32Array,
    visit: (pair: (typeof pairs)[number], points: NumericBatch, signs: Float64Array, positions: number[]) => void,
  ): void {
    const [samples] = checkPoints(given, "points", d);
    checkLabels(labels, samples, classCount);
    const points = ellipsoid ? pointsInEllipsoid(given, ellipsoid) : given;
    const byClass: number[][] = Array.from({ length: classCount }, () => []);
    for (let i = 0; i < samples; i++) byClass[labels[i]].push(i);
    for (const pair of pairs) {
      const positions = [...byClass[pair.first], ...byClass[pair.second]];
      if (positions.length === 0) continue;
      const signs = Float64Array.from(positions, (_, t) => (t < byClass[pair.first].length ? 1 : -1));
      rotator.use(pair.form);
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
      forEachPair(points, labels, ({ first, second, form }, batch, signs, positions) => {
        const prepared = { form, solver: createTrustRegionSolver(form), bound: errorBound(form), rotator };
        const { values } = solveBatch(prepared, batch, signs, r, false);
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
      forEachPair(points, labels, ({ form }, batch, signs, positions) => {
        const { distances } = flipRows(prepareFlip(form), rotator, batch, signs, false);
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
