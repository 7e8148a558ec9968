// Random problems and real data for the tests of this package.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRng, type NumericBatch, type Rng } from "@worstcase/core";
import { type Neurons, paperActivation, type Quadratic, quadraticFromNeurons } from "../src/index.js";

export function normals(rng: Rng, length: number, scale = 1): Float64Array {
  return Float64Array.from({ length }, () => scale * rng.normal());
}

export function batch(data: Float64Array | Float32Array, features: number): NumericBatch {
  return { data, shape: [data.length / features, features] };
}

export function randomSigns(rng: Rng, length: number): Float64Array {
  return Float64Array.from({ length }, () => (rng.uniform() < 0.5 ? -1 : 1));
}

export function randomQuadratic(rng: Rng, d: number): Quadratic {
  const Q = new Float64Array(d * d);
  for (let k = 0; k < d; k++) {
    for (let l = 0; l <= k; l++) {
      const value = rng.normal() / Math.sqrt(d);
      Q[k * d + l] = value;
      Q[l * d + k] = value;
    }
  }
  return { dimension: d, Q, q: normals(rng, d), s: 0.3 * rng.normal() };
}

export function randomNeurons(rng: Rng, count: number, d: number, activation = paperActivation): Neurons {
  const directions = normals(rng, count * d);
  for (let j = 0; j < count; j++) {
    const row = directions.subarray(j * d, (j + 1) * d);
    const length = Math.hypot(...row);
    for (let l = 0; l < d; l++) row[l] /= length;
  }
  return { directions, weights: normals(rng, count, 2), activation };
}

export function randomNetwork(rng: Rng, count: number, d: number): Quadratic {
  return quadraticFromNeurons(randomNeurons(rng, count, d), d);
}

/** Two noisy classes that a quadratic separates: inside and outside of an ellipse, shifted. */
export function syntheticClasses(seed: number, n: number, d: number): { points: NumericBatch; labels: Float64Array } {
  const rng = createRng(seed);
  const data = normals(rng, n * d, 2 / Math.sqrt(d));
  const labels = Float64Array.from({ length: n }, (_, i) => {
    const first = data[i * d];
    const second = data[i * d + Math.min(1, d - 1)];
    const score = first * first - second * second + 0.5 * first - 0.1;
    return (score > 0 ? 1 : -1) * (rng.uniform() < 0.1 ? -1 : 1);
  });
  return { points: batch(data, d), labels };
}

/** Path of a file of the shared data folder, or null when it is not there. */
export function dataFile(path: string): string | null {
  const own = process.env.WORSTCASE_DATA;
  if (own) return existsSync(join(own, path)) ? join(own, path) : null;
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "pnpm-workspace.yaml"))) {
      const candidate = join(folder, "..", "shared", "data", path);
      return existsSync(candidate) ? candidate : null;
    }
    if (folder === dirname(folder)) return null;
  }
}

/** Breast Cancer Wisconsin (Original) prepared as in math.md 17: missing = 0, first 559 rows, standardised by themselves. */
export function breastCancer(file: string): {
  points: NumericBatch;
  labels: Float64Array;
  test: NumericBatch;
  testLabels: Float64Array;
} {
  const rows = readFileSync(file, "utf8")
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(",").map((field) => (field === "?" ? 0 : Number(field))));
  const d = 9;
  const n = 559;
  const data = Float64Array.from(rows.flatMap((row) => row.slice(1, 1 + d)));
  for (let k = 0; k < d; k++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += data[i * d + k] / n;
    let variance = 0;
    for (let i = 0; i < n; i++) variance += (data[i * d + k] - mean) ** 2 / n;
    for (let i = 0; i < rows.length; i++) data[i * d + k] = (data[i * d + k] - mean) / (Math.sqrt(variance) + 1e-9);
  }
  const labels = Float64Array.from(rows, (row) => (row[10] === 4 ? 1 : -1));
  return {
    points: batch(data.slice(0, n * d), d),
    labels: labels.slice(0, n),
    test: batch(data.slice(n * d), d),
    testLabels: labels.slice(n),
  };
}
