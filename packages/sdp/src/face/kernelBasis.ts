// From approximate eigenvectors to exact kernel vectors. The vectors v with V v = 0 or, here, those that span the range of
// V, have small rational entries in reduced echelon form when the problem comes from combinatorics (row sums, a vector of
// ones); an approximation to two digits then gives them exactly, and whether it did is decided by the caller's check.
//
//   exposed R [count, size]: reduced echelon form, R = (I A) after permutation     basis N [size, size - count]: R N = 0

/** R and N of one block; N by rows in compressed form. */
export interface KernelBasis {
  readonly size: number;
  /** Rows of R. */
  readonly count: number;
  /** `[count, size]`. */
  readonly exposed: Float64Array;
  /** `[size + 1]`, then column and value of each entry of N. */
  readonly start: Int32Array;
  readonly column: Int32Array;
  readonly value: Float64Array;
}

const LARGEST_DENOMINATOR = 64;
/** An entry may be off by this share of the spacing of the fractions. */
const CLOSE = 0.12;
/** Below so many entries of A the pivots are exchanged for a sparser form. */
const EXCHANGE = 4000;

/** N = I: nothing is exposed. */
export function wholeSpace(size: number): KernelBasis {
  return complement(new Float64Array(0), [], size);
}

/**
 * Echelon form of the rows of `vectors` `[count, size]` with every entry replaced by the fraction it is close to, the same
 * smallest denominator for all; undefined when there is none. With `exact`, entries are taken as they are.
 */
export function kernelBasis(
  vectors: Float64Array,
  count: number,
  size: number,
  exact: boolean,
): KernelBasis | undefined {
  const all = vectors.slice();
  const pivots = echelon(all, count, size);
  const r = all.slice(0, pivots.length * size);
  if (!exact) {
    let denominator = 1;
    while (!r.every((v) => Math.abs(v * denominator - Math.round(v * denominator)) <= CLOSE)) {
      if (++denominator > LARGEST_DENOMINATOR) return undefined;
    }
    for (let e = 0; e < r.length; e++) r[e] = Math.round(r[e] * denominator) / denominator;
  }
  exchangePivots(r, pivots, size);
  return complement(r, pivots, size);
}

/** Gauss-Jordan with full pivoting, in place; the pivot column of each independent row, which come first. */
function echelon(r: Float64Array, count: number, size: number): number[] {
  const pivots: number[] = [];
  for (let p = 0; p < count; p++) {
    let [row, column, largest] = [p, 0, 0];
    for (let i = p; i < count; i++) {
      for (let j = 0; j < size; j++) {
        if (Math.abs(r[i * size + j]) > largest) [row, column, largest] = [i, j, Math.abs(r[i * size + j])];
      }
    }
    if (largest < 1e-6) break;
    for (let j = 0; j < size; j++) {
      const kept = r[p * size + j];
      r[p * size + j] = r[row * size + j];
      r[row * size + j] = kept;
    }
    eliminate(r, p, column, count, size);
    pivots.push(column);
  }
  return pivots;
}

function eliminate(r: Float64Array, row: number, column: number, count: number, size: number): void {
  const pivot = r[row * size + column];
  for (let j = 0; j < size; j++) r[row * size + j] /= pivot;
  for (let i = 0; i < count; i++) {
    const weight = r[i * size + column];
    if (i === row || weight === 0) continue;
    for (let j = 0; j < size; j++) r[i * size + j] -= weight * r[row * size + j];
    r[i * size + column] = 0;
  }
}

/** Other pivot columns as long as that makes R sparser: N has the same entries, and the reduced data follow N. */
function exchangePivots(r: Float64Array, pivots: number[], size: number): void {
  const count = pivots.length;
  if (count * size > EXCHANGE) return;
  for (let round = 0; round < 2 * count; round++) {
    let best = { gain: 0, row: 0, column: 0 };
    for (let row = 0; row < count; row++) {
      for (let column = 0; column < size; column++) {
        const pivot = r[row * size + column];
        if (column === pivots[row] || Math.abs(pivot) < 0.3) continue;
        let gain = 0;
        for (let i = 0; i < count; i++) {
          const weight = r[i * size + column] / pivot;
          if (i === row || weight === 0) continue;
          for (let j = 0; j < size; j++) {
            const before = r[i * size + j];
            const after = before - weight * r[row * size + j];
            gain += (before !== 0 ? 1 : 0) - (Math.abs(after) > 1e-12 ? 1 : 0);
          }
        }
        if (gain > best.gain) best = { gain, row, column };
      }
    }
    if (best.gain === 0) return;
    eliminate(r, best.row, best.column, count, size);
    for (let e = 0; e < r.length; e++) if (Math.abs(r[e]) < 1e-12) r[e] = 0;
    pivots[best.row] = best.column;
  }
}

/** N: a unit vector for each column of R that is no pivot, minus what R needs in the pivot positions. */
function complement(exposed: Float64Array, pivots: readonly number[], size: number): KernelBasis {
  const rowOf = new Int32Array(size).fill(-1);
  pivots.forEach((column, row) => {
    rowOf[column] = row;
  });
  const free = Array.from({ length: size }, (_, i) => i).filter((i) => rowOf[i] < 0);
  const start = new Int32Array(size + 1);
  const column: number[] = [];
  const value: number[] = [];
  const position = new Int32Array(size);
  free.forEach((i, a) => {
    position[i] = a;
  });
  for (let i = 0; i < size; i++) {
    if (rowOf[i] < 0) {
      column.push(position[i]);
      value.push(1);
    } else {
      free.forEach((j, a) => {
        const entry = exposed[rowOf[i] * size + j];
        if (entry === 0) return;
        column.push(a);
        value.push(-entry);
      });
    }
    start[i + 1] = column.length;
  }
  const count = pivots.length;
  return { size, count, exposed, start, column: Int32Array.from(column), value: Float64Array.from(value) };
}
