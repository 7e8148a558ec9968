// Fast adaptive boundary attack (Croce and Hein 2020, arXiv 1907.02044): looks for the nearest misclassified point. With the
// linearised boundary {z: w . (z - v) + f = 0}, f = f_t - f_y and w its gradient at the current point v,
//   d1, d2 = shortest steps from v and from the sample x to the boundary inside the bounds (hyperplaneStep.ts)
//   a = min(||d1|| / (||d1|| + ||d2||), 0.1),   v+ = clip((1 - a) (v + eta d1) + a (x + eta d2))
// and from a misclassified point v+ <- x + beta (v+ - x). With targets t runs over the classes with the largest clean logits; without,
// t is at every step the class with the nearest linearised boundary, which costs a gradient for every other class.

import { type DifferentiableClassifier, type NumericBatch, type Rng, SettingError } from "@worstcase/core";
import { sampleRng } from "../attack.js";
import { checkInteger } from "../checks.js";
import { clip } from "../clip.js";
import { LinearisedBoundary, rivalsByRank } from "../linearisedBoundary.js";
import { checkFind, type MinimumNormAttack, type MinimumNormOptions, NearestPoints } from "../minimumNorm.js";
import { everySample, ModelCalls, rankRivals } from "../modelCalls.js";
import type { Values } from "../perturbationSet.js";
import { HyperplaneStep } from "./hyperplaneStep.js";

export interface FabSettings {
  /** Rival classes searched one after the other (FAB-T); 0 searches the nearest boundary of all. Default 9. */
  readonly targets?: number;
  /** Steps of each search. Default 100. */
  readonly steps?: number;
  /** Searches (for each target): the first from the sample, the others from random points. Default 1. */
  readonly restarts?: number;
  /** Largest weight of the step from the sample. Default 0.1. */
  readonly largestPull?: number;
  /** Overshooting of the steps, eta. Default 1.05. */
  readonly overshoot?: number;
  /** Where to continue between the sample (0) and a misclassified point (1), beta. Default 0.9. */
  readonly backward?: number;
}

/** Radius of random starts when neither a reach nor a misclassified point is known, as the reference implementation sets it. */
const startRadius = { linf: 0.3, l2: 1, l1: 5 } as const;

/** FAB in linf, l2 or l1. Model calls per sample: at most max(1, targets) * restarts * steps, each with and without gradient. Throws SettingError on settings out of range. */
export function fab(settings: FabSettings = {}): MinimumNormAttack {
  const complete = withDefaults(settings);
  const needs = { norms: ["linf", "l2", "l1"], gradients: true } as const;
  return {
    name: "fab",
    kind: "iterative",
    needs,
    settings: { ...complete },
    async find(model, batch, options): Promise<NumericBatch> {
      checkFind(model, batch, { name: "fab", needs }, options);
      const calls = new ModelCalls(model, batch, options.signal, "fab");
      const nearest = new NearestPoints(batch, options.norm, options.reach);
      const everyone = everySample(batch.labels.length);
      const clean = await calls.logits(batch.inputs.data, everyone);
      nearest.offerAt(everyone, batch.inputs.data, clean);
      const search = new Search(calls, nearest, options, complete);
      const rivals = rivalsByRank(rankRivals(clean, batch.labels), model.classCount - 1);
      for (let rank = 0; rank < Math.max(1, Math.min(complete.targets, model.classCount - 1)); rank++) {
        const targets = complete.targets > 0 ? [rivals[rank]] : rivals;
        for (let restart = 0; restart < complete.restarts; restart++) {
          const rngs = (i: number) =>
            sampleRng(options.rng, batch.indices[i]).fork(`target ${rank} restart ${restart}`);
          await search.run(targets, restart > 0 ? rngs : null);
        }
      }
      return { data: nearest.points, shape: batch.inputs.shape };
    },
  };
}

class Search {
  private readonly points: Values;
  private readonly boundary: LinearisedBoundary;
  private readonly toBoundary: HyperplaneStep;
  private readonly fromSample: HyperplaneStep;
  private readonly size: number;

  constructor(
    private readonly calls: ModelCalls<DifferentiableClassifier>,
    private readonly nearest: NearestPoints,
    private readonly options: MinimumNormOptions,
    private readonly settings: Required<FabSettings>,
  ) {
    this.points = calls.batch.inputs.data.slice();
    this.size = calls.size;
    this.boundary = new LinearisedBoundary(calls, options.norm);
    this.toBoundary = new HyperplaneStep(this.size, options.norm, calls.model.bounds);
    this.fromSample = new HyperplaneStep(this.size, options.norm, calls.model.bounds);
  }

  async run(targets: readonly Int32Array[], rngs: ((sample: number) => Rng) | null): Promise<void> {
    const { calls, nearest, points, settings } = this;
    let active = nearest.open();
    points.set(calls.batch.inputs.data);
    if (rngs) for (const i of active) this.randomStart(i, rngs(i));
    for (let step = 0; step < settings.steps && active.length > 0; step++) {
      if (targets.length === 1) await this.boundary.towards(points, active, targets[0]);
      else await this.boundary.nearest(points, active, targets);
      for (const i of active) this.move(i);
      const logits = await calls.logits(points, active);
      const fooled = nearest.offerAt(active, points, logits);
      for (let j = 0; j < active.length; j++) if (fooled[j]) this.pullBack(active[j]);
      const { reach = 0 } = this.options;
      active = active.filter((i) => nearest.distance[i] > reach);
      const values = { open: active.length };
      this.options.onEvent?.({ type: "progress", task: "fab", done: step + 1, total: settings.steps, values });
    }
  }

  /** v+ = clip((1 - a)(v + eta d1) + a (x + eta d2)). */
  private move(i: number): void {
    const { size, points, settings, calls } = this;
    const { normals: normal, values } = this.boundary;
    const base = i * size;
    const { data } = calls.batch.inputs;
    let between = 0;
    for (let k = base; k < base + size; k++) between += normal[k] * (data[k] - points[k]);
    const first = Math.max(1e-8, this.toBoundary.solve(points, base, normal, base, -values[i]));
    const second = Math.max(1e-8, this.fromSample.solve(data, base, normal, base, -values[i] - between));
    const a = Math.min(first / (first + second), settings.largestPull);
    const { overshoot } = settings;
    for (let k = 0; k < size; k++) {
      const near = points[base + k] + overshoot * this.toBoundary.step[k];
      const far = data[base + k] + overshoot * this.fromSample.step[k];
      points[base + k] = (1 - a) * near + a * far;
    }
    this.clip(i);
  }

  private pullBack(i: number): void {
    const { data } = this.calls.batch.inputs;
    for (let k = i * this.size; k < (i + 1) * this.size; k++) {
      this.points[k] = data[k] + this.settings.backward * (this.points[k] - data[k]);
    }
  }

  /** A random point at half the known distance, half the reach or half the usual radius, whichever is smallest. */
  private randomStart(i: number, rng: Rng): void {
    const { size, points, nearest, options } = this;
    const { norm } = options;
    const radius = Math.min(nearest.distance[i], options.reach || startRadius[norm]) / 2;
    const base = i * size;
    let length = 0;
    for (let k = 0; k < size; k++) {
      const value = norm === "linf" ? 2 * rng.uniform() - 1 : rng.normal();
      points[base + k] = value;
      if (norm === "linf") length = Math.max(length, Math.abs(value));
      else length += norm === "l2" ? value * value : Math.abs(value);
    }
    if (norm === "l2") length = Math.sqrt(length);
    const { data } = this.calls.batch.inputs;
    for (let k = base; k < base + size; k++) points[k] = data[k] + (points[k] * radius) / (length || 1);
    this.clip(i);
  }

  private clip(i: number): void {
    const { data } = this.calls.batch.inputs;
    for (let k = i * this.size; k < (i + 1) * this.size; k++) {
      this.points[k] = clip(this.points[k], data[k], this.calls.model.bounds);
    }
  }
}

function withDefaults(settings: FabSettings): Required<FabSettings> {
  const { targets = 9, steps = 100, restarts = 1, largestPull = 0.1, overshoot = 1.05, backward = 0.9 } = settings;
  checkInteger(targets, 0, "settings.targets");
  checkInteger(steps, 1, "settings.steps");
  checkInteger(restarts, 1, "settings.restarts");
  const ranges = { largestPull: [largestPull, 0, 1], overshoot: [overshoot, 1, 2], backward: [backward, 0, 1] };
  for (const [name, [value, least, most]] of Object.entries(ranges)) {
    if (value >= least && value <= most) continue;
    throw new SettingError({
      argument: `settings.${name}`,
      expected: `a number in [${least}, ${most}]`,
      received: value,
    });
  }
  return { targets, steps, restarts, largestPull, overshoot, backward };
}
