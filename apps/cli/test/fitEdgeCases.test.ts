// Edge cases of tables through `worstcase fit`: answers with certificates, not crashes.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRng } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./commandLine.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "worstcase-edges-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Two overlapping clouds; features times `scales`. */
function clouds(rows: number, scales: readonly number[]): string[] {
  const rng = createRng(9);
  return Array.from({ length: rows }, (_, i) => {
    const features = scales.map((scale) => scale * (rng.normal() + (i % 2 ? 0.8 : -0.8)));
    return `${features.join(",")},${i % 2}`;
  });
}

async function fit(rows: readonly string[], ...flags: string[]) {
  const file = join(folder, "table.csv");
  await writeFile(file, `${rows.join("\n")}\n`);
  const { code, stdout, stderr } = await run(["fit", file, "--label", "-1", "--json", ...flags]);
  expect([code, stderr]).toEqual([0, ""]);
  const report = JSON.parse(stdout);
  expect(report.gap).toBeLessThanOrEqual(1e-6);
  expect(report.lowerBound).toBeLessThanOrEqual(report.objective);
  return report;
}

describe("fit", () => {
  const own = ["--standardize", "none"];
  const plain = clouds(30, [1, 1]);

  it("one feature, and two rows", async () => {
    expect((await fit(clouds(20, [1]), "--radius", "0.2", "--beta", "0.01")).features).toBe(1);
    // d = 1, x = 2 and -2: opposite neurons u = 1 of equal size cannot help; f = p sigma(x) - q sigma(-x) is odd for p = q
    const two = await fit(["2,1", "-2,0"], "--radius", "0.5", "--beta", "0.01", ...own);
    // worst margin of each: p (sigma(1.5) - sigma(-1.5)) = 1.5 p when p = q; margin 1 costs 2 p beta
    expect(two.objective).toBeCloseTo((2 * 0.01) / 1.5, 5);
  });

  it("more features than rows", async () => {
    await fit(clouds(6, new Array(15).fill(1)), "--radius", "0.3", "--beta", "0.01");
  });

  it("a feature of absurd size, standardised", async () => {
    const [first, ...others] = plain;
    const [, ...rest] = first!.split(",");
    await fit([["3e300", ...rest].join(","), ...others], "--radius", "0.3", "--beta", "0.01");
  });

  it("equal points with opposite labels: the zero network, certified", async () => {
    const report = await fit(["1,2,0", "1,2,1"], "--radius", "0.5", "--beta", "0.01", ...own);
    expect([report.status, report.objective, report.neurons]).toEqual(["zero-optimal", 1, 0]);
  });

  it("radii 0, 1e-9 and huge: nondecreasing, the same at 0 and 1e-9, zero at the end", async () => {
    const at = async (radius: string) =>
      (await fit(plain, "--radius", radius, "--beta", "0.01")) as { objective: number };
    const [none, tiny, some, huge] = [await at("0"), await at("1e-9"), await at("0.4"), await at("1e6")];
    expect(tiny.objective / none.objective).toBeCloseTo(1, 6);
    expect(some.objective).toBeGreaterThan(none.objective);
    expect(huge).toMatchObject({ status: "zero-optimal", neurons: 0 });
    expect(huge.objective).toBeCloseTo(1, 12);
  });

  it("beta 1e-5 and 10", async () => {
    const small = await fit(plain, "--radius", "0.1", "--beta", "1e-5");
    const large = await fit(plain, "--radius", "0.1", "--beta", "10");
    expect(small.objective).toBeLessThan(large.objective);
    expect(large.objective).toBeCloseTo(1, 9);
  });

  it("features of 1e-4 beside 1e4: standardised like any others; a constant feature changes nothing", async () => {
    const flags = ["--radius", "0.3", "--beta", "0.01"];
    const unit = await fit(clouds(30, [1, 1, 1]), ...flags);
    const mixed = await fit(clouds(30, [1e-4, 1, 1e4]), ...flags);
    expect(mixed.objective / unit.objective).toBeCloseTo(1, 6);
    const huge = await fit(clouds(30, [1e300, 1e-300, 1]), ...flags);
    expect(huge.objective / unit.objective).toBeCloseTo(1, 6);
    const constant = await fit(
      clouds(30, [1, 1, 1]).map((row) => `7,${row}`),
      ...flags,
    );
    expect(constant.objective / unit.objective).toBeLessThanOrEqual(1 + 2e-6);
    expect(constant.warnings.map(({ code }: { code: string }) => code)).toEqual(["constant-feature"]);
  });

  it("every loss without a ball: the program of Neural Spectrahedra, certified", async () => {
    for (const loss of ["hinge", "squared-hinge", "logistic"]) {
      expect((await fit(plain, "--radius", "0", "--beta", "0.01", "--loss", loss)).loss).toBe(`mean-${loss}`);
    }
    const squared = await fit(plain, "--radius", "0", "--beta", "0.01", "--loss", "squared");
    expect(squared.loss).toBe("mean-squared");
  });
});
