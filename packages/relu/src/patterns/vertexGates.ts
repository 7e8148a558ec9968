// Geometric-algebra gates (arXiv 2406.02806): the generalised cross product of rank - 1 random samples, which is the normal of the
// hyperplane through them and the origin. With a bias the hyperplane goes through `rank` samples and need not meet the origin: the
// cross product is that of their differences. The sign of g is random.
// The samples on the hyperplane sit between two bits, decided by rounding alone. So the gate is turned by a random small angle about
// the rest: g + t e, e in the span of those samples, t half the angle at which the first sample off the hyperplane would flip.
// The pattern is then one of the cells that touch the vertex, drawn at random, and the gate has it with room to spare.
// features: [n, d]   gate: [d (+1)]

import { type NumericBatch, type Rng, sampleCount, sampleSize } from "@worstcase/core";
import type { GateDraw } from "./gateDraws.js";
import { lengthOf, OrthogonalRows } from "./orthogonalRows.js";

/** Samples within this share of their length count as lying on the hyperplane. */
const ON_PLANE = 1e-9;

export function vertexDraw(features: NumericBatch, bias: boolean, rng: Rng): GateDraw {
  const { data } = features;
  const samples = sampleCount(features);
  const featureCount = sampleSize(features);
  const span = spanOf(features, bias, rng);
  const chosen = new OrthogonalRows(featureCount, featureCount);
  const vector = new Float64Array(featureCount);
  const normal = new Float64Array(featureCount);
  const turn = new Float64Array(featureCount);
  return (gate) => {
    chosen.clear();
    const origin = bias ? rng.integer(samples) * featureCount : -1;
    for (let tries = 0; chosen.rank < span.rank - 1 && tries < 4 * span.rank + 20; tries++) {
      const from = rng.integer(samples) * featureCount;
      for (let k = 0; k < featureCount; k++) vector[k] = data[from + k] - (bias ? data[origin + k] : 0);
      chosen.add(vector);
    }
    randomIn(span, normal, rng);
    chosen.reduce(normal);
    const size = lengthOf(normal);
    if (size > 0) for (let k = 0; k < featureCount; k++) normal[k] /= size;
    randomIn(chosen, turn, rng);
    let offset = 0;
    let turnOffset = 0;
    if (bias) {
      for (let k = 0; k < featureCount; k++) {
        offset -= normal[k] * data[origin + k];
        turnOffset -= turn[k] * data[origin + k];
      }
      turnOffset += rng.normal() * Math.max(Math.abs(offset), 1e-3); // the first sample lies on every turned hyperplane otherwise
    }
    const t = smallTurn(features, normal, offset, turn, turnOffset);
    for (let k = 0; k < featureCount; k++) gate[k] = normal[k] + t * turn[k];
    if (bias) gate[featureCount] = offset + t * turnOffset;
  };
}

// Half the smallest t > 0 at which a sample off the hyperplane meets the turned one, at most 1/2.
function smallTurn(
  { data, shape }: NumericBatch,
  normal: Float64Array,
  offset: number,
  turn: Float64Array,
  turnOffset: number,
): number {
  const featureCount = normal.length;
  let least = 1;
  for (let i = 0; i < shape[0]; i++) {
    let opening = offset;
    let change = turnOffset;
    let square = 0;
    for (let k = 0; k < featureCount; k++) {
      const x = data[i * featureCount + k];
      opening += normal[k] * x;
      change += turn[k] * x;
      square += x * x;
    }
    if (Math.abs(opening) <= ON_PLANE * (Math.sqrt(square) + Math.abs(offset))) continue;
    if (opening * change < 0) least = Math.min(least, -opening / change);
  }
  return least / 2;
}

// Span of the samples (of their differences, with bias), from at most 4 d + 100 random ones.
function spanOf(features: NumericBatch, bias: boolean, rng: Rng): OrthogonalRows {
  const { data } = features;
  const featureCount = sampleSize(features);
  const order = rng.permutation(sampleCount(features)).subarray(0, 4 * featureCount + 100);
  const span = new OrthogonalRows(featureCount, featureCount);
  const vector = new Float64Array(featureCount);
  for (const i of order) {
    if (span.rank === featureCount) break;
    for (let k = 0; k < featureCount; k++) {
      vector[k] = data[i * featureCount + k] - (bias ? data[order[0] * featureCount + k] : 0);
    }
    span.add(vector);
  }
  return span;
}

function randomIn(span: OrthogonalRows, vector: Float64Array, rng: Rng): void {
  vector.fill(0);
  for (let q = 0; q < span.rank; q++) {
    const share = rng.normal();
    for (let k = 0; k < span.length; k++) vector[k] += share * span.rows[q * span.length + k];
  }
}
