// A restricted reader of pickles: dictionaries, lists, tuples, text, integers, and numpy arrays of bytes. Pickles can name code to run;
// here the only names accepted are the three numpy uses for an array, and nothing is ever called. Protocols 2 to 5 without side buffers.

import { FormatError } from "@worstcase/core";

/** A numpy uint8 array in row-major order. */
interface ByteArray {
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export type PickleValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | PickleValue[]
  | Map<string, PickleValue>
  | ByteArray;

/** What may lie on the stack while reading: values, a mark, an allowed name, an array or type that is being built. */
type Item = PickleValue | symbol | Name | Building;
interface Name {
  readonly name: string;
}
interface Building {
  readonly builds: "array" | "type";
  typeName: string;
  shape: number[];
  bytes: Uint8Array;
}

const mark = Symbol("mark");
const arrayNames = ["numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"];
const allowedNames = [...arrayNames, "numpy ndarray", "numpy dtype", "_codecs encode"];

/** The value of a pickle. Text of old pickles comes as text when it is ASCII and short, else as bytes. Throws FormatError naming `file`. */
export function unpickle(bytes: Uint8Array, file: string): PickleValue {
  try {
    return finish(new Unpickler(bytes).run());
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : cause;
    const expected = "a pickle of lists, dictionaries, numbers and one uint8 array";
    throw new FormatError({ argument: file, expected, received }, { cause });
  }
}

class Unpickler {
  private position = 0;
  private readonly stack: Item[] = [];
  private readonly memo = new Map<number, Item>();
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): Item {
    for (;;) {
      const code = this.byte();
      if (code === 0x2e) return this.pop(); // STOP
      const operation = operations[code];
      if (!operation) throw new Error(`operation 0x${code.toString(16)} at byte ${this.position - 1}`);
      operation(this);
    }
  }

  skip(length: number): Uint8Array {
    if (length < 0 || this.position + length > this.bytes.length) throw new Error("the file ends too early");
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }
  byte(): number {
    return this.skip(1)[0]!;
  }
  short(): number {
    this.skip(2);
    return this.view.getUint16(this.position - 2, true);
  }
  word(): number {
    this.skip(4);
    return this.view.getUint32(this.position - 4, true);
  }
  long(): number {
    const low = this.word();
    return low + this.word() * 2 ** 32;
  }
  line(): string {
    const end = this.bytes.indexOf(10, this.position);
    if (end < 0) throw new Error("the file ends too early");
    const line = text(this.skip(end - this.position));
    this.position++;
    return line;
  }

  push(item: Item): void {
    this.stack.push(item);
  }
  pop(): Item {
    const item = this.stack.pop();
    if (item === undefined) throw new Error("an empty stack");
    return item;
  }
  popToMark(): Item[] {
    const from = this.stack.lastIndexOf(mark);
    if (from < 0) throw new Error("no mark");
    return this.stack.splice(from).slice(1);
  }
  popMany(count: number): Item[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }
  remember(key: number = this.memo.size): void {
    const top = this.pop();
    this.memo.set(key, top);
    this.push(top);
  }
  recall(key: number): void {
    const item = this.memo.get(key);
    if (item === undefined) throw new Error(`nothing stored under ${key}`);
    this.push(item);
  }
  name(module: Item, name: Item): void {
    const whole = `${String(module)} ${String(name)}`;
    if (!allowedNames.includes(whole)) throw new Error(`the name ${whole}, which is not allowed`);
    this.push({ name: whole });
  }
  append(items: Item[]): void {
    const list = this.pop();
    if (!Array.isArray(list)) throw new Error("values appended to something that is not a list");
    for (const item of items) list.push(finish(item));
    this.push(list);
  }
  setItems(items: Item[]): void {
    const dictionary = this.pop();
    if (!(dictionary instanceof Map)) throw new Error("keys set on something that is not a dictionary");
    for (let i = 0; i + 1 < items.length; i += 2) {
      const key = items[i]! instanceof Uint8Array ? text(items[i] as Uint8Array) : items[i];
      dictionary.set(String(key), finish(items[i + 1]!));
    }
    this.push(dictionary);
  }

  /** Stands for the call of an allowed name. */
  reduce(): void {
    const values = this.pop();
    const called = this.pop();
    const name = isRecord(called) && "name" in called ? called.name : "";
    if (name === "_codecs encode" && Array.isArray(values) && typeof values[0] === "string") {
      this.push(Uint8Array.from(values[0], (character) => character.charCodeAt(0))); // latin1
    } else if (name === "numpy dtype" && Array.isArray(values)) {
      this.push({ builds: "type", typeName: asText(values[0]), shape: [], bytes: new Uint8Array() });
    } else if (arrayNames.includes(name)) {
      this.push({ builds: "array", typeName: "", shape: [], bytes: new Uint8Array() });
    } else throw new Error(`a call of ${name || "something that is no name"}`);
  }

  /** Stands for __setstate__ of an array: (version, shape, type, column-major, bytes). The state of a type holds nothing we need. */
  build(): void {
    const state = this.pop();
    const target = this.pop();
    if (!isRecord(target) || !("builds" in target)) throw new Error("the state of an unknown object");
    if (target.builds === "array") {
      const [, shape, type, columnMajor, content] = Array.isArray(state) ? (state as Item[]) : [];
      const typeName = isRecord(type) && "typeName" in type ? type.typeName : "";
      if (!/^[|<>=]?u1$/.test(typeName)) throw new Error(`an array of type ${typeName || "unknown"}`);
      if (columnMajor !== false && columnMajor !== 0) throw new Error("a column-major array");
      if (!Array.isArray(shape) || !shape.every((length) => Number.isSafeInteger(length))) throw new Error("no shape");
      target.shape = shape as number[];
      target.bytes = typeof content === "string" ? new TextEncoder().encode(content) : (content as Uint8Array);
      const expected = target.shape.reduce((product, length) => product * length, 1);
      if (target.bytes?.length !== expected) throw new Error(`${target.bytes?.length} bytes for ${expected} values`);
    }
    this.push(target);
  }
}

const operations: Readonly<Record<number, (p: Unpickler) => void>> = {
  128: (p) => p.skip(1), // PROTO
  149: (p) => p.skip(8), // FRAME
  40: (p) => p.push(mark), // MARK
  125: (p) => p.push(new Map()), // EMPTY_DICT
  93: (p) => p.push([]), // EMPTY_LIST
  41: (p) => p.push([]), // EMPTY_TUPLE
  78: (p) => p.push(null), // NONE
  136: (p) => p.push(true), // NEWTRUE
  137: (p) => p.push(false), // NEWFALSE
  75: (p) => p.push(p.byte()), // BININT1
  77: (p) => p.push(p.short()), // BININT2
  74: (p) => p.push(p.word() | 0), // BININT
  85: (p) => p.push(oldText(p.skip(p.byte()))), // SHORT_BINSTRING
  84: (p) => p.push(oldText(p.skip(p.word()))), // BINSTRING
  67: (p) => p.push(p.skip(p.byte())), // SHORT_BINBYTES
  66: (p) => p.push(p.skip(p.word())), // BINBYTES
  142: (p) => p.push(p.skip(p.long())), // BINBYTES8
  140: (p) => p.push(text(p.skip(p.byte()))), // SHORT_BINUNICODE
  88: (p) => p.push(text(p.skip(p.word()))), // BINUNICODE
  113: (p) => p.remember(p.byte()), // BINPUT
  114: (p) => p.remember(p.word()), // LONG_BINPUT
  148: (p) => p.remember(), // MEMOIZE
  104: (p) => p.recall(p.byte()), // BINGET
  106: (p) => p.recall(p.word()), // LONG_BINGET
  97: (p) => p.append([p.pop()]), // APPEND
  101: (p) => p.append(p.popToMark()), // APPENDS
  115: (p) => p.setItems(p.popMany(2)), // SETITEM
  117: (p) => p.setItems(p.popToMark()), // SETITEMS
  116: (p) => p.push(p.popToMark() as PickleValue[]), // TUPLE
  133: (p) => p.push(p.popMany(1) as PickleValue[]), // TUPLE1
  134: (p) => p.push(p.popMany(2) as PickleValue[]), // TUPLE2
  135: (p) => p.push(p.popMany(3) as PickleValue[]), // TUPLE3
  99: (p) => p.name(p.line(), p.line()), // GLOBAL
  147: (p) => {
    const [module, name] = p.popMany(2); // STACK_GLOBAL
    p.name(module!, name!);
  },
  82: (p) => p.reduce(), // REDUCE
  98: (p) => p.build(), // BUILD
};

/** A stack item as a value; half-built objects and names are not values. */
function finish(item: Item): PickleValue {
  if (typeof item === "symbol" || (isRecord(item) && "name" in item)) throw new Error("a name where a value belongs");
  if (isRecord(item) && "builds" in item) {
    if (item.builds !== "array" || item.shape.length === 0) throw new Error("an array without content");
    return { shape: item.shape, bytes: item.bytes };
  }
  return item as PickleValue;
}

function isRecord(item: unknown): item is Name | Building | ByteArray {
  return (
    typeof item === "object" &&
    item !== null &&
    !Array.isArray(item) &&
    !(item instanceof Map) &&
    !ArrayBuffer.isView(item)
  );
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** Old pickles do not tell text from bytes: short and ASCII is taken as text. */
function oldText(bytes: Uint8Array): string | Uint8Array {
  return bytes.length < 256 && bytes.every((byte) => byte < 128) ? text(bytes) : bytes;
}

function asText(value: PickleValue | undefined): string {
  return typeof value === "string" ? value : value instanceof Uint8Array ? text(value) : "";
}
