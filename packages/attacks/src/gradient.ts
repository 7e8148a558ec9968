// What is checked of gradients: their shape, that they are finite, and how many of them vanish.

import { type Classifier, DataError, type NumericBatch, ShapeError } from "@worstcase/core";

/** Throws unless the gradient has as many values as the inputs, all finite; `names` are positions in the data set. */
export function checkGradient(
  gradient: NumericBatch,
  inputs: NumericBatch,
  model: Classifier,
  names: ArrayLike<number>,
): void {
  const { data } = gradient;
  if (data.length !== inputs.data.length) {
    const expected = `shape [${inputs.shape.join(", ")}], that of the inputs`;
    throw new ShapeError({ argument: `gradient of ${model.id}`, expected, received: gradient.shape });
  }
  const size = data.length / names.length;
  for (let k = 0; k < data.length; k++) {
    if (Number.isFinite(data[k])) continue;
    const argument = `gradient of ${model.id} for sample ${names[Math.floor(k / size)]}`;
    throw new DataError({ argument, expected: "finite numbers", received: data[k] });
  }
}

/** Rows of a `[samples, ...]` gradient that are exactly zero. */
export function countZeroRows(gradient: NumericBatch): number {
  const rows = gradient.shape[0] ?? 0;
  const size = gradient.data.length / Math.max(1, rows);
  let zero = 0;
  for (let i = 0; i < rows; i++) {
    let k = i * size;
    const end = k + size;
    while (k < end && gradient.data[k] === 0) k++;
    if (k === end) zero++;
  }
  return zero;
}
