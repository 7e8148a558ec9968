// n samples in one row-major buffer: the shape is [samples, ...sample].

import { DataError, SettingError, ShapeError } from "./errors.js";

export interface NumericBatch {
  /** Row-major values, length = product of `shape`. */
  readonly data: Float32Array | Float64Array;
  /** `[samples, ...sample]`, for example `[n, features]` or `[n, 32, 32, 3]` (height, width, channels). */
  readonly shape: readonly number[];
}

export interface LabelledBatch {
  readonly inputs: NumericBatch;
  /** Class indices 0 .. classCount - 1, `[samples]`. */
  readonly labels: Int32Array;
  /** Positions of the samples in their data set, `[samples]`. */
  readonly indices: Int32Array;
}

/** Number of values in one sample. */
export function sampleSize(batch: NumericBatch): number {
  return batch.shape.slice(1).reduce((product, length) => product * length, 1);
}

/** Number of samples. */
export function sampleCount(batch: NumericBatch): number {
  return batch.shape[0] ?? 0;
}

/** Samples `from` (inclusive) to `to` (exclusive) as a view on the same memory. */
export function sliceBatch<B extends NumericBatch>(batch: B, from: number, to: number): NumericBatch {
  const size = sampleSize(batch);
  return { data: batch.data.subarray(from * size, to * size), shape: [to - from, ...batch.shape.slice(1)] };
}

/** The samples at `indices`, copied in that order. */
export function gatherBatch(batch: NumericBatch, indices: ArrayLike<number>): NumericBatch {
  const size = sampleSize(batch);
  const data =
    batch.data instanceof Float64Array
      ? new Float64Array(indices.length * size)
      : new Float32Array(indices.length * size);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i]! * size;
    data.set(batch.data.subarray(from, from + size), i * size);
  }
  return { data, shape: [indices.length, ...batch.shape.slice(1)] };
}

/** Joins batches of equal sample shape, in order. Throws ShapeError when sample shapes differ or none is given. */
export function concatBatches(batches: readonly NumericBatch[]): NumericBatch {
  const first = batches[0];
  if (!first) throw new ShapeError({ argument: "batches", expected: "at least one batch", received: batches.length });
  const size = sampleSize(first);
  const total = batches.reduce((sum, batch) => sum + sampleCount(batch), 0);
  const data = first.data instanceof Float64Array ? new Float64Array(total * size) : new Float32Array(total * size);
  let offset = 0;
  for (const batch of batches) {
    if (sampleSize(batch) !== size) {
      throw new ShapeError({ argument: "batches", expected: `samples of ${size} values`, received: batch.shape });
    }
    data.set(batch.data, offset);
    offset += batch.data.length;
  }
  return { data, shape: [total, ...first.shape.slice(1)] };
}

/**
 * Checks that a batch is non-empty, consistent with its shape, finite, and (when given) of one sample shape.
 * Throws ShapeError or DataError naming `argument`.
 */
export function checkBatch(batch: NumericBatch, argument: string, sample?: readonly number[]): void {
  checkBatchShape(batch, argument, sample);
  checkFinite(batch.data, argument, batch.data.length / (batch.shape[0] || 1));
}

/** As `checkBatch`, for code that meets what is not finite on its own way through the data. */
export function checkBatchShape(batch: NumericBatch, argument: string, sample?: readonly number[]): void {
  checkObject(batch, argument, "{ data, shape }, data a typed array and shape [samples, ...]");
  const { data, shape } = batch;
  if (!ArrayBuffer.isView(data) || !Array.isArray(shape)) {
    const received = `data: ${typeName(data)}, shape: ${typeName(shape)}`;
    const hint = "put the numbers of all samples, one sample after the other, into one Float64Array or Float32Array";
    throw new ShapeError({ argument, expected: "{ data, shape }, data a typed array, shape an array", received, hint });
  }
  const count = shape.reduce((product, length) => product * length, 1);
  if (shape.length < 2 || !shape.every((length) => Number.isInteger(length) && length >= 0) || count !== data.length) {
    const expected = `shape [samples, ...] with ${data.length} values in all`;
    throw new ShapeError({ argument: `${argument}.shape`, expected, received: shape });
  }
  if (count === 0) {
    throw new DataError({ argument, expected: "at least one sample", received: `shape [${shape.join(", ")}]` });
  }
  if (sample && (sample.length !== shape.length - 1 || sample.some((length, i) => length !== shape[i + 1]))) {
    const expected = `samples of shape [${sample.join(", ")}]`;
    throw new ShapeError({ argument, expected, received: `[${shape.slice(1).join(", ")}]` });
  }
}

/** Throws SettingError when `value`, which the caller is about to look into, is nothing to look into. */
export function checkObject(value: unknown, argument: string, expected: string): void {
  if (typeof value === "object" && value !== null) return;
  throw new SettingError({ argument, expected, received: value });
}

function typeName(value: unknown): string {
  if (value === null || typeof value !== "object") return String(value === null ? value : typeof value);
  return Array.isArray(value) ? "Array" : (value.constructor?.name ?? "object");
}

/** 0 x is 0 for every finite x and NaN for the others; four sums side by side, since one waits for itself. */
function typedFinite(data: ArrayLike<number>): boolean {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const rest = data.length & 3;
  for (let i = rest; i < data.length; i += 4) {
    s0 += 0 * (data[i] as number);
    s1 += 0 * (data[i + 1] as number);
    s2 += 0 * (data[i + 2] as number);
    s3 += 0 * (data[i + 3] as number);
  }
  for (let i = 0; i < rest; i++) s0 += 0 * (data[i] as number);
  return s0 + s1 + (s2 + s3) === 0;
}

/** Throws DataError naming the first sample and position that is NaN or infinite. */
export function checkFinite(data: ArrayLike<number>, argument: string, size: number = data.length): void {
  if (ArrayBuffer.isView(data) && typedFinite(data)) return;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      const where = `${argument}[${Math.floor(i / size)}, ${i % size}]`;
      const hint = "remove or impute missing values first";
      throw new DataError({ argument: where, expected: "a finite number", received: data[i], hint });
    }
  }
}

/** Checks class labels: integers in [0, classCount), one per sample. Throws ShapeError or DataError. */
export function checkLabels(labels: Int32Array, samples: number, classCount: number, argument = "labels"): void {
  checkObject(labels, argument, `an Int32Array of ${samples} class indices`);
  if (labels.length !== samples) {
    throw new ShapeError({ argument, expected: `${samples} labels, one per sample`, received: labels.length });
  }
  for (let i = 0; i < samples; i++) {
    const label = labels[i]!;
    if (!(label >= 0 && label < classCount && Number.isInteger(label))) {
      const expected = `a class index in 0 .. ${classCount - 1}`;
      throw new DataError({ argument: `${argument}[${i}]`, expected, received: labels[i] });
    }
  }
}
