// `fit --loss squared` and `certify` of its model, as a user runs them.

import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./commandLine.js";

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "worstcase-regression-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("a number to predict", () => {
  // one sample at x = 2 and the closed form of fitRegression.test.ts: alpha g = t - beta / (2 g), g = sigma(2)
  const [t, beta, g] = [3, 0.1, 0.09 * 4 + 0.5 * 2 + 0.47];
  const miss = beta / (2 * g);

  it("fit: closed form; certify: prediction, range and errors, with and without targets", async () => {
    await writeFile(at("one.csv"), `x,t\n2,${t}\n`);
    const common = ["--label", "t", "--radius", "0", "--standardize", "none", "--loss", "squared", "--json"];
    const fit = await run(["fit", at("one.csv"), ...common, "--beta", `${beta}`, "--out", at("m.json")]);
    expect([fit.code, fit.stderr]).toEqual([0, ""]);
    const report = JSON.parse(fit.stdout);
    expect(report).toMatchObject({ task: "regression", loss: "mean-squared", status: "optimal", rows: 1, features: 1 });
    expect(report.objective).toBeCloseTo(miss * miss + (beta * (t - miss)) / g, 6);
    expect(report.training.rootMeanSquareError).toBeCloseTo(miss, 4);

    await writeFile(at("new.csv"), "x,t\n2,3\n-2,1\n");
    const flags = ["--radius", "0.5", "--epsilon-inf", "0.5", "--json"];
    const judged = JSON.parse((await run(["certify", at("m.json"), at("new.csv"), ...flags])).stdout);
    // one neuron with u = 1: f(x) = alpha sigma(x), increasing near 2
    const alpha = (t - miss) / g;
    const f = (x: number) => alpha * (0.09 * x * x + 0.5 * x + 0.47);
    const [row] = judged.rows;
    expect([row.prediction, row.lowest, row.highest]).toEqual(
      [f(2), f(1.5), f(2.5)].map((value) => expect.closeTo(value, 3)),
    );
    expect(row.worstError).toBeCloseTo(Math.max(3 - f(1.5), f(2.5) - 3), 3);
    // at d = 1 the box is the ball
    expect([row.linfLowest, row.linfHighest]).toEqual([row.lowest, row.highest].map((v) => expect.closeTo(v, 6)));
    expect(judged.summary.largestWorstError).toBe(Math.max(...judged.rows.map((r: typeof row) => r.worstError)));

    await writeFile(at("bare.csv"), "x\n2\n");
    const bare = JSON.parse((await run(["certify", at("m.json"), at("bare.csv"), "--json"])).stdout);
    expect([bare.summary, bare.rows.length, bare.rows[0].target]).toEqual([null, 1, null]);
    const text = await run(["certify", at("m.json"), at("new.csv")]);
    expect(text.stdout).toMatch(/root mean square error/);
  });

  it.each([
    ["x,t\n1,a\n2,b\n", [], /finite number to predict/],
    ["x,t\n1,1\n2,2\n", ["--folds", "2"], /--folds/],
    ["x,t\n1,1\n2,2\n", ["--method", "factored"], /--method/],
    ["x,t\n1,1\n2,2\n", ["--positive", "1"], /--positive/],
    ["x,t\n1,1e300\n2,-1e300\n", [], /too large|finite/],
  ])("refuses %j %j in one line, no file left", async (table, flags, message) => {
    await writeFile(at("bad.csv"), table);
    const given = ["--label", "t", "--radius", "0.1", "--loss", "squared", "--out", at("bad.json")];
    const { code, stderr } = await run(["fit", at("bad.csv"), ...given, ...flags]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(existsSync(at("bad.json"))).toBe(false);
  });
});
