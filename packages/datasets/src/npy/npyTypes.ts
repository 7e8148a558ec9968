// Array types of the .npy format: the type text of the header (`<f8`: little-endian 8-byte float) and the JavaScript array.

export type NpyData =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | BigUint64Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** One array, row-major, with as many values as the product of `shape` (1 for a scalar, shape `[]`). */
export interface NpyArray {
  readonly data: NpyData;
  readonly shape: readonly number[];
}

export interface NpyType {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): NpyData;
}

/** By kind and bytes; booleans (`b1`) are read as bytes 0 and 1. */
export const npyTypes: Readonly<Record<string, NpyType>> = {
  f8: Float64Array,
  f4: Float32Array,
  i8: BigInt64Array,
  i4: Int32Array,
  i2: Int16Array,
  i1: Int8Array,
  u8: BigUint64Array,
  u4: Uint32Array,
  u2: Uint16Array,
  u1: Uint8Array,
  b1: Uint8Array,
};

/** Type text of an array, or undefined when the format has none for it. */
export function typeText(data: unknown): string | undefined {
  const tag = Object.prototype.toString.call(data).slice(8, -1);
  const entry = Object.entries(npyTypes).find(([, type]) => type.name === tag);
  return entry && `${entry[1].BYTES_PER_ELEMENT === 1 ? "|" : "<"}${entry[0]}`;
}
