// Steps of APGD for l1 (Croce and Hein 2021, arXiv 2103.01208): along the signs of the largest gradient entries, so many of them as the
// sparsity of the best point suggests,  v + s sign(g_top) / |top|.  Every 4 % of the steps the number of entries follows the nonzeros of
// the best perturbation (divided by 1.5); where these fell by more than 5 % the step is reset to epsilon and the search returns to the
// best point, else the step shrinks by 1.5, down to epsilon / 10.

import type { LabelledBatch } from "@worstcase/core";
import type { Values } from "../perturbationSet.js";

export class SparseSteps {
  private readonly origin: Values;
  private readonly size: number;
  private readonly share: Float64Array;
  private readonly nonzeros: Float64Array;
  private readonly stepSize: Float64Array;
  private readonly magnitudes: Float64Array;
  private readonly period: number;

  constructor(
    batch: LabelledBatch,
    private readonly epsilon: number,
    steps: number,
  ) {
    const samples = batch.labels.length;
    this.origin = batch.inputs.data;
    this.size = this.origin.length / samples;
    this.share = new Float64Array(samples);
    this.nonzeros = new Float64Array(samples);
    this.stepSize = new Float64Array(samples).fill(epsilon);
    this.magnitudes = new Float64Array(this.size);
    this.period = Math.max(1, Math.floor(0.04 * steps));
  }

  begin(sample: number, points: Values): void {
    this.nonzeros[sample] = this.count(sample, points);
    this.share[sample] = this.nonzeros[sample] / this.size / 1.5;
  }

  /** Moves the row of the sample; the caller projects it. */
  step(points: Values, gradient: Float64Array, sample: number): void {
    const { size, magnitudes } = this;
    const base = sample * size;
    for (let k = 0; k < size; k++) magnitudes[k] = Math.abs(gradient[base + k]);
    magnitudes.sort();
    const place = Math.min(size - 1, Math.max(0, Math.floor((1 - this.share[sample]) * size)));
    const least = magnitudes[place];
    let count = 0;
    for (let k = 0; k < size; k++) if (gradient[base + k] !== 0 && Math.abs(gradient[base + k]) >= least) count++;
    const length = this.stepSize[sample] / Math.max(1, count);
    for (let k = 0; k < size; k++) {
      const g = gradient[base + k];
      if (Math.abs(g) >= least) points[base + k] += g > 0 ? length : g < 0 ? -length : 0;
    }
  }

  atCheckpoint(step: number): boolean {
    return (step + 1) % this.period === 0;
  }

  /** At a checkpoint: whether the search has to return to the best point. */
  check(sample: number, bestPoints: Values): boolean {
    const nonzeros = this.count(sample, bestPoints);
    const sparser = nonzeros < 0.95 * this.nonzeros[sample];
    this.share[sample] = nonzeros / this.size / 1.5;
    this.nonzeros[sample] = nonzeros;
    this.stepSize[sample] = sparser ? this.epsilon : Math.max(this.epsilon / 10, this.stepSize[sample] / 1.5);
    return sparser;
  }

  private count(sample: number, points: Values): number {
    const base = sample * this.size;
    let count = 0;
    for (let k = 0; k < this.size; k++) if (points[base + k] !== this.origin[base + k]) count++;
    return count;
  }
}
