// Reads a safetensors file held in memory.
//   file = u64 little-endian header length, JSON header, data bytes (little-endian, row-major)

import { FormatError, SettingError, UnsupportedError } from "@worstcase/core";
import { type HeaderEntry, parseHeader } from "./header.js";
import { arrayTypes, type NamedTensor } from "./tensor.js";

const defaultHeaderBytes = 16 * 1024 * 1024;

export interface SafetensorsFile {
  /** Tensors by name, in the order of the header. */
  readonly tensors: Map<string, NamedTensor>;
  /** The text metadata of the file, empty when it has none. */
  readonly metadata: Record<string, string>;
}

/**
 * Tensors and metadata of a safetensors file. The tensors own their memory, so `bytes` may be reused.
 * `limits.headerBytes` (default 16 MiB) bounds the JSON header.
 *
 * Throws FormatError when the file is truncated, its header is not valid or larger than the limit, a name appears twice,
 * or the byte ranges overlap, leave gaps or do not fit shape and type; UnsupportedError for tensor types without a JavaScript array (8-bit
 * floats and complex numbers).
 */
export function readSafetensors(bytes: Uint8Array, limits: { readonly headerBytes?: number } = {}): SafetensorsFile {
  requireLittleEndian();
  const limit = limits.headerBytes ?? defaultHeaderBytes;
  if (!Number.isSafeInteger(limit) || limit < 2) {
    throw new SettingError({ argument: "limits.headerBytes", expected: "an integer >= 2", received: limit });
  }
  if (Object.prototype.toString.call(bytes) !== "[object Uint8Array]") {
    throw new SettingError({ argument: "bytes", expected: "a Uint8Array", received: bytes });
  }
  if (bytes.length < 8) {
    throw new FormatError({ argument: "safetensors file", expected: "at least 8 bytes", received: bytes.length });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (headerBytes > limit) {
    const hint = "is it a safetensors file? if so, raise limits.headerBytes";
    const expected = `at most ${limit} bytes`;
    throw new FormatError({ argument: "safetensors header length", expected, received: headerBytes, hint });
  }
  if (8 + headerBytes > bytes.length) {
    const expected = `a header of ${headerBytes} bytes`;
    const hint = "the file is truncated";
    throw new FormatError({ argument: "safetensors file", expected, received: bytes.length - 8, hint });
  }
  const data = bytes.subarray(8 + headerBytes);
  const { entries, metadata } = parseHeader(decodeText(bytes.subarray(8, 8 + headerBytes)), data.length);
  return { tensors: new Map(entries.map((entry) => [entry.name, readTensor(entry, data)])), metadata };
}

function readTensor({ type, shape, from, to }: HeaderEntry, data: Uint8Array): NamedTensor {
  const copy = new Uint8Array(to - from);
  copy.set(data.subarray(from, to));
  return { type, shape, data: new arrayTypes[type](copy.buffer) } as NamedTensor;
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError({ argument: "safetensors header", expected: "UTF-8 text", received: bytes }, { cause });
  }
}

/** Typed arrays use the byte order of the machine; the format is little-endian. */
export function requireLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new UnsupportedError({ argument: "machine", expected: "little-endian byte order", received: "big-endian" });
  }
}
