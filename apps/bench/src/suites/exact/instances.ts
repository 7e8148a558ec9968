// Instances of solvers.md 1.1. `wdbc`: the same rows and standardisation as there. `synth`: the same recipe (quadratic teacher, features of
// size 2 / sqrt(d), 10 % label noise), drawn by our generator, so other numbers. beta = 0.01 throughout.

import { readFileSync } from "node:fs";
import { createRng, type NumericBatch } from "@worstcase/core";
import { dataFile } from "../../harness/data.js";
import { wdbcTrainingRows } from "./wdbcSplit.js";

export interface Instance {
  readonly name: string;
  readonly points: NumericBatch;
  readonly labels: Float64Array;
  readonly radius: number;
  readonly beta: number;
}

/** The first `samples` training rows, standardised on all 455; benign +1. Null when the file is not here. */
export function wdbc(samples: number): Instance | null {
  const file = dataFile("uci/wdbc.data");
  if (!file) return null;
  const rows = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(","));
  const d = 30;
  const training = wdbcTrainingRows.map((i) => rows[i]);
  const data = new Float64Array(samples * d);
  for (let k = 0; k < d; k++) {
    const column = training.map((row) => Number(row[k + 2]));
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    const spread = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length);
    for (let i = 0; i < samples; i++) data[i * d + k] = (column[i] - mean) / spread;
  }
  const labels = Float64Array.from({ length: samples }, (_, i) => (training[i][1] === "B" ? 1 : -1));
  return { name: `wdbc n=${samples} d=30`, points: { data, shape: [samples, d] }, labels, radius: 0.5, beta: 0.01 };
}

/** The 455 training rows scaled so that the longest has length 1; radius 0.05. */
export function wdbcUnit(): Instance | null {
  const instance = wdbc(455);
  if (!instance) return null;
  const { data, shape } = instance.points;
  const d = shape[1];
  let longest = 0;
  for (let i = 0; i < data.length; i += d) longest = Math.max(longest, Math.hypot(...data.subarray(i, i + d)));
  const points = { data: Float64Array.from(data, (value) => value / longest), shape };
  return { ...instance, name: "wdbc scaled to unit rows, n=455 d=30", points, radius: 0.05 };
}

export function synth(d: number, samples: number): Instance {
  const rng = createRng(d);
  const data = Float64Array.from({ length: samples * d }, () => (2 / Math.sqrt(d)) * rng.normal());
  const directions = orthonormal(
    Array.from({ length: Math.min(d, 3) }, () => Array.from({ length: d }, () => rng.normal())),
  );
  const scores = Float64Array.from({ length: samples }, (_, i) => {
    const [p0, p1, p2] = directions.map((u) => u.reduce((sum, value, l) => sum + value * data[i * d + l], 0));
    return p0 * p0 - (p1 === undefined ? 0.3 : p1 * p1) + (p2 ?? 0.2 * p0);
  });
  const median = scores.slice().sort()[samples >> 1];
  const labels = scores.map((score) => (score > median ? 1 : -1) * (rng.uniform() < 0.1 ? -1 : 1));
  return { name: `synth n=${samples} d=${d}`, points: { data, shape: [samples, d] }, labels, radius: 0.3, beta: 0.01 };
}

function orthonormal(rows: number[][]): number[][] {
  for (const [k, row] of rows.entries()) {
    for (const earlier of rows.slice(0, k)) {
      const product = row.reduce((sum, value, l) => sum + value * earlier[l], 0);
      for (let l = 0; l < row.length; l++) row[l] -= product * earlier[l];
    }
    const length = Math.hypot(...row);
    for (let l = 0; l < row.length; l++) row[l] /= length;
  }
  return rows;
}
