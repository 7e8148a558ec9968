// `worstcase fit` and `worstcase certify` as a user runs them: published objectives, closed forms, files, misuse.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRng } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Outcome, run, start } from "./commandLine.js";

const data = process.env.WORSTCASE_DATA ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));
const original = join(data, "uci", "breast-cancer-wisconsin.data");

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "worstcase-tables-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The one object on stdout. */
function object({ code, stdout, stderr }: Outcome, expected = 0) {
  expect([code, stderr]).toEqual([expected, ""]);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  return JSON.parse(stdout);
}

interface Row {
  row: number;
  label: string;
  predicted: string;
  score: number;
  worstMargin: number;
  boundaryDistance: number | null;
  linfBound: number | null;
  linfExact: number | null;
}

/** Three rows of points in the plane and one score: `write` of the files, and the rows certified. */
async function certifyBare(quadratic: object, points: [number, number, string][], ...flags: string[]) {
  await writeFile(at("bare.json"), JSON.stringify(quadratic));
  await writeFile(at("bare.csv"), `x,y,kind\n${points.map((point) => point.join(",")).join("\n")}\n`);
  return object(await run(["certify", at("bare.json"), at("bare.csv"), "--json", ...flags]));
}

describe("certify: closed forms", () => {
  const points: [number, number, string][] = [
    [0.3, -0.4, "in"],
    [1.5, 2, "out"],
    [0.6, 0.8, "in"],
    [0.9, 0.1, "out"],
  ];

  it("the disc 1.44 - |x|^2", async () => {
    const [r, epsilon] = [0.25, 0.125];
    const disc = {
      Q: [
        [-1, 0],
        [0, -1],
      ],
      q: [0, 0],
      s: 1.44,
      classes: ["out", "in"],
    };
    const answer = await certifyBare(disc, points, "--radius", `${r}`, "--epsilon-inf", `${epsilon}`);
    expect(answer).toMatchObject({ positive: "in", samples: 4, features: 2, radius: r, epsilonInf: epsilon });
    expect(answer.radiusUnits).toBe("units of the features");
    answer.rows.forEach((row: Row, i: number) => {
      const [x, y, kind] = points[i]!;
      const length = Math.hypot(x, y);
      const inside = kind === "in";
      expect(row.score).toBeCloseTo(1.44 - length ** 2, 12);
      expect(row.predicted).toBe(length < 1.2 ? "in" : "out");
      expect(row.boundaryDistance).toBeCloseTo(Math.abs(1.2 - length), 9);
      const worst = inside ? 1.44 - (length + r) ** 2 : Math.max(length - r, 0) ** 2 - 1.44;
      expect(row.worstMargin).toBeCloseTo(worst, 9);
      const reach = (v: number) => (inside ? Math.abs(v) + epsilon : Math.max(Math.abs(v) - epsilon, 0)) ** 2;
      const box = (inside ? 1 : -1) * (1.44 - reach(x) - reach(y));
      expect(row.linfExact).toBeCloseTo(box, 8);
      expect(row.linfBound).toBeLessThanOrEqual(box);
      // a separable score: the relaxation is tight
      expect(row.linfBound).toBeCloseTo(box, 6);
    });
    // the last point is inside but labelled out; the third is 0.2 from the circle, and its box stays inside
    const { accuracy, l2Accuracy, linfCertified, linfUnbroken } = answer.summary;
    expect([accuracy.correct, l2Accuracy.correct, linfCertified.correct, linfUnbroken.correct]).toEqual([3, 2, 3, 3]);
    // 95 % Wilson interval of 3 in 4, by the textbook formula with z = 1.959964
    expect(accuracy.interval[0]).toBeCloseTo(0.300642, 5);
    expect(accuracy.interval[1]).toBeCloseTo(0.954413, 5);
  });

  it("a linear score, flat Q, and no l-infinity columns unless asked for", async () => {
    const line = { Q: [0, 0, 0, 0], q: [3, -4], s: 1 };
    const [r, epsilon] = [0.2, 0.1];
    const answer = await certifyBare(line, points, "--radius", `${r}`, "--epsilon-inf", `${epsilon}`);
    expect(answer.classes).toEqual(["in", "out"]);
    answer.rows.forEach((row: Row, i: number) => {
      const [x, y, kind] = points[i]!;
      const f = 3 * x - 4 * y + 1;
      const sign = kind === "out" ? 1 : -1;
      expect(row.boundaryDistance).toBeCloseTo(Math.abs(f) / 5, 10);
      expect(row.worstMargin).toBeCloseTo(sign * f - 5 * r, 10);
      expect(row.linfExact).toBeCloseTo(sign * f - 7 * epsilon, 10);
    });
    const without = await certifyBare(line, points, "--radius", "0");
    expect(without.rows.map((row: Row) => [row.linfBound, row.linfExact])).toEqual(points.map(() => [null, null]));
    expect([without.epsilonInf, without.summary.linfCertified]).toEqual([null, null]);
  });

  it("no flip: null; the first box suffices for a separable score, whatever --exact-features", async () => {
    const positive = { Q: [1, 0, 0, 1], q: [0, 0], s: 1 };
    const answer = await certifyBare(positive, points, "--radius", "1", "--epsilon-inf", "1", "--exact-features", "1");
    (answer.rows as Row[]).forEach((row, i) => {
      const [x, y, kind] = points[i]!;
      const reach = (v: number) => (kind === "out" ? Math.max(Math.abs(v) - 1, 0) : Math.abs(v) + 1) ** 2;
      expect(row.boundaryDistance).toBeNull();
      expect(row.linfExact).toBeCloseTo((kind === "out" ? 1 : -1) * (1 + reach(x) + reach(y)), 8);
    });
    expect(answer.summary.medianBoundaryDistance).toBeNull();
    expect(answer.summary.linfCertified.correct).toBe(2);
    expect(answer.summary.linfUnbroken.correct).toBe(2);
  });
});

describe("certify: more features than --exact-features", () => {
  it("exact minima where the first box finds them, else null beside the bound", async () => {
    // xy + xz + yz on the cube around 0: the minimum is -1 (two corners of three differ), the relaxation -3/2.
    const triangle = { Q: [0, 0.5, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0], q: [0, 0, 0], s: 0, classes: ["in", "out"] };
    await writeFile(at("cube.json"), JSON.stringify(triangle));
    await writeFile(at("cube.csv"), "x,y,z,kind\n0,0,0,out\n5,5,5,out\n");
    const ask = async (...flags: string[]) => {
      const common = ["certify", at("cube.json"), at("cube.csv"), "--json", "--radius", "0.1", "--epsilon-inf", "1"];
      return object(await run([...common, ...flags])).rows as Row[];
    };
    for (const [most, first] of [
      ["3", -1],
      ["2", null],
    ] as const) {
      const [centre, far] = await ask("--exact-features", most);
      expect(centre!.linfBound).toBeCloseTo(-1.5, 6);
      if (first === null) expect(centre!.linfExact).toBeNull();
      else expect(centre!.linfExact).toBeCloseTo(first, 8);
      // every slope is positive there: the corner (4, 4, 4)
      expect(far!.linfExact).toBeCloseTo(48, 8);
    }
  });

  it("512 features: the linear part decides, in closed form", async () => {
    const d = 512;
    const q = Array.from({ length: d }, (_, k) => Math.sin(k + 1));
    const u = Array.from({ length: d }, (_, k) => Math.cos(2 * k) / Math.sqrt(d));
    const Q = u.flatMap((left) => u.map((right) => 0.01 * left * right));
    await writeFile(at("wide.json"), JSON.stringify({ Q, q, s: 0, classes: ["in", "out"] }));
    const x = Array.from({ length: d }, (_, k) => Math.sin(3 * k));
    const header = x.map((_, k) => `f${k}`);
    await writeFile(at("wide.csv"), `${[...header, "kind"].join(",")}\n${[...x, "out"].join(",")}\n`);
    const epsilon = 1e-4;
    const flags = ["--json", "--radius", "0.1", "--epsilon-inf", `${epsilon}`];
    const [row] = object(await run(["certify", at("wide.json"), at("wide.csv"), ...flags])).rows as Row[];
    // The corner against the slopes q + 2 Q x, none of which changes sign within epsilon.
    const along = u.reduce((sum, value, k) => sum + value * x[k]!, 0);
    const corner = x.map((value, k) => value - epsilon * Math.sign(q[k]! + 0.02 * u[k]! * along));
    const minimum = q.reduce((sum, value, k) => sum + value * corner[k]!, 0);
    const bent = u.reduce((sum, value, k) => sum + value * corner[k]!, 0);
    expect(row!.linfExact).toBeCloseTo(minimum + 0.01 * bent ** 2, 8);
    expect(row!.linfBound).toBeCloseTo(minimum + 0.01 * bent ** 2, 6);
  });

  it("a reader that closes the pipe is no failure", async () => {
    const { child, done } = start(["certify", at("wide.json"), at("wide.csv"), "--json", "--radius", "0.1"]);
    child.stdout!.destroy();
    expect(await done).toMatchObject({ code: 0, stderr: "" });
  });
});

/** A generated table of several classes: centres on a circle, with a constant column, header and labels as text. */
function blobs(seed: number, classes: string[], perClass: number): string {
  const rng = createRng(seed);
  const lines = ["width,height,constant,kind"];
  for (let i = 0; i < perClass; i++) {
    classes.forEach((name, c) => {
      const angle = (2 * Math.PI * c) / classes.length;
      lines.push(`${100 * (Math.cos(angle) + 0.2 * rng.normal())},${Math.sin(angle) + 0.2 * rng.normal()},7,${name}`);
    });
  }
  return `${lines.join("\n")}\n`;
}

describe("fit", () => {
  it("two classes: the objective is the one its own certified margins give, and no network is below the bound", async () => {
    await writeFile(at("two.csv"), blobs(1, ["yes", "no"], 30));
    const common = ["--label", "kind", "--radius", "0.3", "--beta", "0.02", "--positive", "no", "--json"];
    for (const [loss, value] of [
      ["hinge", (w: number) => Math.max(0, 1 - w)],
      ["squared-hinge", (w: number) => Math.max(0, 1 - w) ** 2],
      ["logistic", (w: number) => Math.log1p(Math.exp(-w))],
    ] as const) {
      const flags = [...common, "--loss", loss, "--reduction", "sum", "--out", at("two.json")];
      const fit = object(await run(["fit", at("two.csv"), ...flags]));
      expect(fit).toMatchObject({ status: "optimal", classes: ["yes", "no"], positive: "no", loss: `sum-${loss}` });
      expect(fit.radiusUnits).toMatch(/standard deviations/);
      expect(fit.warnings).toMatchObject([{ code: "constant-feature" }]);
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      expect(fit.lowerBound).toBeLessThanOrEqual(fit.objective);
      const model = JSON.parse(await readFile(at("two.json"), "utf8"));
      const { weights } = model.head.quadratics[1].neurons;
      expect(fit.neurons).toBe(weights.length);
      const { rows, summary, radius } = object(await run(["certify", at("two.json"), at("two.csv"), "--json"]));
      expect(radius).toBe(0.3);
      const mass = weights.reduce((sum: number, alpha: number) => sum + Math.abs(alpha), 0);
      const total = rows.reduce((sum: number, row: Row) => sum + value(row.worstMargin), 0.02 * mass);
      expect(total / fit.objective).toBeCloseTo(1, 9);
      expect(summary.l2Accuracy).toEqual(fit.training.robustAccuracy);
      // worst margin positive <=> right and further than the radius from the boundary
      for (const row of rows as Row[]) {
        const robust = row.label === row.predicted && (row.boundaryDistance ?? Infinity) > 0.3;
        expect(row.worstMargin > 0).toBe(robust);
      }
    }
  });

  it("a radius beyond the classes: the zero network, objective 1, certified", async () => {
    await writeFile(at("two.csv"), blobs(1, ["yes", "no"], 30));
    const fit = object(await run(["fit", at("two.csv"), "--label", "-1", "--radius", "50", "--beta", "0.1", "--json"]));
    expect(fit.neurons).toBe(0);
    expect(fit.objective).toBeCloseTo(1, 12);
    expect(fit.lowerBound).toBeGreaterThan(1 - 1e-6);
    expect(fit.model).toBeNull();
  });

  it("standardising is the same as fitting on the standardised table; none takes features as they are", async () => {
    const text = blobs(2, ["a", "b"], 20);
    const rows = text
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.split(","));
    const columns = [0, 1].map((k) => rows.map((row) => Number(row[k])));
    const scaled = columns.map((values) => {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
      return values.map((value) => (value - mean) / deviation);
    });
    await writeFile(at("raw.csv"), text);
    await writeFile(at("scaled.csv"), rows.map((row, i) => `${scaled[0]![i]},${scaled[1]![i]},0,${row[3]}`).join("\n"));
    const flags = ["--label", "3", "--radius", "0.2", "--beta", "0.05", "--json", "--out"];
    const one = object(await run(["fit", at("raw.csv"), ...flags, at("raw.json")]));
    const two = object(await run(["fit", at("scaled.csv"), ...flags, at("scaled.json"), "--standardize", "none"]));
    expect(two.radiusUnits).toBe("units of the features");
    expect(Math.abs(one.objective / two.objective - 1)).toBeLessThan(3e-6);
    const certified = ["--radius", "0.2", "--epsilon-inf", "0.1", "--json"];
    const first = object(await run(["certify", at("raw.json"), at("raw.csv"), ...certified]));
    const second = object(await run(["certify", at("scaled.json"), at("scaled.csv"), ...certified]));
    expect(first.summary.accuracy).toEqual(second.summary.accuracy);
    expect(first.rows[0].worstMargin).toBeCloseTo(second.rows[0].worstMargin, 3);
  });

  it("several classes: one model by argmax, with exact margins", async () => {
    await writeFile(at("four.csv"), blobs(3, ["n", "e", "s", "w"], 15));
    const flags = ["--label", "kind", "--radius", "0.2", "--beta", "0.01", "--tolerance", "0.05"];
    const fit = object(await run(["fit", at("four.csv"), ...flags, "--json", "--out", at("four.json")]));
    expect(fit).toMatchObject({ status: "optimal", method: "joint", classes: ["e", "n", "s", "w"], positive: null });
    expect(fit.gap).toBeLessThanOrEqual(0.05);
    const certify = ["--radius", "0.2", "--epsilon-inf", "0.1", "--json"];
    const { rows, summary } = object(await run(["certify", at("four.json"), at("four.csv"), ...certify]));
    expect(summary.accuracy.value).toBeGreaterThan(0.9);
    for (const row of rows as Row[]) {
      expect(row.score > 0).toBe(row.label === row.predicted);
      expect(row.worstMargin).toBeLessThanOrEqual(row.score);
      expect(row.worstMargin > 0).toBe(row.score > 0 && (row.boundaryDistance ?? Infinity) > 0.2);
      expect(row.linfBound!).toBeLessThanOrEqual(row.linfExact!);
      // the box of half-width 0.1 lies in the ball of radius 0.1 sqrt 3 < 0.2
      expect(row.linfExact!).toBeGreaterThanOrEqual(row.worstMargin);
    }
    expect(summary.linfCertified.correct).toBe(summary.linfUnbroken.correct);
    const table = await run(["certify", at("four.json"), at("four.csv"), ...certify.slice(0, 4)]);
    expect(table.stdout).toMatch(/clean: .*95 % interval[\s\S]*l-infinity 0\.1, certified/);
  });

  it("several radii: cross-validated, and the best one is fitted to all rows", async () => {
    await writeFile(at("two.csv"), blobs(1, ["yes", "no"], 30));
    const common = ["--label", "kind", "--beta", "0.05", "--json"];
    const more = ["--radius", "0.2,50", "--folds", "3", "--evaluation-radius", "0.3"];
    const fit = object(await run(["fit", at("two.csv"), ...common, ...more]));
    const { path, chosen, evaluationRadius } = fit.crossValidation;
    expect([fit.radius, chosen, evaluationRadius]).toEqual([0.2, { radius: 0.2, beta: 0.05 }, 0.3]);
    // at radius 50 every fold gives the zero network, which is right on no open set and never robust
    expect(path.map((point: { radius: number }) => point.radius)).toEqual([0.2, 50]);
    expect(path[0].accuracy).toMatchObject({ total: 60 });
    expect(path[0].robustAccuracy.value).toBeGreaterThan(0.8);
    expect(path[1].robustAccuracy.correct).toBe(0);
    const alone = object(await run(["fit", at("two.csv"), ...common, "--radius", "0.2"]));
    expect([alone.objective, alone.crossValidation]).toEqual([fit.objective, null]);
  });

  it("a limit: exit code 3, and the model is written", async () => {
    await writeFile(at("two.csv"), blobs(1, ["yes", "no"], 30));
    const flags = ["--label", "kind", "--radius", "0.3", "--method", "factored", "--tolerance", "1e-14"];
    const fit = object(await run(["fit", at("two.csv"), ...flags, "--json", "--out", at("rough.json")]), 3);
    expect(fit.warnings).toContainEqual(expect.objectContaining({ code: "gap-not-reached" }));
    expect(existsSync(at("rough.json"))).toBe(true);
  });
});

describe.skipIf(!existsSync(original))(
  `Breast Cancer (Original)${existsSync(original) ? "" : " (skipped: set WORSTCASE_DATA)"}`,
  () => {
    it("the objective and accuracies of our independent solver (math.md 18.4, r = 1.5)", async () => {
      const lines = readFileSync(original, "utf8").trim().split(/\r?\n/);
      // standardised by the training part only: first 559 rows
      await writeFile(at("train.csv"), lines.slice(0, 559).join("\n"));
      await writeFile(at("test.csv"), lines.slice(559).join("\n"));
      const flags = ["--label", "10", "--ignore", "0", "--missing", "zero", "--radius", "1.5", "--beta", "0.01"];
      const fit = object(await run(["fit", at("train.csv"), ...flags, "--json", "--out", at("cancer.json")]));
      expect([fit.status, fit.rows, fit.features]).toEqual(["optimal", 559, 9]);
      expect(Math.abs(fit.objective / 0.5102011 - 1)).toBeLessThan(2e-6);
      expect(fit.gap).toBeLessThanOrEqual(1e-6);
      const certify = async (radius: string, epsilon: string) => {
        const more = ["--missing", "zero", "--radius", radius, "--epsilon-inf", epsilon, "--json"];
        return object(await run(["certify", at("cancer.json"), at("test.csv"), ...more]));
      };
      // clean 1.0000, exact l2 .9714 at 1 and .8500 at 2; certified l-infinity .964 at 0.4 and .693 at 0.8
      const near = (await certify("1", "0.4")).summary;
      expect([near.accuracy.correct, near.l2Accuracy.correct]).toEqual([140, 136]);
      expect(near.linfCertified.value).toBeCloseTo(0.964, 3);
      const far = (await certify("2", "0.8")).summary;
      expect([far.l2Accuracy.correct, far.linfCertified.correct, far.linfUnbroken.correct]).toEqual([119, 97, 97]);
    });
  },
);

describe("misuse", () => {
  const good = "x,y,kind\n1,2,a\n3,5,b\n2,2,a\n";
  const line = { Q: [0, 0, 0, 0], q: [3, -4], s: 1, classes: ["a", "b"] };
  beforeAll(async () => {
    await writeFile(at("good.csv"), good);
    await writeFile(at("text.csv"), good.replace("3,5", "3,tall"));
    await writeFile(at("nan.csv"), good.replace("3,5", "3,NaN"));
    await writeFile(at("hole.csv"), good.replace("3,5", "3,"));
    await writeFile(at("ragged.csv"), good.replace("3,5", "3"));
    await writeFile(at("one-class.csv"), good.replaceAll(",b", ",a"));
    await writeFile(at("one-row.csv"), "x,y,kind\n1,2,a\n");
    await writeFile(at("empty.csv"), "");
    await writeFile(at("huge.csv"), good.replace("3,5", "3e300,5"));
    await writeFile(at("three.csv"), `${good}4,4,c\n`);
    const many = Array.from({ length: 80 }, (_, i) => `${i},${i % 7},${i % 40}`);
    await writeFile(at("many.csv"), `x,y,kind\n${many.join("\n")}\n`);
    await writeFile(at("wide.csv"), good.trimEnd().replaceAll(/^/gm, "1,").replace("1,x", "w,x"));
    await writeFile(at("other-names.csv"), good.replace("x,y", "x,z"));
    await writeFile(at("other-class.csv"), good.replace(",b", ",c"));
    await writeFile(at("line.json"), JSON.stringify(line));
    const flags = ["--label", "kind", "--radius", "0.1", "--json", "--out", at("good.json")];
    object(await run(["fit", at("good.csv"), ...flags]));
    const model = await readFile(at("good.json"), "utf8");
    await writeFile(at("edited.json"), model.replace('"radius":0.1', '"radius":0.2'));
  });

  const fit = (file: string, ...more: string[]) => {
    const label = more.includes("--label") ? [] : ["--label", "kind"];
    return ["fit", file, ...label, "--radius", "0.1", ...more];
  };
  const certify = (model: string, table: string, ...more: string[]) => ["certify", model, table, ...more];
  it.concurrent.each([
    [
      "a missing column",
      fit("good.csv", "--label", "sort"),
      /--label: expected one of the 3 columns x, y, kind, got sort/,
    ],
    ["ranges in training", fit("good.csv", "--range", "r.json"), /--range: expected .*worstcase certify --range/],
    ["no label", ["fit", "good.csv", "--radius", "1"], /--label: expected/],
    ["a text cell", fit("text.csv"), /row 3, y: expected a finite number, got tall .*--ignore/],
    ["a NaN cell", fit("nan.csv"), /row 3, y: expected a finite number, got NaN/],
    ["a missing cell", fit("hole.csv"), /row 3, y: .*an empty cell \(missing; fill it with --missing/],
    ["a short row", fit("ragged.csv"), /ragged\.csv: expected rows with equally many cells/],
    ["one class", fit("one-class.csv"), /at least two classes/],
    ["one row", fit("one-row.csv"), /at least two rows/],
    ["an empty file", fit("empty.csv"), /at least one row/],
    [
      "features of absurd size, as they are",
      fit("huge.csv", "--standardize", "none"),
      /table: expected features of moderate size/,
    ],
    ["a missing file", fit("absent.csv"), /a readable file.*ENOENT/],
    ["a negative radius", fit("good.csv", "--radius", "-1"), /--radius: .*>=0.*got -1/],
    [
      "several radii without folds",
      fit("good.csv", "--radius", "1,2"),
      /--radius: expected one value, got 2 values .*--folds/,
    ],
    [
      "folds of a class with one row",
      fit("good.csv", "--folds", "2"),
      /--folds: expected at least two rows of class b/,
    ],
    ["an unknown positive label", fit("good.csv", "--positive", "c"), /--positive: expected a or b, got c/],
    [
      "logistic, factored",
      fit("good.csv", "--loss", "logistic", "--method", "factored"),
      /--method: expected exact or auto/,
    ],
    ["logistic, three classes", fit("three.csv", "--loss", "logistic"), /--loss: expected hinge for several classes/],
    ["sum, three classes", fit("three.csv", "--reduction", "sum"), /--reduction: expected mean/],
    ["exact, three classes", fit("three.csv", "--method", "exact"), /--method: expected auto or factored/],
    ["an output folder that is not there", fit("good.csv", "--out", "no/such/model.json"), /--out.*ENOENT/],
    [
      "an output that is a folder",
      fit("good.csv", "--out", tmpdir()),
      /--out: expected a file that can be written.*it is a folder/,
    ],
    [
      "a column of numbers as label",
      fit("many.csv"),
      /--label: expected at most 30 different labels, got 40.*--loss squared/,
    ],
    ["an unknown flag", fit("good.csv", "--epsilon", "1"), /unknown option '--epsilon'/],
    ["no radius to certify", certify("line.json", "good.csv"), /--radius: expected an l2 radius/],
    ["too many features", certify("good.json", "wide.csv"), /wide\.csv: expected the model's 2 features, got 3/],
    ["other features", certify("good.json", "other-names.csv"), /feature 1: expected y, got z/],
    ["an unknown class", certify("good.json", "other-class.csv"), /labels: expected the model's classes a, b, got c/],
    ["a missing model", certify("absent.json", "good.csv"), /model: expected a readable file.*ENOENT/],
    ["an edited model", certify("edited.json", "good.csv"), /edited\.json: .*edited or damaged/],
    ["a table as model", certify("good.csv", "good.csv"), /good\.csv: expected a model/],
    ["an unknown backend", certify("good.json", "good.csv", "--backend", "abacus"), /--backend/],
  ])("%s", async (_, [command, ...rest], message) => {
    const resolved = rest.map((word) => (/\.(csv|json)$/.test(word) ? at(word) : word));
    const out = command === "fit" && !resolved.includes("--out") ? ["--out", at("unwritten.json")] : [];
    const { code, stdout, stderr } = await run([command!, ...resolved, ...out, "--json"]);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    // neither a model nor a part of one
    expect(readdirSync(folder).filter((name) => /unwritten|\.part$/.test(name))).toEqual([]);
  });
});
