// Affine expressions in the scalars of a model: a matrix [rows, columns] whose entries are constant + sum of value * scalar.
// Kept as a list of terms (scalar, place, value) with place = row * columns + column and scalar -1 for the constant.

import { DataError, SettingError, ShapeError } from "@worstcase/core";

/** A number, a column vector, or a matrix as an array of rows. */
export type Constant = number | ArrayLike<number> | readonly ArrayLike<number>[];

export interface Terms {
  /** Which scalar of the model; -1 for the constant. */
  readonly scalar: readonly number[];
  readonly place: readonly number[];
  readonly value: readonly number[];
}

/** Index of the constant among scalars. */
export const CONSTANT = -1;

/** An immutable affine expression of shape [rows, columns]. Make them from the variables of a `Model` and with `constant`. */
export class Expression {
  /** @internal */
  constructor(
    /** The model whose scalars appear; undefined for a constant. */
    readonly owner: object | undefined,
    readonly rows: number,
    readonly columns: number,
    readonly terms: Terms,
  ) {}

  /** Entrywise sum. A 1 x 1 constant is not spread over a matrix. Throws ShapeError when shapes differ. */
  plus(other: Expression | Constant): Expression {
    const right = toExpression(other);
    if (right.rows !== this.rows || right.columns !== this.columns) {
      const expected = `shape [${this.rows}, ${this.columns}]`;
      throw new ShapeError({ argument: "other", expected, received: [right.rows, right.columns] });
    }
    return new Expression(sharedOwner(this, right), this.rows, this.columns, {
      scalar: [...this.terms.scalar, ...right.terms.scalar],
      place: [...this.terms.place, ...right.terms.place],
      value: [...this.terms.value, ...right.terms.value],
    });
  }

  /** Entrywise difference. */
  minus(other: Expression | Constant): Expression {
    return this.plus(toExpression(other).times(-1));
  }

  /** Times a number; a 1 x 1 expression also times a constant matrix, which gives an expression of that shape. */
  times(factor: Constant): Expression {
    if (typeof factor === "number") {
      checkNumber(factor, "factor");
      return this.withValues(this.terms.value.map((value) => factor * value));
    }
    if (this.rows !== 1 || this.columns !== 1) {
      const expected = "a number (products with matrices: premultiply, multiply)";
      throw new ShapeError({ argument: "factor", expected, received: factor });
    }
    const matrix = toExpression(factor);
    const scalar: number[] = [];
    const place: number[] = [];
    const value: number[] = [];
    this.terms.scalar.forEach((s, t) => {
      matrix.terms.place.forEach((p, e) => {
        scalar.push(s);
        place.push(p);
        value.push(this.terms.value[t] * matrix.terms.value[e]);
      });
    });
    return new Expression(this.owner, matrix.rows, matrix.columns, { scalar, place, value });
  }

  /** left * this, with a constant [m, rows]. */
  premultiply(left: Constant): Expression {
    return toExpression(left).product(this, "left");
  }

  /** this * right, with a constant [columns, n]. */
  multiply(right: Constant): Expression {
    return toExpression(right).transpose().product(this.transpose(), "right").transpose();
  }

  transpose(): Expression {
    const { rows, columns } = this;
    const place = this.terms.place.map((p) => (p % columns) * rows + Math.floor(p / columns));
    return new Expression(this.owner, columns, rows, { ...this.terms, place });
  }

  /** One entry, as a 1 x 1 expression. Throws SettingError when out of range. */
  at(row: number, column = 0): Expression {
    return this.part(row, row + 1, column, column + 1);
  }

  /** Rows rowFrom .. rowTo - 1 and columns columnFrom .. columnTo - 1. */
  part(rowFrom: number, rowTo: number, columnFrom = 0, columnTo: number = this.columns): Expression {
    const inside = (from: number, to: number, length: number) =>
      Number.isInteger(from) && Number.isInteger(to) && from >= 0 && to > from && to <= length;
    if (!inside(rowFrom, rowTo, this.rows) || !inside(columnFrom, columnTo, this.columns)) {
      const expected = `a part of [${this.rows}, ${this.columns}]`;
      const received = `rows ${rowFrom} to ${rowTo}, columns ${columnFrom} to ${columnTo}`;
      throw new SettingError({ argument: "part", expected, received });
    }
    const width = columnTo - columnFrom;
    return this.filter(rowTo - rowFrom, width, (i, j) =>
      i >= rowFrom && i < rowTo && j >= columnFrom && j < columnTo ? (i - rowFrom) * width + j - columnFrom : -1,
    );
  }

  /** Sum of the diagonal, 1 x 1. */
  trace(): Expression {
    if (this.rows !== this.columns) {
      throw new ShapeError({ argument: "trace", expected: "a square expression", received: [this.rows, this.columns] });
    }
    return this.filter(1, 1, (i, j) => (i === j ? 0 : -1));
  }

  /** Sum of all entries, 1 x 1. */
  sum(): Expression {
    return this.filter(1, 1, () => 0);
  }

  /** Inner product with a constant of the same shape: sum of the products of the entries, 1 x 1. */
  inner(weights: Constant): Expression {
    const other = toExpression(weights);
    if (other.rows !== this.rows || other.columns !== this.columns) {
      const expected = `shape [${this.rows}, ${this.columns}]`;
      throw new ShapeError({ argument: "weights", expected, received: [other.rows, other.columns] });
    }
    const factors = new Float64Array(this.rows * this.columns);
    other.terms.place.forEach((p, e) => {
      factors[p] += other.terms.value[e];
    });
    return this.withValues(this.terms.value.map((value, t) => value * factors[this.terms.place[t]])).sum();
  }

  private withValues(value: readonly number[]): Expression {
    return new Expression(this.owner, this.rows, this.columns, { ...this.terms, value });
  }

  /** Keeps the terms whose new place is not -1. */
  private filter(rows: number, columns: number, placeOf: (row: number, column: number) => number): Expression {
    const scalar: number[] = [];
    const place: number[] = [];
    const value: number[] = [];
    this.terms.place.forEach((p, t) => {
      const target = placeOf(Math.floor(p / this.columns), p % this.columns);
      if (target < 0) return;
      scalar.push(this.terms.scalar[t]);
      place.push(target);
      value.push(this.terms.value[t]);
    });
    return new Expression(this.owner, rows, columns, { scalar, place, value });
  }

  /** this * right where this is a constant. */
  private product(right: Expression, argument: string): Expression {
    if (this.columns !== right.rows) {
      const expected = argument === "left" ? `${right.rows} columns` : `${right.rows} rows`;
      throw new ShapeError({ argument, expected, received: this.columns });
    }
    const columnsOf: [row: number, value: number][][] = Array.from({ length: this.columns }, () => []);
    this.terms.place.forEach((p, e) => {
      columnsOf[p % this.columns].push([Math.floor(p / this.columns), this.terms.value[e]]);
    });
    const scalar: number[] = [];
    const place: number[] = [];
    const value: number[] = [];
    right.terms.place.forEach((p, t) => {
      for (const [i, factor] of columnsOf[Math.floor(p / right.columns)]) {
        scalar.push(right.terms.scalar[t]);
        place.push(i * right.columns + (p % right.columns));
        value.push(factor * right.terms.value[t]);
      }
    });
    return new Expression(right.owner, this.rows, right.columns, { scalar, place, value });
  }
}

/** A constant as an expression: a number is 1 x 1, an array of numbers a column. Throws DataError on NaN or infinities. */
export function constant(values: Constant): Expression {
  if (typeof values === "number") return fromRows([[values]]);
  const list = Array.from(values as ArrayLike<number | ArrayLike<number>>);
  return fromRows(list.map((row) => (typeof row === "number" ? [row] : Array.from(row))));
}

/** A matrix from blocks: every row of blocks has equal heights, every column of blocks equal widths. */
export function blocks(grid: readonly (readonly (Expression | Constant)[])[]): Expression {
  const cells = grid.map((row) => row.map(toExpression));
  const widths = (cells[0] ?? []).map(({ columns }) => columns);
  const columns = widths.reduce((sum, width) => sum + width, 0);
  if (columns === 0) throw new ShapeError({ argument: "grid", expected: "at least one block", received: grid });
  const terms = { scalar: [] as number[], place: [] as number[], value: [] as number[] };
  let owner: object | undefined;
  let top = 0;
  cells.forEach((row, a) => {
    let left = 0;
    row.forEach((cell, b) => {
      if (row.length !== widths.length || cell.columns !== widths[b] || cell.rows !== row[0].rows) {
        const expected = `[${row[0].rows}, ${widths[b]}] in a row of ${widths.length} blocks`;
        throw new ShapeError({ argument: `grid[${a}][${b}]`, expected, received: [cell.rows, cell.columns] });
      }
      owner = sharedOwner({ owner } as Expression, cell);
      cell.terms.place.forEach((p, t) => {
        terms.scalar.push(cell.terms.scalar[t]);
        terms.place.push((top + Math.floor(p / cell.columns)) * columns + left + (p % cell.columns));
        terms.value.push(cell.terms.value[t]);
      });
      left += cell.columns;
    });
    top += row[0].rows;
  });
  return new Expression(owner, top, columns, terms);
}

/** A square matrix with a column expression on its diagonal. */
export function diagonal(column: Expression | Constant): Expression {
  const vector = toExpression(column);
  if (vector.columns !== 1) {
    throw new ShapeError({ argument: "column", expected: "one column", received: [vector.rows, vector.columns] });
  }
  const place = vector.terms.place.map((p) => p * vector.rows + p);
  return new Expression(vector.owner, vector.rows, vector.rows, { ...vector.terms, place });
}

export function toExpression(value: Expression | Constant): Expression {
  return value instanceof Expression ? value : constant(value);
}

/** The terms with repeated (place, scalar) summed and zeros dropped, sorted by place, then scalar. */
export function collect({ terms }: Expression): { scalar: number; place: number; value: number }[] {
  const order = terms.place.map((_, t) => t);
  order.sort((a, b) => terms.place[a] - terms.place[b] || terms.scalar[a] - terms.scalar[b]);
  const sums: { scalar: number; place: number; value: number }[] = [];
  for (const t of order) {
    const last = sums[sums.length - 1];
    if (last && last.place === terms.place[t] && last.scalar === terms.scalar[t]) last.value += terms.value[t];
    else sums.push({ scalar: terms.scalar[t], place: terms.place[t], value: terms.value[t] });
  }
  return sums.filter(({ value }) => value !== 0);
}

function fromRows(rows: readonly (readonly number[])[]): Expression {
  const columns = rows[0]?.length ?? 0;
  if (columns === 0) throw new ShapeError({ argument: "values", expected: "at least one number", received: rows });
  const place: number[] = [];
  const value: number[] = [];
  rows.forEach((row, i) => {
    if (row.length !== columns) {
      throw new ShapeError({ argument: `values[${i}]`, expected: `${columns} numbers`, received: row.length });
    }
    row.forEach((entry, j) => {
      checkNumber(entry, `values[${i}][${j}]`);
      if (entry === 0) return;
      place.push(i * columns + j);
      value.push(entry);
    });
  });
  return new Expression(undefined, rows.length, columns, { scalar: place.map(() => CONSTANT), place, value });
}

function sharedOwner(a: Expression, b: Expression): object | undefined {
  if (a.owner && b.owner && a.owner !== b.owner) {
    const expected = "variables of one model";
    throw new SettingError({ argument: "expression", expected, received: "variables of two models" });
  }
  return a.owner ?? b.owner;
}

function checkNumber(value: number, argument: string): void {
  if (Number.isFinite(value)) return;
  throw new DataError({ argument, expected: "a finite number", received: value });
}
