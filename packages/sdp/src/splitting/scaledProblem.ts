// The problem as the iteration sees it: one cone vector, sparse operator, scaled data.
// Cone vector (length N): the blocks one after another, psd as full row-major n x n, nonnegative as is, then one zero-cone
// place per equality, so that A x = b is the slack A x - b in {0} and u is its dual.
//   scaled x = x / (constantScale variableScale_k),  slack = blockScale S / constantScale,  dual = Y / (blockScale objectiveScale)
// with variableScale making every column (F_k, A_k) a unit vector, blockScale one number per psd block and per other place.
// Rank-one terms are written out as entries.

import type { Block, SdpProblem } from "../problem.js";

export interface ConePart {
  readonly kind: "psd" | "nonnegative" | "zero";
  readonly size: number;
  /** First place of the part in the cone vector. */
  readonly from: number;
}

/** Entries of the columns 0..m (0 is the constant), sorted by column: those of column k are start[k] .. start[k + 1] - 1. */
export interface Columns {
  readonly start: Int32Array;
  /** Place in the cone vector, and its mirror image across the diagonal (the same on the diagonal). */
  readonly place: Int32Array;
  readonly mirror: Int32Array;
  readonly value: Float64Array;
}

export interface ScaledProblem {
  readonly variables: number;
  /** N. */
  readonly length: number;
  readonly parts: readonly ConePart[];
  readonly columns: Columns;
  /** Scaled c, `[variables]`. */
  readonly objective: Float64Array;
  readonly variableScale: Float64Array;
  /** `[parts]` for psd; per place elsewhere: see `placeScale`. */
  readonly blockScale: Float64Array;
  readonly objectiveScale: number;
  readonly constantScale: number;
  /** Largest absolute entry of c, of (F_0, b), and of each column, in the caller's units. */
  readonly largest: { readonly objective: number; readonly constant: number; readonly columns: Float64Array };
}

/** Bytes that `scaleProblem` and its columns take, from the number of entries. */
function countEntries(problem: SdpProblem): number {
  const terms = problem.blocks.flatMap(({ rankOne = [] }) => rankOne);
  const written = terms.reduce(
    (sum, { vector }) => sum + (support(vector).length * (support(vector).length + 1)) / 2,
    0,
  );
  const equalities = problem.equalities ? problem.equalities.value.length + problem.equalities.right.length : 0;
  return written + equalities + problem.blocks.reduce((sum, { entries }) => sum + entries.value.length, 0);
}

export function coneParts(problem: SdpProblem): ConePart[] {
  let from = 0;
  const parts: ConePart[] = problem.blocks.map(({ kind, size }) => {
    const part = { kind, size, from };
    from += kind === "psd" ? size * size : size;
    return part;
  });
  parts.push({ kind: "zero", size: problem.equalities?.right.length ?? 0, from });
  return parts;
}

export function scaleProblem(problem: SdpProblem): ScaledProblem {
  const parts = coneParts(problem);
  const last = parts[parts.length - 1];
  const length = last.from + last.size;
  const variables = problem.objective.length;
  const columns = gatherColumns(problem, parts);
  const largest = {
    objective: largestIn(problem.objective, 0, variables),
    constant: largestIn(columns.value, 0, columns.start[1]),
    columns: Float64Array.from({ length: variables }, (_, k) =>
      largestIn(columns.value, columns.start[k + 1], columns.start[k + 2]),
    ),
  };
  const { variableScale, blockScale } = equilibrate(columns, parts, length, variables);
  for (let k = 0; k <= variables; k++) {
    const factor = k === 0 ? 1 : variableScale[k - 1];
    for (let e = columns.start[k]; e < columns.start[k + 1]; e++) {
      columns.value[e] *= factor * blockScale[columns.place[e]];
    }
  }
  const objective = problem.objective.map((c, k) => c * variableScale[k]);
  const objectiveScale = norm(objective) || 1;
  const constantScale = columnNorm(columns, 0) || 1;
  for (let k = 0; k < variables; k++) objective[k] /= objectiveScale;
  for (let e = 0; e < columns.start[1]; e++) columns.value[e] /= constantScale;
  return {
    variables,
    length,
    parts,
    columns,
    objective,
    variableScale,
    blockScale,
    objectiveScale,
    constantScale,
    largest,
  };
}

/**
 * Alternates unit columns with unit average rows (Ruiz 2001, one factor per psd block, so that the cone is kept), ending on
 * the columns. Returns factors per variable and per place of the cone vector.
 */
function equilibrate(columns: Columns, parts: readonly ConePart[], length: number, variables: number) {
  const variableScale = new Float64Array(variables).fill(1);
  const blockScale = new Float64Array(length).fill(1);
  const rows = new Float64Array(length);
  const passes = parts.reduce((count, { kind, size }) => count + (kind === "psd" ? 1 : size), 0) > 1 ? 5 : 1;
  const unitColumns = () => {
    for (let k = 0; k < variables; k++) {
      let sum = 0;
      for (let e = columns.start[k + 1]; e < columns.start[k + 2]; e++) {
        const value = columns.value[e] * blockScale[columns.place[e]];
        sum += value * value * (columns.place[e] === columns.mirror[e] ? 1 : 2);
      }
      if (sum > 0) variableScale[k] = 1 / Math.sqrt(sum);
    }
  };
  for (let pass = 1; pass < passes; pass++) {
    unitColumns();
    rows.fill(0);
    for (let k = 0; k < variables; k++) {
      for (let e = columns.start[k + 1]; e < columns.start[k + 2]; e++) {
        const value = columns.value[e] * variableScale[k] * blockScale[columns.place[e]];
        rows[columns.place[e]] += value * value * (columns.place[e] === columns.mirror[e] ? 1 : 2);
      }
    }
    for (const { kind, size, from } of parts) {
      const step = kind === "psd" ? size * size : 1;
      for (let at = from; at < from + (kind === "psd" ? 1 : size); at++) {
        let sum = 0;
        for (let p = at; p < at + step; p++) sum += rows[p];
        const factor = sum > 0 ? (kind === "psd" ? size / sum : 1 / sum) ** 0.25 : 1;
        for (let p = at; p < at + step; p++) blockScale[p] = Math.min(1e8, Math.max(1e-8, blockScale[p] * factor));
      }
    }
  }
  unitColumns();
  return { variableScale, blockScale };
}

function gatherColumns(problem: SdpProblem, parts: readonly ConePart[]): Columns {
  const variables = problem.objective.length;
  const count = countEntries(problem);
  const column = new Int32Array(count);
  const place = new Int32Array(count);
  const mirror = new Int32Array(count);
  const value = new Float64Array(count);
  let filled = 0;
  const push = (k: number, p: number, q: number, v: number) => {
    column[filled] = k;
    place[filled] = p;
    mirror[filled] = q;
    value[filled] = v;
    filled++;
  };
  for (const [b, block] of problem.blocks.entries()) pushBlock(block, parts[b], push);
  const { equalities } = problem;
  if (equalities) {
    const { from } = parts[parts.length - 1];
    for (let e = 0; e < equalities.value.length; e++) {
      push(equalities.variable[e] + 1, from + equalities.row[e], from + equalities.row[e], equalities.value[e]);
    }
    for (let i = 0; i < equalities.right.length; i++) push(0, from + i, from + i, equalities.right[i]);
  }
  return sortColumns(variables, column, place, mirror, value);
}

function pushBlock(block: Block, part: ConePart, push: (k: number, p: number, q: number, v: number) => void): void {
  const { matrix, row, column, value } = block.entries;
  const n = block.kind === "psd" ? block.size : 0;
  for (let e = 0; e < value.length; e++) {
    const [i, j] = [row[e], column[e]];
    push(matrix[e], part.from + i * n + j, part.from + (n ? j * n + i : j), value[e]);
  }
  for (const { matrix: k, weight, vector } of block.rankOne ?? []) {
    const places = support(vector);
    for (const i of places) {
      for (const j of places) {
        if (i <= j) push(k, part.from + i * n + j, part.from + j * n + i, weight * vector[i] * vector[j]);
      }
    }
  }
}

/** Sorts by column, then place; sums repeats and drops zeros. */
function sortColumns(
  variables: number,
  column: Int32Array,
  place: Int32Array,
  mirror: Int32Array,
  value: Float64Array,
): Columns {
  const order = Int32Array.from(column, (_, e) => e).sort((a, b) => column[a] - column[b] || place[a] - place[b]);
  const start = new Int32Array(variables + 2);
  const sorted = { place: new Int32Array(order.length), mirror: new Int32Array(order.length) };
  const values = new Float64Array(order.length);
  let kept = 0;
  for (let o = 0; o < order.length; ) {
    const [k, p] = [column[order[o]], place[order[o]]];
    const q = mirror[order[o]];
    let sum = 0;
    while (o < order.length && column[order[o]] === k && place[order[o]] === p) sum += value[order[o++]];
    if (sum === 0) continue;
    sorted.place[kept] = p;
    sorted.mirror[kept] = q;
    values[kept] = sum;
    start[k + 1] = ++kept;
  }
  for (let k = 1; k < start.length; k++) start[k] = Math.max(start[k], start[k - 1]);
  return {
    start,
    place: sorted.place.subarray(0, kept),
    mirror: sorted.mirror.subarray(0, kept),
    value: values.subarray(0, kept),
  };
}

function support(vector: Float64Array): number[] {
  const places: number[] = [];
  for (let i = 0; i < vector.length; i++) if (vector[i] !== 0) places.push(i);
  return places;
}

function columnNorm({ start, place, mirror, value }: Columns, k: number): number {
  let sum = 0;
  for (let e = start[k]; e < start[k + 1]; e++) sum += value[e] * value[e] * (place[e] === mirror[e] ? 1 : 2);
  return Math.sqrt(sum);
}

function norm(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}

function largestIn(values: Float64Array, from: number, to: number): number {
  let largest = 0;
  for (let i = from; i < to; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
}

/** out = sum x_k F_k - F_0 (and A x - b) in scaled terms; without the constant when `homogeneous`. */
export function combine(
  { columns, variables }: ScaledProblem,
  x: Float64Array,
  out: Float64Array,
  homogeneous = false,
): void {
  const { start, place, mirror, value } = columns;
  out.fill(0);
  if (!homogeneous) for (let e = 0; e < start[1]; e++) out[place[e]] -= value[e];
  for (let k = 1; k <= variables; k++) {
    const factor = x[k - 1];
    if (factor === 0) continue;
    for (let e = start[k]; e < start[k + 1]; e++) out[place[e]] += factor * value[e];
  }
  for (let e = 0; e < place.length; e++) out[mirror[e]] = out[place[e]];
}

/** out_k = <F_k, Y> + (A'u)_k, `[variables]`; returns <F_0, Y> + b'u. */
export function innerProducts({ columns, variables }: ScaledProblem, y: Float64Array, out: Float64Array): number {
  const { start, place, mirror, value } = columns;
  let constant = 0;
  for (let k = 0; k <= variables; k++) {
    let sum = 0;
    for (let e = start[k]; e < start[k + 1]; e++) {
      const product = value[e] * y[place[e]];
      sum += place[e] === mirror[e] ? product : 2 * product;
    }
    if (k === 0) constant = sum;
    else out[k - 1] = sum;
  }
  return constant;
}
