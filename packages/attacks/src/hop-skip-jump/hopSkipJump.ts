// HopSkipJump (Chen et al. 2020, arXiv 1904.02144): a decision-based attack, it sees the predicted class only. From a random
// misclassified point it repeats, for t = 1, 2, ...
//   1. bisection between sample and point, down to the boundary
//   2. a gradient direction from B sqrt(t) random directions u_b: sum (phi_b - mean phi) u_b with phi_b = 1 where the point at distance
//      delta along u_b is misclassified, else -1
//   3. a step of length ||v - x|| / sqrt(t), halved until it stays misclassified
// With d values per sample: bisection to theta = gamma / d^(3/2) (l2), gamma / d^2 (linf); delta = sqrt(d) theta ||v - x|| (l2),
// d theta ||v - x|| (linf), a tenth of the range at first.

import { type Bounds, type Classifier, type NumericBatch, type Rng, SettingError } from "@worstcase/core";
import { sampleRng } from "../attack.js";
import { checkInteger } from "../checks.js";
import { checkFind, type MinimumNormAttack, NearestPoints } from "../minimumNorm.js";
import { everySample, ModelCalls } from "../modelCalls.js";
import { Boundary } from "./boundary.js";
import { estimateDirections } from "./direction.js";

export interface HopSkipJumpSettings {
  /** Repetitions of the three parts. Default 64. */
  readonly steps?: number;
  /** Random directions of the first estimate; later ones grow with the square root of the step. Default 100. */
  readonly firstQueries?: number;
  /** Most random directions of one estimate. Default 10000. */
  readonly mostQueries?: number;
  /** Precision of the bisection, gamma above. Default 1. */
  readonly precision?: number;
  /** Random points tried to find a misclassified one. Default 100. */
  readonly tries?: number;
}

/** HopSkipJump in l2 or linf, from predicted classes alone. Throws SettingError on settings out of range. */
export function hopSkipJump(settings: HopSkipJumpSettings = {}): MinimumNormAttack<Classifier> {
  const { steps = 64, firstQueries = 100, mostQueries = 10_000, precision = 1, tries = 100 } = settings;
  checkInteger(steps, 1, "settings.steps");
  checkInteger(firstQueries, 1, "settings.firstQueries");
  checkInteger(mostQueries, firstQueries, "settings.mostQueries");
  checkInteger(tries, 1, "settings.tries");
  if (!(Number.isFinite(precision) && precision > 0)) {
    throw new SettingError({ argument: "settings.precision", expected: "a finite number > 0", received: precision });
  }
  const needs = { norms: ["l2", "linf"], gradients: false } as const;
  return {
    name: "hop-skip-jump",
    kind: "gradient-free",
    needs,
    settings: { steps, firstQueries, mostQueries, precision, tries },
    async find(model, batch, options): Promise<NumericBatch> {
      checkFind(model, batch, { name: "hop-skip-jump", needs }, options);
      const calls = new ModelCalls<Classifier>(model, batch, options.signal, "hop-skip-jump");
      const nearest = new NearestPoints(batch, options.norm, options.reach);
      const everyone = everySample(batch.labels.length);
      nearest.offerAt(everyone, batch.inputs.data, await calls.logits(batch.inputs.data, everyone));
      const rngs = Array.from(batch.indices, (index) => sampleRng(options.rng, index));
      const d = calls.size;
      const theta = precision / (options.norm === "l2" ? d * Math.sqrt(d) : d * d);
      const boundary = new Boundary(calls, nearest, options.norm, theta);
      await randomMisclassified(calls, nearest, boundary.points, rngs, tries);
      let active = nearest.open().filter((i) => Number.isFinite(nearest.distance[i]));
      await boundary.bisect(active);
      for (let step = 0; step < steps; step++) {
        active = active.filter((i) => nearest.distance[i] > (options.reach ?? 0));
        if (active.length === 0) break;
        const factor = (options.norm === "l2" ? Math.sqrt(d) : d) * theta;
        const first = model.bounds === "unbounded" ? null : 0.1 * (model.bounds.upper - model.bounds.lower);
        const delta = (i: number) => (step === 0 && first !== null ? first : factor * nearest.distance[i]);
        const queries = Math.min(mostQueries, Math.floor(firstQueries * Math.sqrt(step + 1)));
        const { points } = boundary;
        const directions = await estimateDirections(calls, points, active, {
          norm: options.norm,
          queries,
          delta,
          rngs,
        });
        await boundary.advance(active, directions, step);
        await boundary.bisect(active);
        const values = { open: active.length };
        options.onEvent?.({ type: "progress", task: "hop-skip-jump", done: step + 1, total: steps, values });
      }
      return { data: nearest.points, shape: batch.inputs.shape };
    },
  };
}

/** Sets the points of samples that are classified correctly to random misclassified points of the bounds, where some try hits one. */
async function randomMisclassified(
  calls: ModelCalls<Classifier>,
  nearest: NearestPoints,
  points: Float32Array | Float64Array,
  rngs: readonly Rng[],
  tries: number,
): Promise<void> {
  const { data } = calls.batch.inputs;
  const { bounds } = calls.model;
  let missing = Int32Array.from(nearest.distance.keys()).filter((i) => nearest.distance[i] > 0);
  for (let attempt = 0; attempt < tries && missing.length > 0; attempt++) {
    for (const i of missing) {
      for (let k = i * calls.size; k < (i + 1) * calls.size; k++)
        points[k] = randomValue(data[k], bounds, attempt, rngs[i]);
    }
    const fooled = nearest.offerAt(missing, points, await calls.logits(points, missing));
    missing = missing.filter((_, j) => !fooled[j]);
  }
}

/** Uniform in the bounds; without bounds normal noise that grows tenfold in ten attempts. */
function randomValue(input: number, bounds: Bounds, attempt: number, rng: Rng): number {
  if (bounds === "unbounded") return input + 10 ** (attempt / 10) * rng.normal();
  return bounds.lower + (bounds.upper - bounds.lower) * rng.uniform();
}
