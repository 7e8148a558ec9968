// Numpy's .npy files in memory, versions 1 to 3.
//   file = "\x93NUMPY", major, minor, header length (2 bytes in version 1, else 4), header, values
//   header = {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   as Python text, padded with spaces

import { FormatError, ShapeError, UnsupportedError } from "@worstcase/core";
import { type NpyArray, type NpyData, npyTypes, typeText } from "./npyTypes.js";

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const mostHeaderBytes = 65_536;

/**
 * An array in row-major order, whatever the order and byte order of the file. Throws FormatError naming `name` when the file is truncated
 * or malformed, UnsupportedError for types that are not plain numbers (objects, text, complex numbers, half precision).
 */
export function readNpy(bytes: Uint8Array, name = "npy file"): NpyArray {
  const fail = (expected: string, received: unknown): never => {
    throw new FormatError({ argument: name, expected, received });
  };
  if (bytes.length < 10 || magic.some((byte, i) => bytes[i] !== byte))
    fail("a file that begins with \\x93NUMPY", bytes);
  const version = bytes[6]!;
  if (version < 1 || version > 3) fail("version 1, 2 or 3", version);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) fail("a whole header", `${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (headerBytes > mostHeaderBytes) fail(`a header of at most ${mostHeaderBytes} bytes`, headerBytes);
  if (start + headerBytes > bytes.length) fail(`a header of ${headerBytes} bytes`, `${bytes.length} bytes in all`);

  const header = new TextDecoder().decode(bytes.subarray(start, start + headerBytes));
  const descr = /'descr'\s*:\s*'([<>|=])([a-zA-Z]\d+)'/.exec(header);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header);
  const shapeText = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(header);
  if (!descr && /'descr'\s*:/.test(header)) unsupported(name, header);
  if (!descr || !order || !shapeText) return fail("a header with descr, fortran_order and shape", header);
  const type = npyTypes[descr[2]!];
  if (!type) return unsupported(name, `${descr[1]}${descr[2]}`);

  const shape = shapeText[1]!
    .split(",")
    .filter((length) => length.trim() !== "")
    .map(Number);
  const count = shape.reduce((product, length) => product * length, 1);
  const size = type.BYTES_PER_ELEMENT;
  const content = bytes.subarray(start + headerBytes);
  if (!Number.isSafeInteger(count) || content.length !== count * size) {
    fail(`${count * size} bytes for ${count} values of shape (${shape})`, content.length);
  }
  const values = new Uint8Array(content.length); // own memory, aligned
  values.set(content);
  if ((descr[1] === ">") === isLittleEndian && size > 1) swapBytes(values, size);
  const data = new type(values.buffer);
  return { data: order[1] === "True" ? reorder(data, shape, "to rows") : data, shape };
}

/**
 * The bytes of a version 1 .npy file; `order: "column-major"` writes what numpy calls Fortran order. Throws ShapeError when the
 * number of values differs from the product of the shape, UnsupportedError for other arrays.
 */
export function writeNpy(array: NpyArray, options: { readonly order?: "row-major" | "column-major" } = {}): Uint8Array {
  const { data, shape } = array;
  const descr = typeText(data);
  if (!descr) {
    throw new UnsupportedError({ argument: "array.data", expected: "a float or integer typed array", received: data });
  }
  const count = shape.reduce((product, length) => product * length, 1);
  if (!shape.every((length) => Number.isSafeInteger(length) && length >= 0) || count !== data.length) {
    throw new ShapeError({ argument: "array.shape", expected: `a product of ${data.length}`, received: shape });
  }
  const columns = options.order === "column-major";
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const text = `{'descr': '${descr}', 'fortran_order': ${columns ? "True" : "False"}, 'shape': ${tuple}, }`;
  // Numpy aligns the values to 64 bytes; the header ends with a line break.
  const headerBytes = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const ordered = columns ? reorder(data, shape, "to columns") : data;
  const values = new Uint8Array(ordered.buffer, ordered.byteOffset, ordered.byteLength).slice();
  if (!isLittleEndian) swapBytes(values, data.BYTES_PER_ELEMENT);
  const bytes = new Uint8Array(10 + headerBytes + values.length);
  bytes.set([...magic, 1, 0, headerBytes & 255, headerBytes >> 8]);
  bytes.set(new TextEncoder().encode(`${text.padEnd(headerBytes - 1)}\n`), 10);
  bytes.set(values, 10 + headerBytes);
  return bytes;
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function unsupported(name: string, received: string): never {
  throw new UnsupportedError({ argument: name, expected: `type ${Object.keys(npyTypes).join(", ")}`, received });
}

function swapBytes(bytes: Uint8Array, size: number): void {
  for (let i = 0; i < bytes.length; i += size) bytes.subarray(i, i + size).reverse();
}

/** Copies between row-major order (last index fastest) and column-major order (first index fastest). */
function reorder(array: NpyData, shape: readonly number[], direction: "to rows" | "to columns"): NpyData {
  const result = array.slice();
  // Moved as unsigned integers: copying floats may change the bits of a NaN.
  const word = npyTypes[`u${array.BYTES_PER_ELEMENT}`] as BigUint64ArrayConstructor;
  const data = new word(array.buffer as ArrayBuffer, array.byteOffset, array.length);
  const target = new word(result.buffer as ArrayBuffer);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, length) => product * length, 1));
  const index = new Array<number>(shape.length).fill(0);
  let column = 0; // position in column-major order of the element at `row` in row-major order
  for (let row = 0; row < data.length; row++) {
    if (direction === "to rows") target[row] = data[column]!;
    else target[column] = data[row]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      column += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      column -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
