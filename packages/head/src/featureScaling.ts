// The affine map between backbone features and the coordinates a head is trained in:
//   z = W (x - centre) / scale,   scale = mean over training samples of ||W (x - centre)||_2, so that the mean norm of z is 1.
// W is the identity (isotropic set) or S^(-1/2) (ellipsoid set: the unit ball in z is the ellipsoid {D : D' S^-1 D <= scale^2} in x).
// x, z: [features]   W: [features, features], symmetric

import { checkBatch, DataError, type NumericBatch, normOf, ShapeError, sampleCount } from "@worstcase/core";

export interface FeatureScaling {
  readonly kind: "isotropic" | "ellipsoid";
  /** `[features]` */
  readonly centre: Float64Array;
  /** Symmetric `[features, features]`, row-major; null is the identity. */
  readonly whitening: Float64Array | null;
  readonly scale: number;
}

/**
 * Fits centre and scale on training features `[samples, features]`; `whitening` as in {@link whiteningOf}.
 * Throws DataError when all samples are equal (nothing to scale) or a value is not finite.
 */
export function fitScaling(features: NumericBatch, whitening: Float64Array | null = null): FeatureScaling {
  checkBatch(features, "features");
  const samples = sampleCount(features);
  const size = features.data.length / samples;
  if (whitening && whitening.length !== size * size) {
    throw new ShapeError({ argument: "whitening", expected: `[${size}, ${size}]`, received: whitening.length });
  }
  const centre = new Float64Array(size);
  for (let i = 0; i < samples; i++) for (let k = 0; k < size; k++) centre[k] += features.data[i * size + k] / samples;
  const kind = whitening ? "ellipsoid" : "isotropic";
  const unscaled = applyScaling({ kind, centre, whitening, scale: 1 }, features).data;
  let scale = 0;
  for (let i = 0; i < samples; i++) scale += normOf(unscaled, "l2", i * size, (i + 1) * size) / samples;
  if (!(scale > 0)) {
    const hint = "every sample has the same features";
    throw new DataError({
      argument: "features",
      expected: "samples that differ",
      received: `mean distance ${scale}`,
      hint,
    });
  }
  return { kind, centre, whitening, scale };
}

/** z for every row of `features`, `[samples, features]` in float64. */
export function applyScaling(scaling: FeatureScaling, features: NumericBatch): NumericBatch & { data: Float64Array } {
  const size = scaling.centre.length;
  checkBatch(features, "features", [size]);
  const centred = new Float64Array(features.data.length);
  for (let i = 0; i < centred.length; i++) centred[i] = (features.data[i] - scaling.centre[i % size]) / scaling.scale;
  return {
    data: scaling.whitening ? timesSymmetric(centred, scaling.whitening, size) : centred,
    shape: features.shape,
  };
}

/** Gradients with respect to x from gradients with respect to z: W' g / scale, `[samples, features]`. */
export function pullBackScaling(
  scaling: FeatureScaling,
  gradient: NumericBatch,
): NumericBatch & { data: Float64Array } {
  const scaled = Float64Array.from(gradient.data, (value) => value / scaling.scale);
  const size = scaling.centre.length;
  return { data: scaling.whitening ? timesSymmetric(scaled, scaling.whitening, size) : scaled, shape: gradient.shape };
}

/** Rows times a symmetric matrix. */
function timesSymmetric(rows: Float64Array, matrix: Float64Array, size: number): Float64Array {
  const out = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i += size) {
    for (let k = 0; k < size; k++) {
      const value = rows[i + k];
      const from = k * size;
      for (let j = 0; j < size; j++) out[i + j] += value * matrix[from + j];
    }
  }
  return out;
}
