import { readFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { FormatError, SettingError, UnsupportedError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { sdplibFile, sdplibMissing, sdplibNames, sdplibSizes } from "../../test/sdplib.js";
import { checkProblem, type SdpProblem } from "../problem.js";
import { readSdpa, readSdpaAsync } from "./readSdpa.js";
import { writeSdpa } from "./writeSdpa.js";

const tiny = readFileSync(new URL("../../fixtures/tiny.dat-s", import.meta.url));

/** Every entry as `matrix block row column value`, indices from 1. */
function listed({ blocks }: SdpProblem): string[] {
  return blocks.flatMap(({ entries: { matrix, row, column, value } }, b) =>
    Array.from(value, (v, e) => `${matrix[e]} ${b + 1} ${row[e] + 1} ${column[e] + 1} ${v}`),
  );
}

const head = "2\n2\n2 -2\n1 2\n";

describe("readSdpa", () => {
  it("reads the example", () => {
    const problem = readSdpa(tiny);
    checkProblem(problem);
    expect([...problem.objective]).toEqual([1, 1]);
    expect(problem.blocks.map(({ kind, size }) => [kind, size])).toEqual([
      ["psd", 2],
      ["nonnegative", 2],
    ]);
    expect(listed(problem)).toEqual([
      "0 1 1 2 -1",
      "1 1 1 1 1",
      "2 1 2 2 1",
      "0 2 1 1 -3",
      "0 2 2 2 -4",
      "1 2 1 1 1",
      "1 2 2 2 -1",
      "2 2 2 2 -1",
    ]);
  });

  it.each([
    ["Windows line ends", tiny.toString().replaceAll("\n", "\r\n")],
    ["old Macintosh line ends", tiny.toString().replaceAll("\n", "\r")],
    ["a byte order mark", `\uFEFF${tiny}`],
    ["blank lines and comments between entries", tiny.toString().replaceAll("\n", "\n\n* note, 1 2 3\n  \n")],
    ["no line end at the end", tiny.toString().trimEnd()],
    ["tabs and commas", tiny.toString().replace(/^([0-9]) (\d) (\d) (\d) /gm, "\t{$1,$2,\t($3,$4),} ")],
    ["text behind the header", tiny.toString().replace("nBLOCK", "blocks, not 17 (see below)")],
    ["header numbers without blanks", tiny.toString().replace("2 = mDIM", "2=mDIM")],
    ["several entries on a line", tiny.toString().replace("-1\n0 2 1", "-1, 0 2 1")],
    ["block sizes over two lines", tiny.toString().replace("(2, -2)", "(2,\n  -2)")],
    ["the objective over two lines", tiny.toString().replace("{1.0, ", "{1.0,\n* and\n")],
    ["explicit zeros", tiny.toString().replace("1 1 1 1 1\n", "1 1 1 1 1\n1 1 1 2 0\n2 2 1 2 0.0\n")],
    ["entries below the diagonal", tiny.toString().replace("0 1 1 2 -1", "0 1 2 1 -1")],
    ["entries in both triangles", tiny.toString().replace("0 1 1 2 -1", "0 1 1 2 -1\n0 1 2 1 -1")],
  ])("accepts %s", (_, text) => {
    expect(readSdpa(text)).toEqual(readSdpa(tiny));
  });

  it("rounds numbers to the nearest double, however they are written", () => {
    const written = ["+1.0e+00", "1D-3", ".5", "5.", "-0", "1.10000000000000000e-01", "123456789012345678901234567890"];
    written.push(
      "9007199254740993",
      "0.1",
      "1e-320",
      "1.7976931348623157E308",
      "2.2250738585072014d-308",
      "1e23",
      "-7E+22",
    );
    written.push("3.14159265358979323846264338327950288", "00012.50", "4.35e-5", "0.000000000000000000000000000001");
    const problem = readSdpa(`${written.length}\n1\n1\n${written.join(" ")}\n`);
    expect([...problem.objective]).toEqual(written.map((text) => Number(text.replace(/d/i, "e"))));
  });

  it("keeps order 1 a psd block and reads a problem without variables or blocks", () => {
    expect(readSdpa("1\n1\n1\n1\n1 1 1 1 1\n").blocks[0]).toMatchObject({ kind: "psd", size: 1 });
    expect(readSdpa("0\n1\n-3\n\n0 1 2 2 5\n").blocks[0]).toMatchObject({ kind: "nonnegative", size: 3 });
    expect(readSdpa("0\n0\n\n\n")).toEqual({ objective: new Float64Array(), blocks: [] });
  });

  it.each([
    ["nothing", "", /line 1, column 1: expected mDIM.*got the end of the file/],
    ["only comments", '* a\n" b\n', /line 3, column 1: expected mDIM/],
    ["a word for a number", "many\n", /line 1, column 1: expected mDIM.*got many/],
    ["a fraction of variables", "2.5\n", /line 1, column 1: expected mDIM/],
    ["a negative number of blocks", "2\n-1\n", /line 2, column 1: expected nBLOCK/],
    ["10^9 variables", "1000000000\n1\n2\n1 2\n", /line 1, column 1: expected mDIM.*room/],
    ["10^9 blocks", "2\n 1000000000\n2\n1 2\n", /line 2, column 2: expected nBLOCK.*room/],
    [
      "a block of order 10^9",
      "1\n1\n1000000000\n1\n",
      /line 3, column 1: expected the size of a block.*got 1000000000/,
    ],
    ["a diagonal block of 10^9", "1\n1\n-1000000000\n1\n", /line 3, column 1: expected the size of a block/],
    ["a block of size 0", "1\n2\n2 0\n1\n", /line 3, column 3: expected the size of a block: not 0/],
    ["too few block sizes", "2\n3\n2 2\n1.5 2\n1 1 1 1 1\n", /line 4, column 1: expected the size of a block/],
    ["too many block sizes", "2\n1\n2 2\n1 2\n", /line 3, column 3: expected 1 numbers for the block sizes/],
    [
      "too few numbers in the objective",
      "3\n1\n2\n1 2\n0 1 1 1 1\n",
      /line 5, column 3: expected 3 numbers for the obj/,
    ],
    ["too many numbers in the objective", "1\n1\n2\n1 2\n", /line 4, column 3: expected 1 numbers for the objective/],
    ["a file that ends in the objective", "3\n1\n2\n1 2", /line 4, column 4: expected 3 numbers.*only 2, got the end/],
    ["NaN in the objective", "1\n1\n2\nNaN\n", /line 4, column 1: expected a finite number, got NaN/],
    ["infinity", `${head}1 1 1 1 inf\n`, /line 5, column 9: expected a finite number, got inf/],
    ["an overflow", `${head}1 1 1 1 1e999\n`, /line 5, column 9: expected a finite number, got 1e999/],
    ["two points", `${head}1 1 1 1 1.5.2\n`, /line 5, column 9: expected a number.*got 1\.5\.2/],
    ["an exponent without digits", `${head}1 1 1 1 1e\n`, /line 5, column 9: expected a finite number/],
    ["a number of a million digits", `${head}1 1 1 1 ${"7".repeat(1e6)}\n`, /line 5, column 9: expected a finite/],
    [
      "a missing value",
      `${head}1 1 1 1 2\n1 1 1 2\n`,
      /line 6, column 8: expected a finite number, got the end of the line/,
    ],
    [
      "a file that ends in an entry",
      `${head}1 1 1 1 2\n1 1 1`,
      /line 6, column 6: expected a column.*the end of the file/,
    ],
    [
      "six numbers in a line",
      `${head}1 1 1 1 2 7\n`,
      /line 5, column 11: expected a matrix number: an integer from 0 to 2/,
    ],
    ["a matrix out of range", `${head}3 1 1 1 1\n`, /line 5, column 1: expected a matrix number.*from 0 to 2, got 3/],
    ["a block out of range", `${head}1 3 1 1 1\n`, /line 5, column 3: expected a block number.*from 1 to 2, got 3/],
    ["row 0", `${head}1 1 0 1 1\n`, /line 5, column 5: expected a row.*from 1 to 2, got 0/],
    ["a column out of range", `${head}1 1 1 3 1\n`, /line 5, column 7: expected a column.*from 1 to 2, got 3/],
    ["off the diagonal of a diagonal block", `${head}1 2 1 2 1\n`, /line 5, column 1: expected row = column/],
    [
      "an entry twice",
      `${head}1 1 1 2 1\n1 1 1 2 1\n`,
      /line 6, column 1: expected no second entry at \(1, 2\) of matrix 1/,
    ],
    ["a diagonal entry twice", `${head}1 2 2 2 1\n2 1 1 1 1\n1 2 2 2 1\n`, /line 7, column 1: expected no second/],
    ["asymmetric entries", `${head}1 1 1 2 1\n1 1 2 1 3\n`, /line 6, column 1: expected 1 at \(2, 1\).*symmetric/],
    ["three for two triangles", `${head}1 1 1 2 1\n1 1 2 1 1\n1 1 2 1 1\n`, /line 7, column 1: expected no second/],
    ["bytes of another format", "\x89PNG\r\n\x1a\n\0\0", /line 1, column 1: expected mDIM/],
  ])("refuses %s, saying where", (_, text, message) => {
    expect(() => readSdpa(text)).toThrow(FormatError);
    expect(() => readSdpa(text)).toThrow(message);
  });

  it("names the file in errors", () => {
    expect(() => readSdpa("x", { name: "a.dat-s" })).toThrow(/^a\.dat-s, line 1, column 1: /);
  });

  it("unpacks gzip, and refuses broken, truncated and too large ones", async () => {
    const packed = gzipSync(tiny);
    expect(readSdpa(packed)).toEqual(readSdpa(tiny));
    expect(await readSdpaAsync(packed)).toEqual(readSdpa(tiny));
    expect(await readSdpaAsync(tiny.toString())).toEqual(readSdpa(tiny));
    const damaged = Uint8Array.from(packed);
    damaged[damaged.length >> 1] ^= 0x55;
    for (const bytes of [damaged, packed.subarray(0, packed.length - 9), packed.subarray(0, 2)]) {
      expect(() => readSdpa(bytes, { name: "b.gz" })).toThrow(FormatError);
      await expect(readSdpaAsync(bytes)).rejects.toThrow(/an intact gzip file/);
    }
    const bomb = gzipSync(new Uint8Array(4_000_000));
    expect(() => readSdpa(bomb, { largestUnpacked: 100_000 })).toThrow(/at most 100000 bytes when unpacked/);
    expect(() => readSdpa(packed, { largestUnpacked: 0 })).toThrow(SettingError);
  });

  it("unpacks without Node's zlib through DecompressionStream", async () => {
    const original = Object.getOwnPropertyDescriptor(process, "getBuiltinModule")!;
    Object.defineProperty(process, "getBuiltinModule", { value: undefined, configurable: true });
    try {
      const packed = gzipSync(tiny);
      expect(() => readSdpa(packed)).toThrow(UnsupportedError);
      expect(await readSdpaAsync(packed)).toEqual(readSdpa(tiny));
      await expect(readSdpaAsync(packed.subarray(0, packed.length - 9))).rejects.toThrow(/an intact gzip file/);
      const bomb = gzipSync(new Uint8Array(4_000_000));
      await expect(readSdpaAsync(bomb, { largestUnpacked: 100_000 })).rejects.toThrow(/at most 100000 bytes/);
    } finally {
      Object.defineProperty(process, "getBuiltinModule", original);
    }
  });
});

describe.skipIf(sdplibMissing)(`SDPLIB ${sdplibMissing ?? ""}`, () => {
  const names = sdplibMissing ? [] : sdplibNames();

  /** Another way to the same numbers: split the text into words. */
  function split(text: string): { header: number[][]; entries: string[] } {
    const lines = text.split("\n").filter((line) => /\S/.test(line) && !/^\s*["*]/.test(line));
    const words = (line: string) => line.split(/[\s,(){}]+/).filter((word) => word !== "");
    const header = lines.slice(0, 4).map((line) => words(line).map(Number));
    const entries = lines.slice(4).map((line) => words(line).map(Number).join(" "));
    return { header, entries: entries.filter((entry) => !/ -?0$/.test(entry)).sort() };
  }

  it.each(names)("%s", (name) => {
    const problem = readSdpa(sdplibFile(name), { name });
    checkProblem(problem);
    const { m, n } = sdplibSizes().get(name)!;
    // the published table says 250 variables; the file has 251, like its siblings
    expect(problem.objective.length).toBe(name === "gpp250-1" ? 251 : m);
    expect(problem.blocks.reduce((sum, { size }) => sum + size, 0)).toBe(n);
    const { header, entries } = split(gunzipSync(sdplibFile(name)).toString());
    expect([...problem.objective]).toEqual(header[3]);
    expect(problem.blocks.map(({ kind, size }) => (kind === "psd" ? size : -size))).toEqual(header[2]);
    expect(listed(problem).sort().join("\n") === entries.join("\n")).toBe(true);
    const again = readSdpa(writeSdpa(problem));
    expect(listed(again).sort().join("\n") === entries.join("\n")).toBe(true);
    // -0 is written as 0
    expect(again.objective.map((value) => value + 0)).toEqual(problem.objective.map((value) => value + 0));
  });
});
