import { FormatError, SettingError, ShapeError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { sdplibFile, sdplibMissing } from "../../test/sdplib.js";
import type { SdpProblem } from "../problem.js";
import { readSdpa } from "../sdpa/readSdpa.js";
import { problemFromJson, problemToJson } from "./problemJson.js";

const problem: SdpProblem = {
  objective: Float64Array.of(0.1, 5e-324, -1.7976931348623157e308),
  blocks: [
    {
      kind: "psd",
      size: 2,
      entries: {
        matrix: Int32Array.of(0, 3),
        row: Int32Array.of(0, 1),
        column: Int32Array.of(1, 1),
        value: Float64Array.of(1 / 3, 2),
      },
      rankOne: [{ matrix: 1, weight: -0.25, vector: Float64Array.of(1, Math.PI) }],
    },
    {
      kind: "nonnegative",
      size: 0,
      entries: { matrix: new Int32Array(), row: new Int32Array(), column: new Int32Array(), value: new Float64Array() },
    },
  ],
  equalities: {
    row: Int32Array.of(0),
    variable: Int32Array.of(2),
    value: Float64Array.of(1e-7),
    right: Float64Array.of(3),
  },
  names: { variables: ["a", "b\n", "\u00fc"], blocks: ["matrix", ""] },
};

describe("problem as JSON", () => {
  it("reads back exactly", () => {
    expect(problemFromJson(problemToJson(problem))).toEqual(problem);
    const { equalities: _, names: __, ...plain } = problem;
    expect(problemFromJson(problemToJson(plain))).toEqual(plain);
    expect(problemFromJson(problemToJson({ objective: new Float64Array(), blocks: [] })).blocks).toEqual([]);
  });

  it.skipIf(sdplibMissing)(`reads truss1 and arch0 back exactly ${sdplibMissing ?? ""}`, () => {
    for (const name of ["truss1", "arch0"]) {
      const original = readSdpa(sdplibFile(name));
      expect(problemFromJson(problemToJson(original))).toEqual({
        ...original,
        objective: original.objective.map((value) => value + 0),
      });
    }
  });

  const changed = (change: (value: Record<string, never>) => unknown) => {
    const value = JSON.parse(problemToJson(problem));
    return JSON.stringify(change(value) ?? value);
  };
  it.each([
    ["no JSON", "{", /^problem: expected JSON text/],
    ["a list", "[]", /^problem: expected an object, got \[\]/],
    ["another format", changed((p) => ({ ...p, format: "cbf" })), /problem\.format: expected "worstcase-sdp", got cbf/],
    ["another version", changed((p) => ({ ...p, version: 2 })), /problem\.version: expected 1, got 2/],
    ["an unknown field", changed((p) => ({ ...p, scale: 1 })), /no fields but format.*got scale/],
    ["a missing field", changed((p) => ({ ...p, blocks: undefined })), /problem\.blocks: expected a value/],
    [
      "null for a number",
      changed((p) => ({ ...p, objective: [1, null, 2] })),
      /problem\.objective\[1\]: expected a number/,
    ],
    ["a text for a list", changed((p) => ({ ...p, objective: "1 2 3" })), /problem\.objective: expected an array/],
    [
      "a cone of another kind",
      changed((p) => ({ ...p, blocks: [{ kind: "soc", size: 1, entries: {} }] })),
      /kind: expected psd/,
    ],
    [
      "a fractional index",
      changed((p) => ({ ...p, equalities: { row: [0.5], variable: [0], value: [1], right: [1] } })),
      /equalities\.row\[0\]: expected an integer of 32 bits, got 0\.5/,
    ],
    [
      "a name that is no text",
      changed((p) => ({ ...p, names: { blocks: [1, 2] } })),
      /names\.blocks\[0\]: expected a text/,
    ],
  ])("refuses %s", (_, text, message) => {
    expect(() => problemFromJson(text)).toThrow(FormatError);
    expect(() => problemFromJson(text)).toThrow(message);
  });

  it("checks what it has read and what it writes", () => {
    expect(() => problemFromJson(changed((p) => ({ ...p, objective: [1] })))).toThrow(SettingError);
    expect(() => problemFromJson(changed((p) => ({ ...p, names: { variables: ["a"] } })))).toThrow(ShapeError);
    expect(() => problemToJson({ ...problem, objective: Float64Array.of(Number.NaN, 0, 0) })).toThrow(/NaN/);
  });
});
