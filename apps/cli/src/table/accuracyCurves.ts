// Accuracy of a model on labelled rows against the size of the perturbation, for `certify --plot`:
//   clean    l2, exact (every row's exact robust radius)    l-infinity, certified (relaxation only) and exact (branch and bound)
// Robustness can only be lost as the box grows, so a row broken at one size is not looked at again.

import { gatherBatch, type NumericBatch, throwIfAborted } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import {
  linfArgmaxRobustness,
  type MoveOptions,
  type PolynomialModel,
  preparePairwise,
  standardise,
} from "@worstcase/polynomial";
import type { Curve } from "../plot/curvePlot.js";
import { shareOf } from "./accuracy.js";

export interface CurveOptions {
  /** Largest radius of the plot, in the model's units; default: where 9 of 10 rows are lost in l2. */
  readonly largest?: number | undefined;
  readonly exactFeatures: number;
  readonly maxNodes: number;
  readonly kernels: Kernels;
  /** As for the rows. */
  readonly moves: MoveOptions;
  readonly signal?: AbortSignal;
}

export interface AccuracyCurves {
  readonly curves: readonly Curve[];
  readonly largest: number;
  /** Sizes and rows at which branch and bound gave up: they count as not robust. */
  readonly undecided: number;
}

const l2Steps = 120;
/** Sizes of boxes on the axis, as many again where the corners of a box are far out and accuracy falls early. */
const boxSteps = 16;

/** points `[rows, features]` as in the table, labels: class indices `[rows]`. */
export function accuracyCurves(
  model: PolynomialModel,
  points: NumericBatch,
  labels: Int32Array,
  { largest: wanted, exactFeatures, maxNodes, kernels, moves, signal }: CurveOptions,
): AccuracyCurves {
  const rows = labels.length;
  const inputs = standardise(points, model.standardisation);
  const radii = preparePairwise(model.quadratics, { kernels, ...moves }).robustRadii(inputs, labels);
  const predicted = model.predict(points);
  const correct = Array.from(labels.keys()).filter((i) => predicted[i] === labels[i]);
  const largest = wanted ?? typicalRadius(correct.map((i) => radii[i]!));
  const point = (x: number, robust: (row: number) => boolean) => {
    const { value, interval } = shareOf(rows, robust);
    return { x, y: value, lower: interval[0], upper: interval[1] };
  };
  const right = (i: number) => predicted[i] === labels[i];
  const clean = { name: "clean", points: [point(0, right), point(largest, right)] };
  const l2 = {
    name: "l2, exact",
    points: grid(largest, l2Steps).map((r) => point(r, (i) => right(i) && radii[i]! > r)),
  };
  const certified: Curve["points"][number][] = [point(0, right)];
  const exact: Curve["points"][number][] = [point(0, right)];
  const withExact = model.features <= exactFeatures;
  let undecided = 0;
  let open = correct;
  const parts = Math.ceil(Math.sqrt(model.features) / 3);
  const sizes = grid(largest, parts * boxSteps).slice(1);
  for (const [step, epsilon] of sizes.entries()) {
    throwIfAborted(signal, "certify");
    if (open.length === 0 && (step + 1) % parts !== 0) continue;
    const certain = new Set<number>();
    const robust = new Set<number>();
    if (open.length > 0) {
      const [batch, signs] = [gatherBatch(inputs, open), Int32Array.from(open, (i) => labels[i]!)];
      const options = { kernels, maxNodes, ...(moves.immutable && { immutable: moves.immutable }) };
      const relaxed = linfArgmaxRobustness(model.quadratics, batch, signs, epsilon, { ...options, exact: "never" });
      const settled = withExact
        ? linfArgmaxRobustness(model.quadratics, batch, signs, epsilon, { ...options, exact: "always" })
        : relaxed;
      open.forEach((i, t) => {
        if (relaxed.verdicts[t] === "robust") certain.add(i);
        if (settled.verdicts[t] === "robust") robust.add(i);
        if (withExact && settled.verdicts[t] === "unknown") undecided++;
      });
      open = open.filter((_, t) => settled.verdicts[t] !== "broken");
    }
    certified.push(point(epsilon, (i) => certain.has(i)));
    exact.push(point(epsilon, (i) => robust.has(i)));
  }
  const boxes = { name: "l-infinity, certified", points: certified, dots: true };
  const minima = { name: "l-infinity, exact", points: exact, dots: true };
  return { curves: [clean, l2, boxes, ...(withExact ? [minima] : [])], largest, undecided };
}

function grid(largest: number, steps: number): number[] {
  return Array.from({ length: steps + 1 }, (_, k) => (largest * k) / steps);
}

/** The 90 % quantile of the finite radii, rounded up to two digits; 1 when there is none. */
function typicalRadius(radii: readonly number[]): number {
  const finite = radii.filter((radius) => Number.isFinite(radius) && radius > 0).sort((a, b) => a - b);
  const quantile = finite[Math.min(finite.length - 1, Math.ceil(0.9 * finite.length))];
  if (quantile === undefined) return 1;
  const unit = 10 ** (Math.floor(Math.log10(quantile)) - 1);
  return Math.ceil(quantile / unit) * unit;
}
