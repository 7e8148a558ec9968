import { DataError, FormatError, isWorstcaseError, ResourceError, ShapeError, UnsupportedError } from "@worstcase/core";
import fc from "fast-check";
import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { readNpy, writeNpy } from "./npy.js";
import { type NpyArray, npyTypes } from "./npyTypes.js";
import { readLabelledFeatures, readNpz, writeNpz } from "./npz.js";

const decode = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
// Written by numpy 2.4: write_array of arange(6).reshape(2, 3) / 4 as <f8; arange(24).reshape(2, 3, 4) as <i4 in Fortran order;
// [1, -2] as >i2 in version 2; [True, False] in version 3; save of an object array; savez_compressed of features and labels.
const byNumpy = {
  doubles:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAAAAAAAAAAAAANA/AAAAAAAA4D8AAAAAAADoPwAAAAAAAPA/AAAAAAAA9D8=",
  columnMajor:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGk0JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMywgNCksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAADAAAAAQAAAAQAAAACAAAABQAAAABAAAADQAAAAUAAAARAAAACQAAABUAAAACAAAADgAAAAYAAAASAAAACgAAABYAAAADAAAADwAAAAcAAAATAAAACwAAABcAAAA=",
  bigEndian:
    "k05VTVBZAgB0AAAAeydkZXNjcic6ICc+aTInLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAf/+",
  booleans:
    "k05VTVBZAwB0AAAAeydkZXNjcic6ICd8YjEnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoBAA==",
  features:
    "UEsDBC0AAAAIAAAAIQC/DJk0//////////8MABQAZmVhdHVyZXMubnB5AQAQAJAAAAAAAAAAUwAAAAAAAACb7BfqGxDJyFDGUK2eklqcXKRupaBuk2airqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOgpGmjoKtQpkAy4GhgP2DAwMDkAExA0OAFBLAwQtAAAACAAAACEAfmr7yf//////////CgAUAGxhYmVscy5ucHkBABAAkAAAAAAAAABJAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TaaGuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6mjoKtQoUAC4GKGCE0gBQSwECLQMtAAAACAAAACEAvwyZNFMAAACQAAAADAAAAAAAAAAAAAAAgAEAAAAAZmVhdHVyZXMubnB5UEsBAi0DLQAAAAgAAAAhAH5q+8lJAAAAkAAAAAoAAAAAAAAAAAAAAIABkQAAAGxhYmVscy5ucHlQSwUGAAAAAAIAAgByAAAAFgEAAAAA",
  objects:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnfE8nLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMSwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAqABJWLAAAAAAAAAIwWbnVtcHkuX2NvcmUubXVsdGlhcnJheZSMDF9yZWNvbnN0cnVjdJSTlIwFbnVtcHmUjAduZGFycmF5lJOUSwCFlEMBYpSHlFKUKEsBSwGFlGgDjAVkdHlwZZSTlIwCTziUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LP3SUYoldlH2UYXSUYi4=",
};

describe("files written by numpy", () => {
  it("are read in every version, order and byte order", () => {
    expect(readNpy(decode(byNumpy.doubles))).toEqual({
      data: Float64Array.of(0, 0.25, 0.5, 0.75, 1, 1.25),
      shape: [2, 3],
    });
    const rows = Int32Array.from({ length: 24 }, (_, i) => i);
    expect(readNpy(decode(byNumpy.columnMajor))).toEqual({ data: rows, shape: [2, 3, 4] });
    expect(readNpy(decode(byNumpy.bigEndian))).toEqual({ data: Int16Array.of(1, -2), shape: [2] });
    expect(readNpy(decode(byNumpy.booleans))).toEqual({ data: Uint8Array.of(1, 0), shape: [2] });
    expect(() => readNpy(decode(byNumpy.objects))).toThrow(UnsupportedError);
  });

  it("are written with the same bytes", () => {
    const rows = Int32Array.from({ length: 24 }, (_, i) => i);
    expect(writeNpy({ data: rows, shape: [2, 3, 4] }, { order: "column-major" })).toEqual(decode(byNumpy.columnMajor));
    expect(writeNpy(readNpy(decode(byNumpy.doubles)))).toEqual(decode(byNumpy.doubles));
  });

  it("give features and labels from an npz", () => {
    const { inputs, labels, indices } = readLabelledFeatures(decode(byNumpy.features));
    expect(inputs).toEqual({ data: Float32Array.of(1.5, 2, 3, 4), shape: [2, 2] });
    expect([[...labels], [...indices]]).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });
});

const anyArray = fc
  .tuple(
    fc.constantFrom(...Object.keys(npyTypes).filter((name) => name !== "b1")),
    fc.array(fc.nat(4), { maxLength: 4 }),
  )
  .chain(([name, shape]) => {
    const type = npyTypes[name]!;
    const length = shape.reduce((product, axis) => product * axis, 1) * type.BYTES_PER_ELEMENT;
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes): NpyArray => {
      return { data: new type(Uint8Array.from(bytes).buffer), shape };
    });
  });

describe("round trip", () => {
  it("keeps type, shape and bits in both orders", () => {
    fc.assert(
      fc.property(anyArray, fc.constantFrom("row-major", "column-major"), (array, order) => {
        const back = readNpy(writeNpy(array, { order: order as "row-major" }));
        expect(back.shape).toEqual(array.shape);
        expect(back.data.constructor).toBe(array.data.constructor);
        expect(new Uint8Array(back.data.buffer)).toEqual(new Uint8Array(array.data.buffer));
      }),
    );
  });

  it("keeps the arrays of an npz, and its bytes depend on nothing else", () => {
    const arrays = new Map<string, NpyArray>([
      ["a", { data: Float64Array.of(1, 2), shape: [2] }],
      ["b", { data: Uint8Array.of(3), shape: [] }],
    ]);
    expect(readNpz(writeNpz(arrays))).toEqual(arrays);
    expect(writeNpz(arrays)).toEqual(writeNpz(arrays));
  });
});

describe("damage", () => {
  const good = writeNpy({ data: Float32Array.of(1, 2, 3), shape: [3] });
  const withHeader = (header: string) => {
    const bytes = new Uint8Array(10 + header.length + 12);
    bytes.set(good.subarray(0, 8));
    bytes.set([header.length & 255, header.length >> 8, ...Buffer.from(header)], 8);
    return bytes;
  };

  it("is refused with a typed error wherever a file is cut or changed", () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => readNpy(good.subarray(0, length)), `${length} bytes`).toThrow(FormatError);
    }
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (position, value) => {
        const bytes = good.slice();
        bytes[position] = value;
        try {
          readNpy(bytes);
        } catch (error) {
          expect(isWorstcaseError(error)).toBe(true);
        }
      }),
    );
  });

  it("names what is wrong", () => {
    const header = (descr: string, shape: string) =>
      withHeader(`{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`);
    expect(readNpy(header("<f4", "(3,)")).data).toHaveLength(3);
    expect(() => readNpy(header("<f4", "(4,)"))).toThrow(/16 bytes/);
    expect(() => readNpy(header("<f4", "(99999999999, 99999999999)"))).toThrow(FormatError);
    expect(() => readNpy(header("<f2", "(6,)"))).toThrow(UnsupportedError);
    expect(() => readNpy(header("<c8", "(1,)"))).toThrow(UnsupportedError);
    expect(() => readNpy(withHeader("{'shape': (3,)}"))).toThrow(/descr, fortran_order and shape/);
    const huge = Uint8Array.from([...good.subarray(0, 6), 2, 0, 255, 255, 255, 127]);
    expect(() => readNpy(huge)).toThrow(/at most 65536 bytes/);
    expect(() => writeNpy({ data: Float32Array.of(1), shape: [2] })).toThrow(ShapeError);
    expect(() => writeNpy({ data: [1] as never, shape: [1] })).toThrow(UnsupportedError);
  });

  it("is refused in an npz, and unpacked sizes are limited, even when the zip lies about them", () => {
    expect(() => readNpz(good)).toThrow(FormatError);
    const bomb = zipSync({ "a.npy": new Uint8Array(5_000_000) });
    expect(bomb.length).toBeLessThan(10_000);
    expect(() => readNpz(bomb, { limits: 1 } as never)).toThrow(FormatError); // no npy inside
    expect(() => readNpz(bomb, { bytes: 1_000_000 })).toThrow(ResourceError);
    const view = new DataView(bomb.buffer);
    for (let i = 0; i + 4 < bomb.length; i++) {
      if (view.getUint32(i, true) === 5_000_000) view.setUint32(i, 10, true);
    }
    expect(() => readNpz(bomb, { bytes: 1_000_000 })).toThrow(FormatError);
  });

  it("of features and labels is named", () => {
    const pack = (features: NpyArray, labels: NpyArray) =>
      writeNpz(
        new Map([
          ["features", features],
          ["labels", labels],
        ]),
      );
    const two = { data: Int32Array.of(0, 1), shape: [2] };
    expect(() => readLabelledFeatures(writeNpz(new Map([["labels", two]])))).toThrow(FormatError);
    expect(() => readLabelledFeatures(pack({ data: Float64Array.of(1, 2, 3), shape: [3, 1] }, two))).toThrow(
      ShapeError,
    );
    expect(() => readLabelledFeatures(pack({ data: Float64Array.of(1, Number.NaN), shape: [2, 1] }, two))).toThrow(
      DataError,
    );
    expect(() =>
      readLabelledFeatures(
        pack({ data: Float64Array.of(1, 2), shape: [2, 1] }, { data: Int32Array.of(0, -1), shape: [2] }),
      ),
    ).toThrow(DataError);
    expect(() => readLabelledFeatures(pack({ data: Float64Array.of(1, 2), shape: [2] }, two))).toThrow(ShapeError);
  });
});
