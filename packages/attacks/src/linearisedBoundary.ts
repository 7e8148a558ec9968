// The decision boundary of every sample, linearised at its current point v: {z: f + w . (z - v) = 0} with f = f_t - f_y and w its
// gradient, towards one class t, or towards the class whose linearised boundary is nearest, |f| / ||w||_dual.
// values: [samples]   normals: [samples, size]

import { dualNorm, type Norm, normOf } from "@worstcase/core";
import type { ModelCalls } from "./modelCalls.js";
import type { Values } from "./perturbationSet.js";

export class LinearisedBoundary {
  readonly values: Float64Array;
  readonly normals: Float64Array;
  private readonly distance: Float64Array;

  constructor(
    private readonly calls: ModelCalls,
    private readonly norm: Norm,
  ) {
    this.values = new Float64Array(calls.batch.labels.length);
    this.normals = new Float64Array(calls.batch.inputs.data.length);
    this.distance = new Float64Array(this.values.length);
  }

  /** Linearises at row i of `points` for every sample i, towards `targets[i]`; one gradient for each sample. */
  async towards(points: Values, samples: Int32Array, targets: Int32Array): Promise<void> {
    const at = await this.calls.lossGradient(points, samples, "margin", targets);
    for (let j = 0; j < samples.length; j++) this.keep(samples[j], at.loss[j], at.gradient.data, j);
  }

  /** The same towards the nearest boundary among several lists of targets; a gradient for each list and sample. */
  async nearest(points: Values, samples: Int32Array, targets: readonly Int32Array[]): Promise<void> {
    const { size } = this.calls;
    this.distance.fill(Number.POSITIVE_INFINITY);
    for (const classes of targets) {
      const at = await this.calls.lossGradient(points, samples, "margin", classes);
      for (let j = 0; j < samples.length; j++) {
        const i = samples[j];
        const dual = normOf(at.gradient.data, dualNorm(this.norm), j * size, (j + 1) * size);
        const distance = Math.abs(at.loss[j]) / (1e-12 + dual);
        if (distance >= this.distance[i]) continue;
        this.distance[i] = distance;
        this.keep(i, at.loss[j], at.gradient.data, j);
      }
    }
  }

  private keep(i: number, value: number, gradient: Values, row: number): void {
    const { size } = this.calls;
    this.values[i] = value;
    this.normals.set(gradient.subarray(row * size, (row + 1) * size), i * size);
  }
}

/** For every rank the rival of that rank of every sample: `[ranks][samples]`, from rows of rivals, strongest first. */
export function rivalsByRank(rivals: readonly Int32Array[], ranks: number): Int32Array[] {
  return Array.from({ length: ranks }, (_, rank) => Int32Array.from(rivals, (row) => row[rank]));
}
