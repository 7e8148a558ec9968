// The best point seen so far for every sample. Points that fool the model come before points that do not; then the higher loss.
// points: [samples, size], rows in the order of the attacked batch

import { type LabelledBatch, type NumericBatch, predictedClasses } from "@worstcase/core";
import type { Values } from "../perturbationSet.js";

/**
 * A sample is settled once it is fooled by more than this fraction of its largest logit, so that rounding differences between two
 * forward passes cannot undo a success that was not pursued further.
 */
const safeMargin = 1e-4;

export class BestPoints {
  readonly points: Values;
  readonly settled: Uint8Array;
  private readonly loss: Float64Array;
  private readonly fooled: Uint8Array;
  private readonly labels: Int32Array;
  private readonly size: number;

  constructor(batch: LabelledBatch) {
    const samples = batch.labels.length;
    this.points = batch.inputs.data.slice();
    this.size = this.points.length / samples;
    this.labels = batch.labels;
    this.loss = new Float64Array(samples).fill(Number.NEGATIVE_INFINITY);
    this.fooled = new Uint8Array(samples);
    this.settled = new Uint8Array(samples);
  }

  /** Offers row j of `points` for sample `samples[j]`, with its loss and logits there. */
  offer(samples: Int32Array, count: number, points: Values, loss: Float64Array, logits: NumericBatch): void {
    const { size } = this;
    const classes = logits.data.length / count;
    const predicted = predictedClasses(logits);
    for (let j = 0; j < count; j++) {
      const i = samples[j];
      const fooled = predicted[j] === this.labels[i] ? 0 : 1;
      if (fooled === this.fooled[i] ? loss[j] <= this.loss[i] : !fooled) continue;
      this.loss[i] = loss[j];
      this.fooled[i] = fooled;
      this.points.set(points.subarray(j * size, (j + 1) * size), i * size);
      if (fooled && isSafelyFooled(logits.data, j * classes, classes, this.labels[i], predicted[j]))
        this.settled[i] = 1;
    }
  }
}

function isSafelyFooled(logits: Values, offset: number, classes: number, label: number, predicted: number): boolean {
  let largest = 0;
  for (let c = 0; c < classes; c++) largest = Math.max(largest, Math.abs(logits[offset + c]));
  return logits[offset + predicted] - logits[offset + label] > safeMargin * largest;
}
