// The Hessian of the robust loss in T, C = sum_k (c_k c_k') kron (d_i d_i') kron M_k, c_k the output coefficients of a term, d_i the pattern
// column of its sample and M_k the D x D matrix of its quadratic form (lossTerms.ts). Terms with the same outputs and the same pattern column
// are summed first: with few gates there are few distinct columns.
// C: [P outputs D, P outputs D], index (p outputs + o) D + k

import type { ReluProgram } from "../program/program.js";
import type { LossTerms } from "./lossTerms.js";

/** A number for every term; equal numbers mean the same outputs, sign and pattern column. */
export function patternClasses(program: ReluProgram, terms: LossTerms): Int32Array {
  const { gateCount, bits } = program;
  const known = new Map<string, number>();
  return Int32Array.from({ length: terms.count }, (_, k) => {
    const i = terms.sample[k];
    const column = bits.subarray(i * gateCount, (i + 1) * gateCount).join("");
    const key = `${terms.first[k]} ${terms.second[k]} ${column}`;
    const found = known.get(key) ?? known.size;
    known.set(key, found);
    return found;
  });
}

/** Writes C to `out`. */
export function formMatrix(
  program: ReluProgram,
  terms: LossTerms,
  classes: Int32Array,
  out: Float64Array,
  order: number,
): void {
  const { width, gateCount, outputs, bits } = program;
  const size = width * width;
  const count = classes.reduce((most, c) => Math.max(most, c + 1), 0);
  const totals = new Float64Array(count * size);
  const example = new Int32Array(count);
  for (let k = 0; k < terms.count; k++) {
    addTerm(program, terms, k, totals, classes[k] * size);
    example[classes[k]] = k;
  }
  out.fill(0);
  const open = new Int32Array(gateCount);
  for (let c = 0; c < count; c++) {
    const k = example[c];
    const i = terms.sample[k];
    let opened = 0;
    for (let p = 0; p < gateCount; p++) if (bits[i * gateCount + p] === 1) open[opened++] = p;
    const columns = terms.second[k] < 0 ? [terms.first[k]] : [terms.first[k], terms.second[k]];
    for (const row of columns) {
      for (const column of columns) {
        const sign = row === column ? 1 : -1; // plus is +-1 with one output and 1 with two
        for (let a = 0; a < opened; a++) {
          const rowAt = (open[a] * outputs + row) * width;
          for (let b = 0; b < opened; b++) {
            const columnAt = (open[b] * outputs + column) * width;
            if (columnAt > rowAt) continue;
            for (let j = 0; j < width; j++) {
              const at = (rowAt + j) * order + columnAt;
              for (let l = 0; l < width; l++) out[at + l] += sign * totals[c * size + j * width + l];
            }
          }
        }
      }
    }
  }
  for (let j = 0; j < order; j++) for (let l = 0; l < j; l++) out[l * order + j] = out[j * order + l];
}

// M_k = scoreForm x x' + mixed (x v' + v x') + diag + outer v v'
function addTerm(program: ReluProgram, terms: LossTerms, k: number, totals: Float64Array, at: number): void {
  const { width, featureCount: d, inputs } = program;
  const { cones } = terms;
  if (cones === null) return;
  const x = terms.sample[k] * width;
  const scoreForm = terms.scoreForm[k];
  const mixed = terms.mixed[k];
  const outer = terms.outer[k];
  for (let j = 0; j < width; j++) {
    const xj = inputs[x + j];
    const vj = j < d ? cones.vector[k * d + j] : 0;
    const onX = scoreForm * xj + mixed * vj;
    const onV = mixed * xj + outer * vj;
    for (let l = 0; l < width; l++) {
      totals[at + j * width + l] += onX * inputs[x + l] + (l < d ? onV * cones.vector[k * d + l] : 0);
    }
    if (j < d) totals[at + j * width + j] += cones.diagonal[k * d + j];
  }
}

/** Writes sum over the terms at which block (p, o) is open of M_k - scoreForm y y', y = x + (mixed / scoreForm) v, to out [P outputs, D, D]. */
export function addRemainders(program: ReluProgram, terms: LossTerms, out: Float64Array): void {
  const { width, featureCount: d, gateCount, outputs, bits } = program;
  const { cones } = terms;
  if (cones === null) return;
  out.fill(0);
  const size = width * width;
  for (let k = 0; k < terms.count; k++) {
    const i = terms.sample[k];
    const left = Math.max(0, terms.outer[k] - terms.mixed[k] ** 2 / terms.scoreForm[k]);
    const v = k * d;
    for (let p = 0; p < gateCount; p++) {
      if (bits[i * gateCount + p] === 0) continue;
      for (const o of [terms.first[k], terms.second[k]]) {
        if (o < 0) continue;
        const at = (p * outputs + o) * size;
        for (let j = 0; j < d; j++) {
          out[at + j * width + j] += cones.diagonal[v + j];
          if (left === 0) continue;
          const scaled = left * cones.vector[v + j];
          for (let l = 0; l <= j; l++) out[at + j * width + l] += scaled * cones.vector[v + l];
        }
      }
    }
  }
}
