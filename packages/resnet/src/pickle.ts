// The pickle inside a PyTorch file, read without running it. A pickle is a program: only the few names that a state dict needs are known here,
// and any other name stops the reading before it can do anything.
//   tensor value [i, j, ...] = storage[offset + i * stride0 + j * stride1 + ...]

import { FormatError, isWorstcaseError } from "@worstcase/core";
import { type TensorType, toFloat32 } from "@worstcase/safetensors";
import { BufferReader, Parser } from "pickleparser";
import type { WeightTensor } from "./weights.js";

export interface Storage {
  readonly key: string;
  readonly type: StorageType;
}

class PickledTensor {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** A storage class such as torch.FloatStorage. */
class StorageType {
  constructor(
    readonly type: TensorType,
    readonly bytes: number,
  ) {
    Object.freeze(this); // a pickle may try to attach attributes to it
  }
}

const storageTypes: Readonly<Record<string, StorageType>> = {
  FloatStorage: new StorageType("F32", 4),
  DoubleStorage: new StorageType("F64", 8),
  HalfStorage: new StorageType("F16", 2),
  BFloat16Storage: new StorageType("BF16", 2),
  LongStorage: new StorageType("I64", 8),
  IntStorage: new StorageType("I32", 4),
  ShortStorage: new StorageType("I16", 2),
  CharStorage: new StorageType("I8", 1),
  ByteStorage: new StorageType("U8", 1),
  BoolStorage: new StorageType("BOOL", 1),
};

/** Keys under which training scripts wrap a state dict. */
const wrappers = ["state_dict", "model_state_dict", "model", "net"];

/** A reader that refuses impossible lengths instead of printing a warning. */
export class PickleReader extends BufferReader {
  override uint64(): number {
    const low = this.uint32();
    const value = low + this.uint32() * 2 ** 32;
    if (Number.isSafeInteger(value)) return value;
    throw new FormatError({ argument: "data.pkl", expected: "a length below 2^53", received: value });
  }
}

/** The next pickled object at the reader's place. Throws FormatError when it is damaged or names anything but tensors and dictionaries. */
export function unpickle(reader: PickleReader, onStorage?: (storage: Storage) => void): unknown {
  const parser = new Parser({
    unpicklingTypeOfDictionary: "Map",
    nameResolver: { resolve: resolveName },
    persistentResolver: {
      resolve: (id: unknown) => {
        const storage = resolveStorage(id);
        onStorage?.(storage);
        return storage;
      },
    },
  });
  try {
    return parser.read(reader);
  } catch (cause) {
    if (isWorstcaseError(cause)) throw cause;
    const received = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError({ argument: "data.pkl", expected: "the pickle of a state dict", received }, { cause });
  }
}

function resolveName(module: string, name: string): never {
  const storage = module === "torch" && Object.hasOwn(storageTypes, name) ? storageTypes[name] : undefined;
  const known = storage ?? rebuild(`${module}.${name}`);
  if (known) return known as never;
  throw new FormatError({
    argument: "data.pkl",
    expected: "only tensors and dictionaries",
    received: `the name ${module}.${name}`,
    hint: "save the tensors alone: torch.save(network.state_dict(), file)",
  });
}

/** A new function each time, because a pickle may attach attributes to what a name gave it. */
function rebuild(name: string): ((...values: never[]) => unknown) | undefined {
  switch (name) {
    case "collections.OrderedDict":
      return (pairs: [unknown, unknown][] = []) => new Map(pairs);
    case "torch._utils._rebuild_parameter":
      return (tensor: unknown) => tensor;
    case "torch._utils._rebuild_tensor_v2":
      return (storage: Storage, offset: number, shape: number[], strides: number[]) => {
        if (storage?.type instanceof StorageType) {
          return new PickledTensor(storage, Number(offset), shape.map(Number), strides.map(Number));
        }
        throw new FormatError({ argument: "data.pkl", expected: "a tensor on a storage", received: storage });
      };
    default:
      return undefined;
  }
}

function resolveStorage(id: unknown): Storage {
  const [kind, type, key, , , view] = Array.isArray(id) ? id : [];
  if (view !== undefined && view !== null) {
    throw new FormatError({ argument: "data.pkl", expected: "whole storages", received: "a view of a storage" });
  }
  if (kind === "storage" && type instanceof StorageType) return { key: String(key), type };
  throw new FormatError({ argument: "data.pkl", expected: "the identifier of a storage", received: id });
}

/** Tensors of an unpickled state dict, or of one wrapped in a checkpoint, as float32; `bytesOf` gives the bytes of a storage. */
export function stateDictTensors(
  value: unknown,
  bytesOf: (storage: Storage) => Uint8Array | undefined,
): Map<string, WeightTensor> {
  const tensors = new Map<string, WeightTensor>();
  for (const [name, tensor] of stateDict(value)) {
    if (typeof name !== "string" || !(tensor instanceof PickledTensor)) {
      const hint = "save it with torch.save(network.state_dict(), file)";
      throw new FormatError({ argument: String(name), expected: "a tensor", received: tensor, hint });
    }
    const data = bytesOf(tensor.storage);
    if (!data) {
      throw new FormatError({ argument: name, expected: `storage ${tensor.storage.key}`, received: "none" });
    }
    tensors.set(name, { shape: tensor.shape, data: gather(name, tensor, data) });
  }
  return tensors;
}

function stateDict(value: unknown): Map<unknown, unknown> {
  if (!(value instanceof Map)) {
    throw new FormatError({ argument: "data.pkl", expected: "a dictionary of tensors", received: value });
  }
  for (const key of wrappers) {
    const inner = value.get(key);
    if (inner instanceof Map) return inner;
  }
  return value;
}

function gather(name: string, { storage, offset, shape, strides }: PickledTensor, bytes: Uint8Array): Float32Array {
  const { type, bytes: width } = storage.type;
  const available = Math.floor(bytes.length / width);
  const whole = (values: readonly number[]) => values.every((value) => Number.isSafeInteger(value) && value >= 0);
  const count = shape.reduce((product, length) => product * length, 1);
  const last = shape.reduce((sum, length, i) => sum + (length - 1) * (strides[i] ?? Number.NaN), offset);
  const valid = whole([...shape, ...strides, offset]) && shape.length === strides.length;
  if (!valid || count > available || (count > 0 && !(last < available))) {
    const expected = `shape [${shape.join(", ")}] within its storage`;
    throw new FormatError({ argument: name, expected, received: `${bytes.length} bytes`, hint: "the file is damaged" });
  }
  const copy = bytes.slice(0, available * width);
  const values = toFloat32({ type, shape: [available], data: view(type, copy.buffer) } as never);
  const result = new Float32Array(count);
  const index = new Array<number>(shape.length).fill(0);
  let position = offset;
  for (let i = 0; i < count; i++) {
    result[i] = values[position]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      position += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      position -= index[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

function view(type: TensorType, buffer: ArrayBuffer): ArrayBufferView {
  if (type === "F32") return new Float32Array(buffer);
  if (type === "F64") return new Float64Array(buffer);
  if (type === "I64") return new BigInt64Array(buffer);
  if (type === "I32") return new Int32Array(buffer);
  if (type === "I16") return new Int16Array(buffer);
  if (type === "I8") return new Int8Array(buffer);
  return type === "F16" || type === "BF16" ? new Uint16Array(buffer) : new Uint8Array(buffer);
}
