import { FormatError, isWorstcaseError, SettingError, ShapeError, UnsupportedError } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NamedTensor, readSafetensors, type TensorType, toFloat32, toFloat64, writeSafetensors } from "./index.js";
import { arrayTypes } from "./tensor.js";

// Written by Python's safetensors 0.8 with torch:
//   save_file({"half": tensor([1, -0.5, 65504, 6e-8, inf], float16), "brain": tensor([[1, -2.5], [3.140625, 1e30]], bfloat16),
//     "single": arange(6, float32).reshape(2, 3) / 4, "double": tensor([1/3, -1e-300], float64), "counts": tensor([1, -2, 2**53 + 1]),
//     "flags": tensor([True, False]), "scalar": tensor(7, int32), "empty": zeros(0, 4)}, path, metadata={"note": "schön", "maker": "python"})
const writtenByPython =
  "GAIAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJub3RlIjoic2Now7ZuIiwibWFrZXIiOiJweXRob24ifSwiY291bnRzIjp7ImR0eXBlIjoiSTY0Iiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbMCwyNF19LCJkb3VibGUiOnsiZHR5cGUiOiJGNjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlsyNCw0MF19LCJlbXB0eSI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMCw0XSwiZGF0YV9vZmZzZXRzIjpbNDAsNDBdfSwic2luZ2xlIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDNdLCJkYXRhX29mZnNldHMiOls0MCw2NF19LCJzY2FsYXIiOnsiZHR5cGUiOiJJMzIiLCJzaGFwZSI6W10sImRhdGFfb2Zmc2V0cyI6WzY0LDY4XX0sImJyYWluIjp7ImR0eXBlIjoiQkYxNiIsInNoYXBlIjpbMiwyXSwiZGF0YV9vZmZzZXRzIjpbNjgsNzZdfSwiaGFsZiI6eyJkdHlwZSI6IkYxNiIsInNoYXBlIjpbNV0sImRhdGFfb2Zmc2V0cyI6Wzc2LDg2XX0sImZsYWdzIjp7ImR0eXBlIjoiQk9PTCIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6Wzg2LDg4XX19ICAgIAEAAAAAAAAA/v////////8BAAAAAAAgAFVVVVVVVdU/WfP4wh9upYEAAAAAAACAPgAAAD8AAEA/AACAPwAAoD8HAAAAgD8gwElASnEAPAC4/3sBAAB8AQA=";

/** A file with this header text and this many zero bytes of data. */
function fileOf(header: string, dataBytes: number, declared = new TextEncoder().encode(header).length): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(declared), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (from: number, to: number, shape = `[${(to - from) / 4}]`, dtype = '"F32"') =>
  `{"dtype":${dtype},"shape":${shape},"data_offsets":[${from},${to}]}`;

describe("a file written by Python", () => {
  const bytes = new Uint8Array(Buffer.from(writtenByPython, "base64"));

  it("is read with its values, shapes and metadata", () => {
    const { tensors, metadata } = readSafetensors(bytes);
    expect(metadata).toEqual({ note: "schön", maker: "python" });
    const values = (name: string) => Array.from(toFloat64(tensors.get(name)!));
    expect(values("single")).toEqual([0, 0.25, 0.5, 0.75, 1, 1.25]);
    expect(tensors.get("single")!.shape).toEqual([2, 3]);
    expect(values("double")).toEqual([1 / 3, -1e-300]);
    expect(tensors.get("counts")!.data).toEqual(BigInt64Array.of(1n, -2n, 9007199254740993n));
    expect(values("flags")).toEqual([1, 0]);
    expect(tensors.get("scalar")!.shape).toEqual([]);
    expect(values("scalar")).toEqual([7]);
    expect(tensors.get("empty")!.shape).toEqual([0, 4]);
    // 6e-8 rounds to the smallest subnormal, 2^-24.
    expect(values("half")).toEqual([1, -0.5, 65504, 2 ** -24, Number.POSITIVE_INFINITY]);
    const brain = values("brain");
    expect(brain.slice(0, 3)).toEqual([1, -2.5, 3.140625]);
    expect(Math.abs(brain[3]! / 1e30 - 1)).toBeLessThan(2 ** -8);
  });

  it("does not share memory with the bytes given, at any alignment", () => {
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const { tensors } = readSafetensors(shifted.subarray(1));
    shifted.fill(0);
    expect(toFloat64(tensors.get("double")!)[0]).toBe(1 / 3);
  });
});

const types = Object.keys(arrayTypes) as TensorType[];
const tensorOf = (type: TensorType) =>
  fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }).chain((shape) => {
    const bytes = shape.reduce((product, length) => product * length, 1) * arrayTypes[type].BYTES_PER_ELEMENT;
    return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((content) => {
      return { type, shape, data: new arrayTypes[type](Uint8Array.from(content).buffer) } as NamedTensor;
    });
  });
const anyTensors = fc.dictionary(
  fc.string({ unit: "grapheme" }).filter((name) => name !== "__metadata__"),
  fc.constantFrom(...types).chain(tensorOf),
  { maxKeys: 6 },
);

describe("round trip", () => {
  it("returns the same bits, shapes, names and metadata", () => {
    fc.assert(
      fc.property(anyTensors, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
        const read = readSafetensors(writeSafetensors(tensors, metadata));
        expect(read.metadata).toEqual({ ...metadata });
        expect([...read.tensors.keys()].sort()).toEqual(Object.keys(tensors).sort());
        for (const [name, tensor] of Object.entries(tensors)) {
          const back = read.tensors.get(name)!;
          expect([back.type, back.shape]).toEqual([tensor.type, tensor.shape]);
          expect(new Uint8Array(back.data.buffer)).toEqual(new Uint8Array(tensor.data.buffer));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("is independent of the order of tensors, and every tensor is aligned to its values", () => {
    fc.assert(
      fc.property(anyTensors, (tensors) => {
        const bytes = writeSafetensors(new Map(Object.entries(tensors)));
        expect(writeSafetensors(new Map(Object.entries(tensors).reverse()))).toEqual(bytes);
        const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
        expect(headerBytes % 8).toBe(0);
        const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
        for (const [name, tensor] of Object.entries(tensors)) {
          expect(header[name].data_offsets[0] % tensor.data.BYTES_PER_ELEMENT).toBe(0);
        }
      }),
    );
  });

  it("writes the part of a buffer that a view shows, and changes nothing", () => {
    const whole = Float64Array.of(1, 2, 3, 4);
    const { tensors } = readSafetensors(
      writeSafetensors({ part: { type: "F64", shape: [2], data: whole.subarray(1, 3) } }),
    );
    expect(tensors.get("part")!.data).toEqual(Float64Array.of(2, 3));
    expect(whole).toEqual(Float64Array.of(1, 2, 3, 4));
  });

  it("takes a file without tensors", () => {
    expect(readSafetensors(fileOf("{}", 0)).tensors.size).toBe(0);
    expect(readSafetensors(writeSafetensors({})).tensors.size).toBe(0);
  });
});

describe("decoding", () => {
  it("gives every finite half-precision value by its definition", () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const decoded = toFloat64({ type: "F16", shape: [65536], data: bits });
    for (let i = 0; i < 65536; i++) {
      const exponent = (i >> 10) & 31;
      const fraction = i & 1023;
      const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
      const value = exponent < 31 ? size : fraction ? Number.NaN : Number.POSITIVE_INFINITY;
      if (!Object.is(decoded[i], i >> 15 ? -value : value))
        expect(decoded[i], `bits ${i}`).toBe(i >> 15 ? -value : value);
    }
  });

  it("gives every bfloat16 value as the float32 with the same upper half", () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const view = new DataView(new ArrayBuffer(4));
    const decoded = toFloat32({ type: "BF16", shape: [65536], data: bits });
    for (let i = 0; i < 65536; i++) {
      view.setUint16(0, i);
      if (!Object.is(decoded[i], view.getFloat32(0))) expect(decoded[i], `bits ${i}`).toBe(view.getFloat32(0));
    }
  });

  it("rounds float64 and 64-bit integers, and refuses an unknown type", () => {
    expect(toFloat32({ type: "F64", shape: [1], data: Float64Array.of(0.1) })[0]).toBe(Math.fround(0.1));
    expect(toFloat64({ type: "U64", shape: [1], data: BigUint64Array.of(2n ** 63n) })[0]).toBe(2 ** 63);
    expect(() => toFloat32({ type: "F12" as "F16", shape: [0], data: new Uint16Array() })).toThrow(FormatError);
  });
});

describe("damaged files", () => {
  const good = writeSafetensors({ a: { type: "F32", shape: [3], data: Float32Array.of(1, 2, 3) } }, { k: "v" });

  it("are refused however they are cut", () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => readSafetensors(good.subarray(0, length)), `${length} bytes`).toThrow(FormatError);
    }
  });

  it("never throw anything but a typed error, whatever byte is changed", () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (position, value) => {
        const bytes = good.slice();
        bytes[position] = value;
        try {
          readSafetensors(bytes);
        } catch (error) {
          expect(isWorstcaseError(error)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  const bad: [string, Uint8Array, RegExp][] = [
    ["a header above the limit", fileOf("{}", 0, 2 ** 40), /at most 16777216 bytes/],
    ["a header that is longer than the file", fileOf("{}", 0, 100), /truncated/],
    ["no JSON", fileOf("{hello", 0), /valid JSON/],
    ["an array for a header", fileOf("[]", 0), /a JSON object/],
    ["a header that begins with a space", fileOf(" {}", 0), /a JSON object/],
    ["bytes that are no UTF-8", fileOf("{}", 0).map((byte, i) => (i === 8 ? 0xff : byte)), /UTF-8/],
    ["one name twice", fileOf(`{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4), /"a" twice/],
    ["one name twice, once escaped", fileOf(`{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`, 4), /"a" twice/],
    ["a range beyond the end", fileOf(`{"a":${entry(0, 8)}}`, 4), /truncated/],
    ["overlapping ranges", fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), /overlaps/],
    ["a gap", fileOf(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12), /belong to no tensor/],
    ["bytes left over", fileOf(`{"a":${entry(0, 4)}}`, 8), /follow the last tensor/],
    ["too few bytes for the shape", fileOf(`{"a":${entry(0, 8, "[3]")}}`, 8), /12 bytes for F32 \[3\]/],
    ["a backward range", fileOf(`{"a":${entry(8, 4, "[1]")}}`, 8), /0 <= from <= to/],
    ["a negative length", fileOf(`{"a":${entry(0, 4, "[-1]")}}`, 4), /integers >= 0/],
    ["an overflowing shape", fileOf(`{"a":${entry(0, 4, "[4294967296,4294967296]")}}`, 4), /below 2\^53/],
    ["an unknown type", fileOf(`{"a":${entry(0, 4, "[1]", '"WORD"')}}`, 4), /one of F64/],
    ["a type that is no text", fileOf(`{"a":${entry(0, 4, "[1]", "7")}}`, 4), /one of F64/],
    ["a tensor that is no object", fileOf('{"a":3}', 0), /an object with dtype/],
    ["metadata that is no text", fileOf('{"__metadata__":{"a":1}}', 0), /an object of strings/],
  ];
  it.each(bad)("are refused: %s", (_, bytes, message) => {
    expect(() => readSafetensors(bytes)).toThrow(FormatError);
    expect(() => readSafetensors(bytes)).toThrow(message);
  });

  it("tell types without a JavaScript array from unknown ones", () => {
    expect(() => readSafetensors(fileOf(`{"a":${entry(0, 1, "[1]", '"F8_E4M3"')}}`, 1))).toThrow(UnsupportedError);
  });

  it("keep to a smaller header limit, and names like __proto__ are plain names", () => {
    expect(() => readSafetensors(good, { headerBytes: 16 })).toThrow(FormatError);
    expect(() => readSafetensors(good, { headerBytes: 0 })).toThrow(SettingError);
    expect(() => readSafetensors("text" as never)).toThrow(SettingError);
    const { tensors } = readSafetensors(fileOf(`{"__proto__":${entry(0, 4)}}`, 4));
    expect([...tensors.keys()]).toEqual(["__proto__"]);
  });
});

describe("writing refuses", () => {
  const data = Float32Array.of(1, 2);
  it("a shape that does not fit, an array of another type, an unknown type, a reserved name, metadata that is no text", () => {
    expect(() => writeSafetensors({ a: { type: "F32", shape: [3], data } })).toThrow(ShapeError);
    expect(() => writeSafetensors({ a: { type: "F32", shape: [-2], data } })).toThrow(ShapeError);
    expect(() => writeSafetensors({ a: { type: "F64", shape: [2], data } as never })).toThrow(FormatError);
    expect(() => writeSafetensors({ a: { type: "F12", shape: [2], data } as never })).toThrow(FormatError);
    expect(() => writeSafetensors({ __metadata__: { type: "F32", shape: [2], data } })).toThrow(SettingError);
    expect(() => writeSafetensors({}, { steps: 3 as never })).toThrow(SettingError);
  });
});
