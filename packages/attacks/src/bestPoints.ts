// The best point seen so far for every sample. Points that fool the model come before points that do not; then the higher loss.
// points: [samples, size], rows in the order of the attacked batch

import { type LabelledBatch, type NumericBatch, predictedClasses } from "@worstcase/core";
import type { Values } from "./perturbationSet.js";

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
    const predicted = predictedClasses(logits);
    for (let j = 0; j < count; j++) this.consider(samples[j], points, j, loss[j], logits, j, predicted[j]);
  }

  /** Offers row `i` of `points` (`[samples, size]`) for every sample i of `samples`; `loss` and `logits` have a row for each. */
  offerAt(samples: Int32Array, points: Values, loss: Float64Array, logits: NumericBatch): void {
    const predicted = predictedClasses(logits);
    for (let j = 0; j < samples.length; j++) {
      this.consider(samples[j], points, samples[j], loss[j], logits, j, predicted[j]);
    }
  }

  private consider(
    i: number,
    points: Values,
    row: number,
    loss: number,
    logits: NumericBatch,
    j: number,
    predicted: number,
  ): void {
    const { size } = this;
    const fooled = predicted === this.labels[i] ? 0 : 1;
    if (fooled === this.fooled[i] ? loss <= this.loss[i] : !fooled) return;
    const classes = logits.shape[1];
    this.loss[i] = loss;
    this.fooled[i] = fooled;
    this.points.set(points.subarray(row * size, (row + 1) * size), i * size);
    if (fooled && isSafelyFooled(logits.data, j * classes, classes, this.labels[i], predicted)) this.settled[i] = 1;
  }
}

function isSafelyFooled(logits: Values, offset: number, classes: number, label: number, predicted: number): boolean {
  let largest = 0;
  for (let c = 0; c < classes; c++) largest = Math.max(largest, Math.abs(logits[offset + c]));
  return logits[offset + predicted] - logits[offset + label] > safeMargin * largest;
}
