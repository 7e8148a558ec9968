// Heads trained in different scalings, brought to one set of coordinates so that their exact radii can be compared:
//   u = (x - centre) / scale   (isotropic),   z = W (x - centre) / scale_z = M u,   M = (scale / scale_z) W
//   f(z) = z'Qz + q'z + s  =>  f(u) = u'(MQM)u + (Mq)'u + s

import { SettingError, ShapeError } from "@worstcase/core";
import { linearQuadratic, type Quadratic } from "@worstcase/polynomial";
import type { FeatureScaling } from "./featureScaling.js";
import type { LinearWeights } from "./linearHead.js";

/** A quadratic over z as a quadratic over u. Throws SettingError unless `to` is isotropic with the centre of `from`. */
export function toIsotropic(quadratic: Quadratic, from: FeatureScaling, to: FeatureScaling): Quadratic {
  if (to.whitening || from.centre.some((value, k) => value !== to.centre[k])) {
    throw new SettingError({
      argument: "to",
      expected: "an isotropic scaling fitted on the same features",
      received: to.kind,
    });
  }
  const ratio = to.scale / from.scale;
  if (!from.whitening && ratio === 1) return quadratic;
  const { dimension } = quadratic;
  const map = from.whitening ?? identity(dimension);
  const scaledMap = map.map((value) => value * ratio);
  const Q = product(product(scaledMap, quadratic.Q, dimension), scaledMap, dimension);
  for (let a = 0; a < dimension; a++) for (let b = 0; b < a; b++) Q[a * dimension + b] = Q[b * dimension + a];
  const q = new Float64Array(dimension);
  for (let a = 0; a < dimension; a++)
    for (let b = 0; b < dimension; b++) q[a] += scaledMap[a * dimension + b] * quadratic.q[b];
  return { dimension, Q, q, s: quadratic.s };
}

/** The classes of a linear head over raw features as quadratics (Q = 0) over u, one per class. */
export function linearToIsotropic(weights: LinearWeights, to: FeatureScaling): Quadratic[] {
  const size = to.centre.length;
  const classes = weights.bias.length;
  if (weights.weight.length !== classes * size) {
    throw new ShapeError({
      argument: "weights.weight",
      expected: `[${classes}, ${size}]`,
      received: weights.weight.length,
    });
  }
  return Array.from({ length: classes }, (_, c) => {
    const row = Float64Array.from(weights.weight.subarray(c * size, (c + 1) * size));
    let offset = weights.bias[c];
    for (let k = 0; k < size; k++) offset += row[k] * to.centre[k];
    return linearQuadratic(
      row.map((value) => value * to.scale),
      offset,
    );
  });
}

function identity(size: number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}

function product(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const out = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < size; k++) {
      const value = a[i * size + k];
      for (let j = 0; j < size; j++) out[i * size + j] += value * b[k * size + j];
    }
  }
  return out;
}
