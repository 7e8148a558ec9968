// Float64 reference losses on logits, with their gradients.
//   cross-entropy: log sum_c exp(f_c) - f_y        margin: max_{c != y} f_c - f_y,  with targets f_t - f_y
//   dlr: margin / (f_(1) - f_(3) + 1e-12),  with targets (f_t - f_y) / (f_(1) - (f_(3) + f_(4)) / 2 + 1e-12), where f_(k) is the
//   k-th largest logit (Croce and Hein 2020, arXiv 2003.01690)
// logits: [samples, classes]   loss: [samples]   gradient: [samples, classes]

import { checkLabels, type NumericBatch, sampleCount } from "./batch.js";
import type { Loss } from "./classifier.js";
import { ShapeError } from "./errors.js";

/**
 * Loss per sample and its gradient with respect to the logits. Throws on labels or targets out of range, fewer than two classes,
 * or fewer than three for the loss `dlr` (four with targets).
 */
export function evaluateLoss(logits: NumericBatch, loss: Loss): { loss: Float64Array; gradient: Float64Array } {
  const samples = sampleCount(logits);
  const classes = logits.shape[1] ?? 0;
  const targets = loss.kind === "cross-entropy" ? undefined : loss.targets;
  const least = loss.kind === "dlr" ? (targets ? 4 : 3) : 2;
  if (classes < least) {
    const expected = `at least ${["two", "three", "four"][least - 2]} classes${least > 2 ? " for the loss dlr" : ""}`;
    throw new ShapeError({ argument: "logits", expected, received: logits.shape });
  }
  checkLabels(loss.labels, samples, classes);
  if (targets) checkLabels(targets, samples, classes, "targets");
  const values = new Float64Array(samples);
  const gradient = new Float64Array(samples * classes);
  for (let i = 0; i < samples; i++) {
    const [label, target] = [loss.labels[i]!, targets?.[i]];
    if (loss.kind === "cross-entropy") values[i] = crossEntropyRow(logits.data, gradient, i * classes, classes, label);
    else if (loss.kind === "margin") values[i] = marginRow(logits.data, gradient, i * classes, classes, label, target);
    else values[i] = ratioRow(logits.data, gradient, i * classes, classes, label, target);
  }
  return { loss: values, gradient };
}

type Values = Float32Array | Float64Array;

function marginRow(
  logits: Values,
  gradient: Float64Array,
  offset: number,
  classes: number,
  label: number,
  target: number | undefined,
): number {
  const rival = target ?? strongestRival(logits, offset, classes, label);
  gradient[offset + rival]! += 1;
  gradient[offset + label]! -= 1;
  return logits[offset + rival]! - logits[offset + label]!;
}

/** Quotient of the margin and the spread f_(1) - f_(3), with a target f_(1) - (f_(3) + f_(4)) / 2, by the quotient rule. */
function ratioRow(
  logits: Values,
  gradient: Float64Array,
  offset: number,
  classes: number,
  label: number,
  target: number | undefined,
): number {
  const [first, , third, fourth] = largestFour(logits, offset, classes);
  const margin = marginRow(logits, gradient, offset, classes, label, target);
  const at = (c: number) => logits[offset + c]!;
  const spread = at(first) - (target === undefined ? at(third) : (at(third) + at(fourth)) / 2) + 1e-12;
  const ratio = margin / spread;
  for (let c = 0; c < classes; c++) gradient[offset + c]! /= spread;
  const slope = ratio / spread;
  gradient[offset + first]! -= slope;
  gradient[offset + third]! += target === undefined ? slope : slope / 2;
  if (target !== undefined) gradient[offset + fourth]! += slope / 2;
  return ratio;
}

/** Classes of the four largest logits, largest first; missing ones repeat the last. */
function largestFour(logits: Values, offset: number, classes: number): [number, number, number, number] {
  const found: number[] = [];
  for (let c = 0; c < classes; c++) {
    let place = found.length;
    while (place > 0 && logits[offset + c]! > logits[offset + found[place - 1]!]!) place--;
    if (place < 4) found.splice(place, 0, c);
    if (found.length > 4) found.pop();
  }
  while (found.length < 4) found.push(found[found.length - 1]!);
  return found as [number, number, number, number];
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
