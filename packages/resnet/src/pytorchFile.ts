// Tensors of a PyTorch zip file (torch.save since 1.6). Members: <root>/data.pkl, a pickle of the state dict, and <root>/data/<key>, one stored array each.
// A pickle is a program: only the few names that a state dict needs are known here, and any other name stops the reading before it can do anything.
//   tensor value [i, j, ...] = storage[offset + i * stride0 + j * stride1 + ...]

import { FormatError, isWorstcaseError } from "@worstcase/core";
import { type TensorType, toFloat32 } from "@worstcase/safetensors";
import { unzipSync } from "fflate";
import { Parser } from "pickleparser";
import type { WeightTensor } from "./weights.js";

interface Storage {
  readonly key: string;
  readonly type: TensorType;
}

class PickledTensor {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

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

/** Whether the bytes start like a zip file. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/** Tensors by name, as float32. Throws FormatError when the file is damaged, compressed, big-endian, or names anything but tensors. */
export function readPytorchFile(bytes: Uint8Array): Map<string, WeightTensor> {
  const members = unzip(bytes);
  const pickle = [...members.keys()].find((name) => name.endsWith("/data.pkl"));
  if (!pickle) {
    throw new FormatError({ argument: "zip file", expected: "a member data.pkl", received: [...members.keys()] });
  }
  const root = pickle.slice(0, -"data.pkl".length);
  const order = members.get(`${root}byteorder`);
  if (order && new TextDecoder().decode(order) !== "little") {
    throw new FormatError({ argument: "byteorder", expected: "little", received: new TextDecoder().decode(order) });
  }
  const tensors = new Map<string, WeightTensor>();
  for (const [name, value] of stateDict(unpickle(members.get(pickle)!))) {
    if (typeof name !== "string" || !(value instanceof PickledTensor)) {
      const hint = "save it with torch.save(network.state_dict(), file)";
      throw new FormatError({ argument: String(name), expected: "a tensor", received: value, hint });
    }
    const data = members.get(`${root}data/${value.storage.key}`);
    if (!data) {
      throw new FormatError({ argument: name, expected: `member data/${value.storage.key}`, received: "none" });
    }
    tensors.set(name, { shape: value.shape, data: gather(name, value, data) });
  }
  return tensors;
}

function unzip(bytes: Uint8Array): Map<string, Uint8Array> {
  try {
    const members = unzipSync(bytes, {
      filter: ({ name, compression, size, originalSize }) => {
        if (!/(^|\/)(data\.pkl|byteorder|data\/\d+)$/.test(name)) return false;
        if (compression !== 0 || size !== originalSize) {
          throw new FormatError({
            argument: name,
            expected: "a stored member, as PyTorch writes",
            received: "compressed",
          });
        }
        return true;
      },
    });
    return new Map(Object.entries(members));
  } catch (cause) {
    if (isWorstcaseError(cause)) throw cause;
    const received = cause instanceof Error ? cause.message : String(cause);
    const hint = "the file may be truncated";
    throw new FormatError({ argument: "zip file", expected: "a complete zip file", received, hint }, { cause });
  }
}

function unpickle(bytes: Uint8Array): unknown {
  const parser = new Parser({
    unpicklingTypeOfDictionary: "Map",
    nameResolver: { resolve: resolveName },
    persistentResolver: { resolve: resolveStorage as (id: string) => unknown },
  });
  try {
    return parser.parse(bytes);
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
      return (storage: Storage, offset: number, shape: number[], strides: number[]) =>
        new PickledTensor(storage, Number(offset), shape.map(Number), strides.map(Number));
    default:
      return undefined;
  }
}

function resolveStorage(id: unknown): Storage {
  const [kind, type, key] = Array.isArray(id) ? id : [];
  if (kind === "storage" && type instanceof StorageType) return { key: String(key), type: type.type };
  throw new FormatError({ argument: "data.pkl", expected: "the identifier of a storage", received: id });
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
  const width = Object.values(storageTypes).find(({ type }) => type === storage.type)!.bytes;
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
  const values = toFloat32({ type: storage.type, shape: [available], data: view(storage.type, copy.buffer) } as never);
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
