// The current misclassified points of HopSkipJump, and their way to the decision boundary.
//   l2:   the points x + a (v - x), 0 <= a <= 1        linf: v kept to the box of radius r around x

import type { Classifier, Norm } from "@worstcase/core";
import { clip } from "../clip.js";
import type { NearestPoints } from "../minimumNorm.js";
import type { ModelCalls } from "../modelCalls.js";
import type { Values } from "../perturbationSet.js";

/** Bisections and halvings end after this many steps, which exhausts float32. */
const mostHalvings = 30;

export class Boundary {
  /** Misclassified points of the active samples, `[samples, size]`. */
  readonly points: Values;
  private readonly trial: Values;
  private readonly low: Float64Array;
  private readonly high: Float64Array;
  private readonly end: Float64Array;

  constructor(
    private readonly calls: ModelCalls<Classifier>,
    private readonly nearest: NearestPoints,
    private readonly norm: Norm,
    private readonly theta: number,
  ) {
    const { inputs, labels } = calls.batch;
    this.points = inputs.data.slice();
    this.trial = inputs.data.slice();
    this.low = new Float64Array(labels.length);
    this.high = new Float64Array(labels.length);
    this.end = new Float64Array(labels.length);
  }

  /** Moves the points of the samples to the boundary, on its misclassified side. */
  async bisect(samples: Int32Array): Promise<void> {
    const { calls, nearest, theta, low, high, end } = this;
    const l2 = this.norm === "l2";
    for (const i of samples) {
      low[i] = 0;
      high[i] = l2 ? 1 : nearest.distanceTo(i, this.points);
      end[i] = l2 ? theta : Math.min(theta, theta * high[i]);
    }
    let open = samples;
    for (let pass = 0; pass < mostHalvings; pass++) {
      open = open.filter((i) => high[i] - low[i] > end[i]);
      if (open.length === 0) break;
      for (const i of open) this.between(i, (low[i] + high[i]) / 2, this.trial);
      const fooled = nearest.offerAt(open, this.trial, await calls.logits(this.trial, open));
      for (let j = 0; j < open.length; j++) {
        const i = open[j];
        if (fooled[j]) high[i] = (low[i] + high[i]) / 2;
        else low[i] = (low[i] + high[i]) / 2;
      }
    }
    for (const i of samples) this.between(i, high[i], this.points);
  }

  /** Steps of length ||v - x|| / sqrt(step + 1) along the directions (`[samples, size]`), halved until the class stays wrong. */
  async advance(samples: Int32Array, directions: Float64Array, step: number): Promise<void> {
    const { calls, nearest, points, trial, end } = this;
    const { size, batch, model } = calls;
    for (const i of samples) end[i] = nearest.distanceTo(i, points) / Math.sqrt(step + 1);
    let open = samples;
    for (let pass = 0; pass < mostHalvings && open.length > 0; pass++) {
      for (const i of open) {
        for (let k = i * size; k < (i + 1) * size; k++) {
          trial[k] = clip(points[k] + end[i] * directions[k], batch.inputs.data[k], model.bounds);
        }
      }
      const fooled = nearest.offerAt(open, trial, await calls.logits(trial, open));
      for (let j = 0; j < open.length; j++) {
        const i = open[j];
        if (fooled[j]) points.set(trial.subarray(i * size, (i + 1) * size), i * size);
        else end[i] /= 2;
      }
      open = open.filter((_, j) => !fooled[j]);
    }
  }

  private between(i: number, share: number, target: Values): void {
    const { size, batch } = this.calls;
    const { data } = batch.inputs;
    for (let k = i * size; k < (i + 1) * size; k++) {
      const difference = this.points[k] - data[k];
      const kept = this.norm === "l2" ? share * difference : Math.max(-share, Math.min(share, difference));
      target[k] = data[k] + kept;
    }
  }
}
