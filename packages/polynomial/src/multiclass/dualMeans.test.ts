import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { batch, dataFile } from "../../test/support.js";
import { fitStandardisation, standardise } from "../model/standardisation.js";
import { allocateMoment } from "./adversary.js";
import { createDualMeans } from "./dualMeans.js";
import { fitPairwise } from "./fitPairwise.js";

test("two dual points whose moments cancel: the mean has the whole mass, each alone a tenth of it", () => {
  const moment = (value: number) => {
    const one = allocateMoment(1, Float64Array.of(value));
    one.linear[0] = value;
    return [one];
  };
  const bound = (blocks: readonly { matrix: Float64Array; linear: Float64Array }[], mass: number) => {
    expect(blocks[0].linear[0]).toBe(blocks[0].matrix[0]);
    return mass * Math.min(1, 0.1 / Math.abs(blocks[0].matrix[0]));
  };
  const means = createDualMeans(1, 1, bound);
  const [one, two] = [moment(1), moment(-1)];
  expect(means.add(one, 1)).toBeCloseTo(0.1, 12);
  expect(means.add(two, 1)).toBeGreaterThan(0.999);
  // what was added is not changed, and worse points change nothing
  expect([one[0].matrix[0], two[0].matrix[0]]).toEqual([1, -1]);
  expect(means.add(moment(5), 1)).toBeGreaterThan(0.999);
  expect(means.add(moment(0), 2)).toBeGreaterThan(1.999);
});

const file = dataFile("uci/processed.cleveland.data");

test.skipIf(!file)(
  `Cleveland Heart Disease, five classes (120 rows, 8 features): attacks tie, and bounds of single rounds left 2.45e-2${file ? "" : " (skipped: no data)"}`,
  () => {
    const lines = readFileSync(file as string, "utf8")
      .trim()
      .split("\n");
    const rows = lines.filter((line) => !line.includes("?")).map((line) => line.split(",").map(Number));
    const some = rows.slice(0, 120);
    const raw = batch(Float64Array.from(some.flatMap((row) => row.slice(0, 8))), 8);
    const labels = Int32Array.from(some, (row) => row[13]);
    const points = standardise(raw, fitStandardisation(raw));
    const fit = fitPairwise(points, labels, 5, { radius: 1, beta: 0.01, maxRounds: 6, maxNeuronsPerClass: 28 });
    expect(fit.gap).toBeLessThan(1.8e-2);
    expect(fit.gap).toBeGreaterThan(0);
  },
);
