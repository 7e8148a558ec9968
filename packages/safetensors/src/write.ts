// Writes a safetensors file in memory. Order: wider values first, then by name; the header is padded with spaces to a multiple of 8 bytes.
// So every tensor starts at a multiple of its value size without gaps, and equal input gives equal bytes.

import { FormatError, SettingError, ShapeError } from "@worstcase/core";
import { metadataKey } from "./header.js";
import { requireLittleEndian } from "./read.js";
import { arrayTypes, countValues, type NamedTensor } from "./tensor.js";

/**
 * The bytes of a safetensors file with these tensors and text metadata. Throws FormatError for an unknown type or an array that does not
 * fit it, ShapeError when the number of values differs from the product of the shape, SettingError for metadata that is not text.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, NamedTensor> | Readonly<Record<string, NamedTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  requireLittleEndian();
  const entries: [string, NamedTensor][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  for (const [name, tensor] of entries) checkTensor(name, tensor);
  checkMetadata(metadata);
  entries.sort(([a, { data: first }], [b, { data: second }]) => {
    return second.BYTES_PER_ELEMENT - first.BYTES_PER_ELEMENT || compareText(a, b);
  });

  const fields: [string, unknown][] = [];
  const texts = Object.entries(metadata).sort(([a], [b]) => compareText(a, b));
  if (texts.length > 0) fields.push([metadataKey, Object.fromEntries(texts)]);
  let end = 0;
  for (const [name, { type, shape, data }] of entries) {
    fields.push([name, { dtype: type, shape: [...shape], data_offsets: [end, (end += data.byteLength)] }]);
  }
  // Written field by field: an object would move names that look like integers to the front.
  const json = `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
  const text = new TextEncoder().encode(json);
  const headerBytes = Math.ceil(text.length / 8) * 8;

  const bytes = new Uint8Array(8 + headerBytes + end);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, headerBytes, true);
  bytes.set(text, 8);
  bytes.fill(0x20, 8 + text.length, 8 + headerBytes);
  let offset = 8 + headerBytes;
  for (const [, { data }] of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

function checkTensor(name: string, tensor: NamedTensor): void {
  const argument = `tensors["${name}"]`;
  if (name === metadataKey) {
    throw new SettingError({ argument: "tensors", expected: `no tensor named ${metadataKey}`, received: name });
  }
  const type = tensor?.type;
  if (!Object.hasOwn(arrayTypes, String(type))) {
    const expected = `one of ${Object.keys(arrayTypes).join(", ")}`;
    throw new FormatError({ argument: `${argument}.type`, expected, received: type });
  }
  const arrayType = arrayTypes[type].name;
  if (Object.prototype.toString.call(tensor.data) !== `[object ${arrayType}]`) {
    const expected = `${arrayType} for ${type}`;
    throw new FormatError({ argument: `${argument}.data`, expected, received: tensor.data });
  }
  const count = countValues(tensor.shape, `${argument}.shape`);
  if (count !== tensor.data.length) {
    const expected = `${count} values for shape [${tensor.shape.join(", ")}]`;
    throw new ShapeError({ argument: `${argument}.data`, expected, received: tensor.data.length });
  }
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string") {
      const hint = "use JSON.stringify for other values";
      throw new SettingError({ argument: `metadata["${key}"]`, expected: "text", received: value, hint });
    }
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
