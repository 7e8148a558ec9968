// Float64 reference losses on logits, with their gradients.
//   cross-entropy: log sum_c exp(f_c) - f_y        margin: max_{c != y} f_c - f_y
// logits: [samples, classes]   loss: [samples]   gradient: [samples, classes]

import { checkLabels, type NumericBatch, sampleCount } from "./batch.js";
import type { Loss } from "./classifier.js";
import { ShapeError } from "./errors.js";

/** Loss per sample and its gradient with respect to the logits. Throws on labels out of range or fewer than two classes. */
export function evaluateLoss(logits: NumericBatch, loss: Loss): { loss: Float64Array; gradient: Float64Array } {
  const samples = sampleCount(logits);
  const classes = logits.shape[1] ?? 0;
  if (classes < 2) {
    throw new ShapeError({ argument: "logits", expected: "at least two classes", received: logits.shape });
  }
  checkLabels(loss.labels, samples, classes);
  const values = new Float64Array(samples);
  const gradient = new Float64Array(samples * classes);
  const row = loss.kind === "margin" ? marginRow : crossEntropyRow;
  for (let i = 0; i < samples; i++) values[i] = row(logits.data, gradient, i * classes, classes, loss.labels[i]!);
  return { loss: values, gradient };
}

type Values = Float32Array | Float64Array;

function marginRow(logits: Values, gradient: Float64Array, offset: number, classes: number, label: number): number {
  const rival = strongestRival(logits, offset, classes, label);
  gradient[offset + rival] = 1;
  gradient[offset + label] = -1;
  return logits[offset + rival]! - logits[offset + label]!;
}

function crossEntropyRow(
  logits: Values,
  gradient: Float64Array,
  offset: number,
  classes: number,
  label: number,
): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < classes; c++) largest = Math.max(largest, logits[offset + c]!);
  let total = 0;
  for (let c = 0; c < classes; c++) total += Math.exp(logits[offset + c]! - largest);
  for (let c = 0; c < classes; c++) gradient[offset + c] = Math.exp(logits[offset + c]! - largest) / total;
  gradient[offset + label]! -= 1;
  return Math.log(total) + largest - logits[offset + label]!;
}

function strongestRival(logits: Values, offset: number, classes: number, label: number): number {
  let best = label === 0 ? 1 : 0;
  for (let c = best + 1; c < classes; c++) {
    if (c !== label && logits[offset + c]! > logits[offset + best]!) best = c;
  }
  return best;
}

/** Predicted class per sample: the first largest logit. */
export function predictedClasses(logits: NumericBatch): Int32Array {
  const classes = logits.shape[1] ?? 0;
  return Int32Array.from({ length: sampleCount(logits) }, (_, i) => {
    let best = 0;
    for (let c = 1; c < classes; c++) if (logits.data[i * classes + c]! > logits.data[i * classes + best]!) best = c;
    return best;
  });
}
