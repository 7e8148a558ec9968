// A quadratic function f(x) = x'Qx + q'x + s on R^d, and the two-layer network that is one:
//   f(x) = sum_j alpha_j sigma(u_j'x), ||u_j|| = 1   =>   Q = a sum alpha_j u_j u_j',  q = b sum alpha_j u_j,  s = c sum alpha_j.

import { checkFinite, DataError, ShapeError } from "@worstcase/core";
import { type Activation, checkActivation } from "./activation.js";

/** A two-layer network with degree-two activation. */
export interface Neurons {
  /** Hidden weights u_j, row by row, `[neurons, features]`; rows of length 1 in trained networks. */
  readonly directions: Float64Array;
  /** Output weights alpha_j, `[neurons]`. */
  readonly weights: Float64Array;
  readonly activation: Activation;
}

export interface Quadratic {
  readonly dimension: number;
  /** Symmetric, row-major, `[features, features]`. */
  readonly Q: Float64Array;
  /** `[features]` */
  readonly q: Float64Array;
  readonly s: number;
  /** The network this function came from, when it is one. Exact methods use it to work in the span of the neurons. */
  readonly neurons?: Neurons;
}

/** Expands a network into (Q, q, s). Throws ShapeError or DataError on inconsistent or non-finite input. */
export function quadraticFromNeurons(neurons: Neurons, dimension: number): Quadratic {
  const { directions, weights, activation } = neurons;
  checkActivation(activation, "neurons.activation");
  if (directions.length !== weights.length * dimension) {
    const expected = `${weights.length} x ${dimension} values, [neurons, features]`;
    throw new ShapeError({ argument: "neurons.directions", expected, received: directions.length });
  }
  checkFinite(directions, "neurons.directions", dimension);
  checkFinite(weights, "neurons.weights");
  const Q = new Float64Array(dimension * dimension);
  const q = new Float64Array(dimension);
  let s = 0;
  for (let j = 0; j < weights.length; j++) {
    const u = directions.subarray(j * dimension, (j + 1) * dimension);
    const square = activation.a * weights[j];
    const slope = activation.b * weights[j];
    for (let k = 0; k < dimension; k++) {
      q[k] += slope * u[k];
      for (let l = 0; l <= k; l++) Q[k * dimension + l] += square * u[k] * u[l];
    }
    s += activation.c * weights[j];
  }
  for (let k = 0; k < dimension; k++) for (let l = 0; l < k; l++) Q[l * dimension + k] = Q[k * dimension + l];
  return { dimension, Q, q, s, neurons };
}

/** Z (neurons with alpha > 0) and Z' (alpha < 0) of the convex program, symmetric `[features + 1, features + 1]`. */
export interface LiftedMatrices {
  readonly positive: Float64Array;
  readonly negative: Float64Array;
}

/** Z = sum over alpha_j > 0 of alpha_j (u_j; 1)(u_j; 1)', Z' the same over alpha_j < 0 with |alpha_j| (math.md 3). */
export function liftedMatrices({ directions, weights }: Neurons, dimension: number): LiftedMatrices {
  const p = dimension + 1;
  const matrices = { positive: new Float64Array(p * p), negative: new Float64Array(p * p) };
  for (let j = 0; j < weights.length; j++) {
    const target = weights[j] > 0 ? matrices.positive : matrices.negative;
    const size = Math.abs(weights[j]);
    const entry = (k: number) => (k < dimension ? directions[j * dimension + k] : 1);
    for (let k = 0; k < p; k++) for (let l = 0; l < p; l++) target[k * p + l] += size * entry(k) * entry(l);
  }
  return matrices;
}

/** A linear function q'x + s as a quadratic with Q = 0. */
export function linearQuadratic(q: Float64Array, s: number): Quadratic {
  return { dimension: q.length, Q: new Float64Array(q.length * q.length), q: Float64Array.from(q), s };
}

/** first - second. Keeps the neurons when both have them with the same activation. Throws ShapeError on different sizes. */
export function subtractQuadratics(first: Quadratic, second: Quadratic): Quadratic {
  if (first.dimension !== second.dimension) {
    const expected = `${first.dimension} features, as in the first`;
    throw new ShapeError({ argument: "second.dimension", expected, received: second.dimension });
  }
  const Q = first.Q.map((value, i) => value - second.Q[i]);
  const q = first.q.map((value, i) => value - second.q[i]);
  const base = { dimension: first.dimension, Q, q, s: first.s - second.s };
  const [one, two] = [first.neurons, second.neurons];
  if (!one || !two || !sameActivation(one.activation, two.activation)) return base;
  const directions = new Float64Array(one.directions.length + two.directions.length);
  directions.set(one.directions);
  directions.set(two.directions, one.directions.length);
  const weights = new Float64Array(one.weights.length + two.weights.length);
  weights.set(one.weights);
  for (let j = 0; j < two.weights.length; j++) weights[one.weights.length + j] = -two.weights[j];
  return { ...base, neurons: { directions, weights, activation: one.activation } };
}

/** Value at one point, summed plainly. */
export function evaluateQuadratic(quadratic: Quadratic, x: ArrayLike<number>): number {
  const { dimension: d, Q, q, s } = quadratic;
  let total = s;
  for (let k = 0; k < d; k++) {
    let row = q[k];
    for (let l = 0; l < d; l++) row += Q[k * d + l] * x[l];
    total += row * x[k];
  }
  return total;
}

/** The same function with a Q that equals its transpose to the last bit; the argument itself where that is so already. */
export function symmetrised(quadratic: Quadratic): Quadratic {
  const { dimension: d, Q } = quadratic;
  const mean = Q.slice();
  let same = true;
  for (let k = 0; k < d; k++) {
    for (let l = 0; l < k; l++) {
      if (Q[k * d + l] === Q[l * d + k]) continue;
      same = false;
      mean[k * d + l] = mean[l * d + k] = 0.5 * (Q[k * d + l] + Q[l * d + k]);
    }
  }
  return same ? quadratic : { ...quadratic, Q: mean };
}

/** Throws ShapeError or DataError unless Q is square, symmetric to 1e-10 of its size, and all values are finite. */
export function checkQuadratic(quadratic: Quadratic, argument = "quadratic"): void {
  const { dimension: d, Q, q, s } = quadratic;
  if (!Number.isInteger(d) || d < 1) {
    throw new ShapeError({ argument: `${argument}.dimension`, expected: "an integer >= 1", received: d });
  }
  if (Q.length !== d * d) {
    throw new ShapeError({ argument: `${argument}.Q`, expected: `${d} x ${d} values`, received: Q.length });
  }
  if (q.length !== d) {
    throw new ShapeError({ argument: `${argument}.q`, expected: `${d} values`, received: q.length });
  }
  checkFinite(Q, `${argument}.Q`, d);
  checkFinite(q, `${argument}.q`);
  if (!Number.isFinite(s)) {
    throw new DataError({ argument: `${argument}.s`, expected: "a finite number", received: s });
  }
  let largest = 0;
  for (const value of Q) largest = Math.max(largest, Math.abs(value));
  for (let k = 0; k < d; k++) {
    for (let l = 0; l < k; l++) {
      if (Math.abs(Q[k * d + l] - Q[l * d + k]) > 1e-10 * largest) {
        const hint = "replace Q by (Q + Q') / 2";
        const received = Q[l * d + k];
        throw new DataError({ argument: `${argument}.Q[${l}, ${k}]`, expected: `${Q[k * d + l]}`, received, hint });
      }
    }
  }
}

function sameActivation(one: Activation, two: Activation): boolean {
  return one.a === two.a && one.b === two.b && one.c === two.c;
}
