// Tensors of a PyTorch file of before 1.6 (`_use_new_zipfile_serialization=False`), the form of many published CIFAR networks.
//   file = pickles of: magic number, protocol 1001, machine, state dict, list of storage keys; then for each key: u64 number of values, values (little-endian)

import { FormatError } from "@worstcase/core";
import { PickleReader, type Storage, stateDictTensors, unpickle } from "./pickle.js";
import type { WeightTensor } from "./weights.js";

/** The magic number 0x1950a86a20f9469cfc6c as it is pickled: protocol 2, LONG1 of 10 bytes, STOP. */
const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

/** Whether the bytes start like such a file. */
export function isLegacyPytorch(bytes: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

/** Tensors by name, as float32. Throws FormatError when the file is truncated, big-endian, or names anything but tensors. */
export function readLegacyPytorchFile(bytes: Uint8Array): Map<string, WeightTensor> {
  const reader = new PickleReader(bytes);
  reader.skip(magic.length);
  const protocol = unpickle(reader);
  const machine = unpickle(reader);
  if (protocol !== 1001 || !(machine instanceof Map) || machine.get("little_endian") !== true) {
    const received = `protocol ${String(protocol)}`;
    throw new FormatError({ argument: "PyTorch file", expected: "protocol 1001, little-endian", received });
  }
  const storages = new Map<string, Storage>();
  const state = unpickle(reader, (storage) => storages.set(storage.key, storage));
  const keys = unpickle(reader);
  if (!Array.isArray(keys)) throw new FormatError({ argument: "storage keys", expected: "a list", received: keys });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const arrays = new Map<string, Uint8Array>();
  let offset = reader.position;
  for (const key of keys.map(String)) {
    const width = storages.get(key)?.type.bytes;
    const count = offset + 8 <= bytes.length ? Number(view.getBigUint64(offset, true)) : Number.NaN;
    const end = offset + 8 + count * (width ?? Number.NaN);
    if (!(end <= bytes.length)) {
      const hint = "the file may be truncated";
      throw new FormatError({ argument: `storage ${key}`, expected: `${count} values`, received: "fewer bytes", hint });
    }
    arrays.set(key, bytes.subarray(offset + 8, end));
    offset = end;
  }
  return stateDictTensors(state, ({ key }) => arrays.get(key));
}
