// A fixed number of seeded mutations of real files: every one is read as a well-formed problem or refused with line and
// column, quickly, whatever it announces.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { createRng, FormatError, type Rng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { sdplibFile, sdplibMissing, sdplibNames } from "../../test/sdplib.js";
import { checkProblem } from "../problem.js";
import { readSdpa } from "./readSdpa.js";

const hostile = [
  "NaN",
  "-1",
  "0",
  "1000000000",
  "99999999999999999999",
  "1e9",
  "-1e400",
  "1.5",
  "x",
  "\n",
  "\r",
  "*",
  '"',
  "{",
];
const hostileBytes = [...'0123456789+-.eEdD {},()\n\r*"\0\xff'].map((character) => character.charCodeAt(0));

function mutate(original: Uint8Array, rng: Rng): Uint8Array {
  // most of the structure is at the top, so that half of the mutations hit the first 200 bytes
  const place = () => rng.integer(rng.uniform() < 0.5 ? Math.min(200, original.length + 1) : original.length + 1);
  const splice = (from: number, removed: number, inserted: Uint8Array) => {
    const rest = original.subarray(Math.min(from + removed, original.length));
    const result = new Uint8Array(from + inserted.length + rest.length);
    result.set(original.subarray(0, from));
    result.set(inserted, from);
    result.set(rest, from + inserted.length);
    return result;
  };
  const at = place();
  switch (rng.integer(6)) {
    case 0:
      return original.subarray(0, at);
    case 1:
      return splice(at, 1, Uint8Array.of(hostileBytes[rng.integer(hostileBytes.length)]!));
    case 2:
      return splice(at, rng.integer(30), new Uint8Array());
    case 3:
      return splice(at, 0, original.subarray(at, at + rng.integer(60)));
    case 4:
      return splice(
        at,
        0,
        Uint8Array.from({ length: rng.integer(5) }, () => rng.integer(256)),
      );
    default:
      return splice(at, rng.integer(4), new TextEncoder().encode(` ${hostile[rng.integer(hostile.length)]} `));
  }
}

function survive(original: Uint8Array, rng: Rng): "read" | "refused" {
  let bytes = mutate(original, rng);
  while (rng.uniform() < 0.3) bytes = mutate(bytes, rng);
  try {
    checkProblem(readSdpa(bytes));
    return "read";
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(/^SDPA file, line \d+, column \d+: expected /);
    return "refused";
  }
}

describe("mutated files", () => {
  it("3000 mutations of the example", () => {
    const original = readFileSync(new URL("../../fixtures/tiny.dat-s", import.meta.url));
    const rng = createRng(1);
    const outcomes = Array.from({ length: 3000 }, () => survive(original, rng));
    // both ways happen often, so neither branch above is idle
    expect(outcomes.filter((outcome) => outcome === "read").length).toBeGreaterThan(300);
    expect(outcomes.filter((outcome) => outcome === "refused").length).toBeGreaterThan(1000);
  });

  it.skipIf(sdplibMissing)(`400 mutations of SDPLIB files ${sdplibMissing ?? ""}`, () => {
    const rng = createRng(2);
    const small = sdplibNames()
      .map((name) => gunzipSync(sdplibFile(name)))
      .filter(({ length }) => length < 100_000);
    expect(small.length).toBeGreaterThan(10);
    for (let round = 0; round < 400; round++) survive(small[round % small.length]!, rng);
  });
});
