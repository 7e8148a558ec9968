// Tensor types of the safetensors format, the array that holds each, and decoding to floating point.
//   F16:  sign 1, exponent 5 (bias 15), fraction 10       BF16: the upper half of a float32
// data: row-major, length = product of shape

import { FormatError, ShapeError } from "@worstcase/core";

/** The array a tensor of each type is held in. F16 and BF16 stay raw bits; BOOL is one byte a value, 0 or 1. */
export interface TensorArrays {
  F64: Float64Array;
  F32: Float32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I64: BigInt64Array;
  I32: Int32Array;
  I16: Int16Array;
  I8: Int8Array;
  U64: BigUint64Array;
  U32: Uint32Array;
  U16: Uint16Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}

export type TensorType = keyof TensorArrays;

/** One tensor: `data` row-major with as many values as the product of `shape` (1 for a scalar, shape `[]`). */
export type NamedTensor<T extends TensorType = TensorType> = {
  [K in T]: { readonly type: K; readonly shape: readonly number[]; readonly data: TensorArrays[K] };
}[T];

type ArrayConstructor<T extends TensorType> = {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): TensorArrays[T];
};

/** Array constructor of each type; the bytes per value are its BYTES_PER_ELEMENT. */
export const arrayTypes: { readonly [T in TensorType]: ArrayConstructor<T> } = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** Number of values of a shape. Throws ShapeError naming `argument` when a length is not a nonnegative integer or the product is too large. */
export function countValues(shape: readonly number[], argument: string): number {
  let count = 1;
  for (const length of Array.isArray(shape) ? shape : [Number.NaN]) {
    count *= Number.isSafeInteger(length) && length >= 0 ? length : Number.NaN;
  }
  if (!Number.isSafeInteger(count)) {
    throw new ShapeError({
      argument,
      expected: "lengths that are integers >= 0 with a product below 2^53",
      received: shape,
    });
  }
  return count;
}

/** The values as a new Float32Array: F16 and BF16 decoded exactly, F64 and integers rounded to nearest. */
export function toFloat32(tensor: NamedTensor): Float32Array {
  const target = new Float32Array(tensor.data.length);
  decode(tensor, target);
  return target;
}

/** The values as a new Float64Array: exact for every type but 64-bit integers beyond 2^53, which are rounded. */
export function toFloat64(tensor: NamedTensor): Float64Array {
  const target = new Float64Array(tensor.data.length);
  decode(tensor, target);
  return target;
}

function decode(tensor: NamedTensor, target: Float32Array | Float64Array): void {
  const { type, data } = tensor;
  if (!Object.hasOwn(arrayTypes, type)) {
    throw new FormatError({ argument: "tensor.type", expected: Object.keys(arrayTypes).join(", "), received: type });
  }
  if (type === "I64" || type === "U64") for (let i = 0; i < data.length; i++) target[i] = Number(data[i]!);
  else if (type === "F16") decodeHalf(data, target);
  else if (type === "BF16") decodeBrain(data, target);
  else target.set(data);
}

const word = new Uint32Array(1);
const asFloat = new Float32Array(word.buffer);

function decodeHalf(data: Uint16Array, target: Float32Array | Float64Array): void {
  for (let i = 0; i < data.length; i++) {
    const bits = data[i]!;
    const sign = (bits & 0x8000) << 16;
    const exponent = (bits >>> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) {
      target[i] = (sign ? -fraction : fraction) * 2 ** -24;
      continue;
    }
    word[0] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
    target[i] = asFloat[0]!;
  }
}

function decodeBrain(data: Uint16Array, target: Float32Array | Float64Array): void {
  for (let i = 0; i < data.length; i++) {
    word[0] = data[i]! << 16;
    target[i] = asFloat[0]!;
  }
}
