// The mean Jacobian product of a backbone, S = mean over images of J J' with J = d features / d pixels, and its whitening.
// A head-independent picture of how far pixels can push features: E ||J delta||^2 = epsilon^2 trace(S) for random signs delta.
// S: [features, features]

import {
  concatBatches,
  DataError,
  type FeatureExtractor,
  type NumericBatch,
  SettingError,
  sampleCount,
  sampleSize,
  sliceBatch,
  throwIfAborted,
  type WorkOptions,
} from "@worstcase/core";
import { symmetricEigen } from "@worstcase/linalg";
import { Matrix } from "ml-matrix";

/** S as a symmetric `[features, features]` array, from `features` pullbacks per image. */
export async function meanJacobianProduct(
  extractor: FeatureExtractor,
  images: NumericBatch,
  options: WorkOptions = {},
): Promise<Float64Array> {
  const count = sampleCount(images);
  const width = extractor.featureCount;
  const size = sampleSize(images);
  const product = new Float64Array(width * width);
  const identity = Float32Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
  for (let i = 0; i < count; i++) {
    throwIfAborted(options.signal, "mean Jacobian product");
    const image = sliceBatch(images, i, i + 1);
    const repeated = concatBatches(new Array<NumericBatch>(width).fill(image));
    const rows = await extractor.pullback(repeated, { data: identity, shape: [width, width] });
    addRowProducts(rows.data, width, size, product);
    options.onEvent?.({ type: "progress", task: "Jacobian product", done: i + 1, total: count });
  }
  return product.map((value) => value / count);
}

function addRowProducts(rows: Float32Array | Float64Array, count: number, size: number, sums: Float64Array): void {
  for (let a = 0; a < count; a++) {
    for (let b = a; b < count; b++) {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += rows[a * size + k] * rows[b * size + k];
      sums[a * count + b] += sum;
      if (a !== b) sums[b * count + a] += sum;
    }
  }
}

/**
 * S^(-1/2) after shrinking towards a multiple of the identity: S <- (1 - shrinkage) S + shrinkage trace(S)/features I.
 * Throws SettingError for shrinkage outside (0, 1], DataError when S is zero (features do not depend on the pixels).
 */
export function whiteningOf(product: Float64Array, shrinkage = 0.02): Float64Array {
  if (!(shrinkage > 0 && shrinkage <= 1)) {
    throw new SettingError({ argument: "shrinkage", expected: "a number in (0, 1]", received: shrinkage });
  }
  const width = Math.sqrt(product.length);
  let trace = 0;
  for (let k = 0; k < width; k++) trace += product[k * (width + 1)];
  if (!(trace > 0)) {
    const hint = "the features do not depend on the pixels";
    throw new DataError({ argument: "product", expected: "a positive trace", received: trace, hint });
  }
  const shrunk = new Matrix(width, width);
  for (let a = 0; a < width; a++) {
    for (let b = 0; b < width; b++) {
      const ridge = a === b ? (shrinkage * trace) / width : 0;
      shrunk.set(a, b, (1 - shrinkage) * product[a * width + b] + ridge);
    }
  }
  const { values, vectors } = symmetricEigen(shrunk);
  const whitening = new Float64Array(width * width);
  for (let k = 0; k < width; k++) {
    const factor = 1 / Math.sqrt(values[k]);
    for (let a = 0; a < width; a++) {
      for (let b = 0; b < width; b++) whitening[a * width + b] += factor * vectors.get(a, k) * vectors.get(b, k);
    }
  }
  return whitening;
}
