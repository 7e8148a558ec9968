// `--immutable` and `--ellipsoid` of `worstcase fit` and `worstcase certify`: closed forms, what the model keeps, misuse.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRng } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Outcome, run } from "./commandLine.js";

let folder: string;
const at = (name: string) => join(folder, name);

function object({ code, stdout, stderr }: Outcome) {
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

const points: [number, number, string][] = [
  [0.3, -0.4, "in"],
  [1.5, 2, "out"],
  [-0.6, 0.8, "out"],
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "worstcase-immutable-"));
  await writeFile(at("points.csv"), `x,y,kind\n${points.map((point) => point.join(",")).join("\n")}\n`);
  const line = { Q: [0, 0, 0, 0], q: [3, -4], s: 1, classes: ["out", "in"], features: ["x", "y"] };
  await writeFile(at("line.json"), JSON.stringify(line));
  await writeFile(at("held.json"), JSON.stringify({ ...line, immutable: ["x"] }));
  await writeFile(at("L.json"), "[[2, 0], [1, 0.5]]");
  const rng = createRng(4);
  const rows = Array.from({ length: 60 }, (_, i) => {
    const [age, x, y] = [rng.normal(), rng.normal(), rng.normal()];
    const kind = x * x - y + age > 0.5 ? "yes" : "no";
    return [age.toFixed(3), x.toFixed(3), i, y.toFixed(3), kind].join(",");
  });
  await writeFile(at("table.csv"), `age,x,id,y,kind\n${rows.join("\n")}\n`);
  const three = rows.map((row, i) => (i % 3 === 0 ? row.replace(/yes|no/, "maybe") : row));
  await writeFile(at("three.csv"), `age,x,id,y,kind\n${three.join("\n")}\n`);
  const numbers = rows.map((row, i) => row.replace(/yes|no/, `${Math.sin(i)}`));
  await writeFile(at("numbers.csv"), `age,x,id,y,kind\n${numbers.join("\n")}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

describe("certify", () => {
  it("a linear score: the moving weight alone counts, in l2 and l-infinity; flags override the model", async () => {
    const [r, epsilon] = [0.2, 0.1];
    const shared = ["--radius", `${r}`, "--epsilon-inf", `${epsilon}`, "--json"];
    const held = object(await run(["certify", at("held.json"), at("points.csv"), ...shared]));
    const same = object(await run(["certify", at("line.json"), at("points.csv"), "--immutable", "0", ...shared]));
    const free = object(await run(["certify", at("held.json"), at("points.csv"), "--immutable", "none", ...shared]));
    expect([held.immutable, same.immutable, free.immutable]).toEqual([["x"], ["x"], []]);
    expect(same.rows).toEqual(held.rows);
    points.forEach(([x, y, kind], i) => {
      const f = 3 * x - 4 * y + 1;
      const margin = kind === "in" ? f : -f;
      for (const [answer, l2, l1] of [
        [held, 4, 4],
        [free, 5, 7],
      ]) {
        const row = answer.rows[i];
        expect(row.boundaryDistance).toBeCloseTo(Math.abs(f) / l2, 10);
        expect(row.worstMargin).toBeCloseTo(margin - l2 * r, 10);
        expect(row.linfBound).toBeCloseTo(margin - l1 * epsilon, 8);
        expect(row.linfExact).toBeCloseTo(margin - l1 * epsilon, 8);
      }
    });
  });

  it("an ellipsoid: |L'q| is what counts, and of the section where a feature is immutable", async () => {
    const flags = ["--radius", "0.2", "--json", "--ellipsoid", at("L.json")];
    const both = object(await run(["certify", at("line.json"), at("points.csv"), ...flags]));
    const held = object(await run(["certify", at("held.json"), at("points.csv"), ...flags]));
    points.forEach(([x, y], i) => {
      const f = Math.abs(3 * x - 4 * y + 1);
      // L'q = (2 * 3 + 1 * -4, 0.5 * -4); with x at rest z_0 = 0 and only 0.5 * -4 is left
      expect(both.rows[i].boundaryDistance).toBeCloseTo(f / Math.hypot(2, -2), 10);
      expect(held.rows[i].boundaryDistance).toBeCloseTo(f / 2, 10);
    });
  });
});

describe("certify --range", () => {
  const flags = ["--radius", "0.2", "--epsilon-inf", "0.1", "--json"];

  it("cuts the ball: closed form of a linear score, and nothing where the range is not in the way", async () => {
    await writeFile(at("range.json"), '{"y": [null, -0.35]}');
    const cut = object(
      await run(["certify", at("line.json"), at("points.csv"), ...flags, "--range", at("range.json")]),
    );
    const plain = object(await run(["certify", at("line.json"), at("points.csv"), ...flags]));
    expect(plain.rows.map(({ rangeBound }: { rangeBound: number | null }) => rangeBound)).toEqual([null, null, null]);
    // from (0.3, -0.4), f = 3.5: y may rise by 0.05 only, x takes the rest of the radius
    const worst = 3.5 - 4 * 0.05 - 3 * Math.sqrt(0.04 - 0.0025);
    expect(cut.rows[0].rangeExact).toBeCloseTo(worst, 6);
    expect(cut.rows[0].rangeBound).toBeCloseTo(worst, 5);
    expect(cut.rows[0].worstMargin).toBeCloseTo(3.5 - 5 * 0.2, 10);
    expect(cut.rows[0].linfExact).toBeCloseTo(3.5 - 3 * 0.1 - 4 * 0.05, 8);
    for (const i of [1, 2]) {
      expect(cut.rows[i].rangeExact).toBeCloseTo(plain.rows[i].worstMargin, 6);
      expect(cut.rows[i].linfExact).toBeCloseTo(plain.rows[i].linfExact, 8);
    }
    expect([cut.summary.rangeCertified.total, cut.summary.rangeUnbroken.total]).toEqual([3, 3]);
    expect(cut.summary.rangeCertified.correct).toBeGreaterThanOrEqual(cut.summary.l2Accuracy.correct);
  });

  it("is read in the table's units: standardised models see the same ranges", async () => {
    const common = ["--label", "kind", "--radius", "0.3", "--beta", "0.01", "--ignore", "id", "--immutable", "age"];
    await run(["fit", at("table.csv"), ...common, "--out", at("ranged.json")]);
    await writeFile(at("wide.json"), '{"x": [-50, 50], "y": [-50, null]}');
    const judge = (file: string) =>
      run(["certify", at("ranged.json"), at("table.csv"), "--json", "--range", at(file)]).then(object);
    const wide = await judge("wide.json");
    for (const row of wide.rows) expect(row.rangeExact).toBeCloseTo(row.worstMargin, 6);
    await writeFile(at("tight.json"), '{"x": [-0.1, 0.1], "y": [0, 0.1]}');
    const tight = await judge("tight.json");
    let higher = 0;
    for (const row of tight.rows) {
      expect(row.rangeBound).toBeGreaterThanOrEqual(row.worstMargin - 1e-9);
      if (row.rangeBound > row.worstMargin + 1e-3) higher++;
    }
    expect(higher).toBeGreaterThan(30);
  });

  it("misuse is one line", async () => {
    await writeFile(at("bad.json"), '{"y": [1, 0]}');
    await writeFile(at("unknown.json"), '{"z": [0, 1]}');
    await writeFile(at("text.json"), '{"y": "0..1"}');
    for (const [file, expected] of [
      ["bad.json", "--range, y: expected low < high, got 1, 0"],
      ["unknown.json", "features among x, y, got z"],
      ["text.json", '{"column": [low, high]}'],
      ["absent.json", "a readable file"],
    ] as const) {
      const { code, stderr } = await run(["certify", at("line.json"), at("points.csv"), ...flags, "--range", at(file)]);
      expect([code, stderr.trimEnd().split("\n").length]).toEqual([1, 1]);
      expect(stderr).toContain(expected);
    }
    const shape = ["--range", at("unknown.json"), "--ellipsoid", at("L.json")];
    const both = await run(["certify", at("line.json"), at("points.csv"), ...flags, ...shape]);
    expect([both.code, both.stderr]).toEqual([1, expect.stringContaining("--ellipsoid none")]);
  });
});

describe("fit", () => {
  const common = ["--label", "kind", "--radius", "0.3", "--beta", "0.01", "--ignore", "id"];

  it("keeps the list, certify uses it, and the optimum is below that of all features moving", async () => {
    const fit = (...flags: string[]) => run(["fit", at("table.csv"), ...common, "--json", ...flags]);
    const held = object(await fit("--immutable", "age", "--out", at("model.json")));
    const byPosition = object(await fit("--immutable", "0,3"));
    const free = object(await fit("--immutable", "none"));
    expect([held.immutable, byPosition.immutable, free.immutable]).toEqual([["age"], ["age", "y"], []]);
    expect(held.gap).toBeLessThanOrEqual(1e-6);
    expect(held.objective).toBeLessThan(free.objective);
    expect(byPosition.objective).toBeLessThan(held.objective);
    const certified = object(await run(["certify", at("model.json"), at("table.csv"), "--json"]));
    expect(certified.immutable).toEqual(["age"]);
    expect(certified.summary.l2Accuracy).toEqual(held.training.robustAccuracy);
    expect(JSON.parse(await readFile(at("model.json"), "utf8")).moves).toEqual({ immutable: [0] });
  });

  it("several classes, numbers, cross-validation and ellipsoids", async () => {
    await writeFile(at("L3.json"), "[[1, 0, 0], [0.5, 1, 0], [0, 0, 2]]");
    const more = ["--immutable", "age", "--ellipsoid", at("L3.json"), "--json"];
    const several = object(await run(["fit", at("three.csv"), ...common, ...more, "--tolerance", "0.2"]));
    expect([several.classes.length, several.immutable, several.method]).toEqual([3, ["age"], "joint"]);
    const out = ["--out", at("numbers.json")];
    const numbers = object(await run(["fit", at("numbers.csv"), ...common, ...more, ...out, "--loss", "squared"]));
    expect(numbers.gap).toBeLessThanOrEqual(1e-6);
    const again = object(await run(["certify", at("numbers.json"), at("numbers.csv"), "--json"]));
    expect(again.immutable).toEqual(["age"]);
    expect(again.summary.rootMeanSquareWorstError).toBeCloseTo(numbers.training.rootMeanSquareWorstError, 9);
    const path = object(await run(["fit", at("table.csv"), ...common, ...more, "--folds", "3"]));
    expect(path.crossValidation.path).toHaveLength(1);
  });

  it("misuse is one line that names the columns", async () => {
    const wrong = async (expected: string, ...flags: string[]) => {
      const { code, stdout, stderr } = await run(["fit", at("table.csv"), ...common, ...flags]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr.trimEnd().split("\n")).toHaveLength(1);
      expect(stderr).toContain(expected);
    };
    await wrong("feature columns among age, x, y, got agee", "--immutable", "agee");
    await wrong("got kind", "--immutable", "kind");
    await wrong("got 2", "--immutable", "2"); // ignored
    await wrong("every column once", "--immutable", "age,0");
    await wrong("at least one feature left", "--immutable", "age,x,y");
    await wrong("a readable file", "--ellipsoid", at("none.json"));
    await wrong("3 rows of 3 numbers", "--ellipsoid", at("L.json"));
    await wrong("3 rows of 3 numbers", "--ellipsoid", at("table.csv"));
  });
});
