// The building blocks of the interior point against their definitions.

import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normals } from "../../test/support.js";
import { lossShape } from "../marginLoss.js";
import { extractNeurons, spectrumOf } from "./extractNeurons.js";
import { jacobiSvd } from "./jacobiSvd.js";
import { addGradient, addKronecker, createLayout, expand, pack } from "./layout.js";
import { createStepSearch } from "./stepSearch.js";

const kernels = chooseKernels("js");

function symmetric(rng: ReturnType<typeof createRng>, p: number): Float64Array {
  const matrix = normals(rng, p * p);
  for (let a = 0; a < p; a++) for (let b = 0; b < a; b++) matrix[a * p + b] = matrix[b * p + a];
  return matrix;
}

function multiply(p: number, a: Float64Array, b: Float64Array): Float64Array {
  return Float64Array.from({ length: p * p }, (_, k) => {
    let sum = 0;
    for (let m = 0; m < p; m++) sum += a[Math.floor(k / p) * p + m] * b[m * p + (k % p)];
    return sum;
  });
}

test("sums of Kronecker products equal the operator applied to every basis matrix, d = 3", () => {
  const rng = createRng(1);
  const d = 3;
  const p = 4;
  const layout = createLayout(d, { a: 0.3, b: 0.7, c: 0.2 });
  const { entries, free, lift } = layout;
  for (const lifted of [false, true]) {
    const pairs = Array.from({ length: 3 }, () => [symmetric(rng, p), symmetric(rng, p)]);
    const k = new Float64Array(entries * entries);
    for (const [c, e] of pairs) {
      const [u, v] = [new Float64Array(entries), new Float64Array(entries)];
      pack(layout, c, 0, u, 0);
      pack(layout, e, 0, v, 0);
      for (let i = 0; i < entries; i++) for (let j = 0; j < entries; j++) k[i * entries + j] += u[i] * v[j];
    }
    const hessian = new Float64Array(entries * entries);
    addKronecker(layout, k, lifted, hessian);
    const scaled = (matrix: Float64Array) => matrix.map((value, i) => (lifted ? lift[i] * value : value));
    for (let j = 0; j < free; j++) {
      const unit = new Float64Array(entries);
      unit[j] = 1;
      const basis = new Float64Array(p * p);
      expand(layout, unit, basis);
      // sum of C W E and its transpose, halved
      const image = new Float64Array(p * p);
      for (const [c, e] of pairs) {
        const product = multiply(p, multiply(p, c, scaled(basis)), e);
        for (let a = 0; a < p; a++)
          for (let b = 0; b < p; b++) {
            image[a * p + b] += 0.5 * (product[a * p + b] + product[b * p + a]);
          }
      }
      const gradient = new Float64Array(entries);
      addGradient(layout, image, lifted, 1, gradient);
      for (let i = j; i < free; i++) expect(hessian[i * entries + j]).toBeCloseTo(gradient[i], 11);
    }
  }
});

test("gradient is the adjoint of expand", () => {
  const rng = createRng(2);
  const layout = createLayout(4, { a: 1, b: 1, c: 1 });
  const matrix = symmetric(rng, 5);
  const vector = normals(rng, layout.entries);
  const expanded = new Float64Array(25);
  expand(layout, vector, expanded);
  const gradient = new Float64Array(layout.entries);
  addGradient(layout, matrix, false, 1, gradient);
  let left = 0;
  let right = 0;
  for (let k = 0; k < 25; k++) left += matrix[k] * expanded[k];
  for (let k = 0; k < layout.free; k++) right += gradient[k] * vector[k];
  expect(left).toBeCloseTo(right, 11);
});

test("one-sided Jacobi keeps tiny singular values: A = Q1 diag(1 .. 1e-12) Q2'", () => {
  const p = 8;
  const rng = createRng(3);
  const rotation = () => spectrumOf(symmetric(rng, p), p, kernels).vectors;
  const [left, right] = [rotation(), rotation()];
  const wanted = Float64Array.from({ length: p }, (_, k) => 10 ** (-12 * (k / (p - 1))));
  // A' diag: columns of A scaled, so that the small values are defined to full relative accuracy.
  const columns = new Float64Array(p * p);
  for (let k = 0; k < p; k++) for (let l = 0; l < p; l++) columns[k * p + l] = wanted[k] * left[k * p + l];
  const rotations = new Float64Array(p * p);
  const values = new Float64Array(p);
  jacobiSvd(p, columns, rotations, values);
  const sorted = values.slice().sort().reverse();
  for (let k = 0; k < p; k++) expect(Math.abs(sorted[k] / wanted[k] - 1)).toBeLessThan(1e-13);
  // A general matrix: A V = U diag(s) with orthogonal V.
  const general = multiply(p, multiply(p, left, diagonal(wanted)), right);
  const transposed = Float64Array.from({ length: p * p }, (_, k) => general[(k % p) * p + Math.floor(k / p)]);
  jacobiSvd(p, transposed, rotations, values);
  for (let k = 0; k < p; k++) {
    for (let i = 0; i < p; i++) {
      let sum = 0;
      for (let j = 0; j < p; j++) sum += general[i * p + j] * rotations[k * p + j];
      expect(Math.abs(sum - transposed[k * p + i])).toBeLessThan(1e-14);
    }
  }

  function diagonal(entries: Float64Array): Float64Array {
    const matrix = new Float64Array(p * p);
    for (let k = 0; k < p; k++) matrix[k * p + k] = entries[k];
    return matrix;
  }
});

test("longest step: the smallest of the exact ones, by eigenvalues", () => {
  const rng = createRng(4);
  const [count, p] = [20, 5];
  const workspace = kernels.workspace(1000);
  const search = createStepSearch(count, p, workspace);
  const blocks = new Float64Array(count * p * p);
  const changes = new Float64Array(count * p * p);
  for (let round = 0; round < 3; round++) {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      // diagonal blocks: the step is known in closed form
      blocks.fill(0, i * p * p, (i + 1) * p * p);
      changes.fill(0, i * p * p, (i + 1) * p * p);
      for (let k = 0; k < p; k++) {
        const at = i * p * p + k * (p + 1);
        blocks[at] = 0.1 + rng.uniform();
        changes[at] = rng.normal();
        if (changes[at] < 0) least = Math.min(least, -blocks[at] / changes[at]);
      }
    }
    expect(search.longest(blocks, changes, 1e9)).toBeCloseTo(least, 12);
    expect(search.longest(blocks, changes, 0.5 * least)).toBe(0.5 * least);
  }
});

test("neurons of 200 random matrices: unit, exact to 1e-12 (math.md 23.7)", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 1, max: 8 }), (seed, d) => {
      const rng = createRng(seed);
      const p = d + 1;
      const rank = 1 + rng.integer(p);
      // Random rows, then their last entries scaled so that trace = corner.
      const rows = normals(rng, rank * p);
      let [trace, corner] = [0, 0];
      for (let k = 0; k < rank; k++) {
        for (let l = 0; l < d; l++) trace += rows[k * p + l] ** 2;
        corner += rows[k * p + d] ** 2;
      }
      for (let k = 0; k < rank; k++) rows[k * p + d] *= Math.sqrt(trace / corner);
      const z = new Float64Array(p * p);
      for (let k = 0; k < rank; k++) {
        for (let a = 0; a < p; a++) for (let b = 0; b < p; b++) z[a * p + b] += rows[k * p + a] * rows[k * p + b];
      }
      const { directions, sizes } = extractNeurons(spectrumOf(z, p, kernels), 0);
      const rebuilt = new Float64Array(p * p);
      for (let j = 0; j < sizes.length; j++) {
        const u = [...directions.subarray(j * d, (j + 1) * d), 1];
        expect(Math.abs(Math.hypot(...u.slice(0, d)) - 1)).toBeLessThan(1e-12);
        expect(sizes[j]).toBeGreaterThan(0);
        for (let a = 0; a < p; a++) for (let b = 0; b < p; b++) rebuilt[a * p + b] += sizes[j] * u[a] * u[b];
      }
      const worst = rebuilt.reduce((most, value, k) => Math.max(most, Math.abs(value - z[k])), 0);
      expect(worst).toBeLessThan(1e-12 * Math.max(1, z[p * p - 1]));
    }),
    { numRuns: 200 },
  );
});

describe("losses", () => {
  for (const name of ["hinge", "squared-hinge", "logistic"] as const) {
    test(`${name}: derivatives by differences, Fenchel inequality with equality at the slope`, () => {
      const loss = lossShape(name);
      for (const x of [-30, -2, 0.3, 1, 2.5, 40]) {
        if (loss.flatBelowZero && x < 0) continue;
        const h = 1e-5;
        expect(loss.slope(x)).toBeCloseTo((loss.value(x + h) - loss.value(x - h)) / (2 * h), 7);
        expect(loss.curvature(x)).toBeCloseTo((loss.slope(x + h) - loss.slope(x - h)) / (2 * h), 6);
        const kappa = 0.7;
        const p = kappa * loss.slope(x);
        // kappa loss(x) >= conjugate(p) - p (1 - x) for every x and p; equality where p is the slope
        expect(loss.conjugate(p, kappa) - p * (1 - x)).toBeCloseTo(kappa * loss.value(x), 9);
        for (const other of [-3, 0, 0.5, 1, 4]) {
          expect(kappa * loss.value(other)).toBeGreaterThanOrEqual(loss.conjugate(p, kappa) - p * (1 - other) - 1e-12);
        }
      }
    });
  }
});
