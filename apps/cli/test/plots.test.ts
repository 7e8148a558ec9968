// Tables without labels or of one row, and the plots, as a user runs them. Closed forms: the disc 1.44 - |x|^2.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRng } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./commandLine.js";

let folder: string;
const at = (name: string) => join(folder, name);
const disc = { Q: [-1, 0, 0, -1], q: [0, 0], s: 1.44, classes: ["out", "in"], features: ["x", "y"] };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "worstcase-plots-"));
  await writeFile(at("disc.json"), JSON.stringify(disc));
});
afterAll(() => rm(folder, { recursive: true }));

async function certify(table: string, ...flags: string[]) {
  await writeFile(at("rows.csv"), table);
  const { code, stdout, stderr } = await run(["certify", at("disc.json"), at("rows.csv"), "--json", ...flags]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

/** Percentages at the vertices of each line of a plot, by its axis from 0 to 100. */
function curves(svg: string): { x: number; percent: number }[][] {
  const axis = /aria-label="y-axis tick label"[\s\S]*?<\/g>/.exec(svg)![0];
  const yOf = (text: string) =>
    Number(new RegExp(`translate\\([-\\d.]+,\\s*([-\\d.]+)\\)"[^>]*>${text}<`).exec(axis)![1]);
  const [bottom, top] = [yOf("0"), yOf("100")];
  return [...svg.matchAll(/<g[^>]*aria-label="line"[^>]*>\s*<path[^>]* d="(M[^"]*)"/g)].map(([, d]) =>
    d!
      .split(/[ML]/)
      .filter(Boolean)
      .map((pair) => {
        const [x, y] = pair.split(",").map(Number) as [number, number];
        return { x, percent: (100 * (bottom - y)) / (bottom - top) };
      }),
  );
}

describe("certify without labels, and on one row", () => {
  it("margins of the prediction, no accuracies", async () => {
    const answer = await certify("x,y\n0.3,-0.4\n1.5,2\n", "--radius", "0.75", "--epsilon-inf", "0.1");
    const { summary, rows } = answer;
    expect(rows.map(({ label, predicted }: { label: null; predicted: string }) => [label, predicted])).toEqual([
      [null, "in"],
      [null, "out"],
    ]);
    expect(rows[0].worstMargin).toBeCloseTo(1.44 - 1.25 ** 2, 9);
    expect(rows[1].worstMargin).toBeCloseTo(1.75 ** 2 - 1.44, 9);
    // the box |D| <= 0.1 around (0.3, -0.4)
    expect(rows[0].linfExact).toBeCloseTo(1.44 - 0.4 ** 2 - 0.5 ** 2, 8);
    expect(summary).toMatchObject({ accuracy: null, l2Accuracy: null, linfCertified: null, linfUnbroken: null });
    expect(summary.l2Constant).toMatchObject({ correct: 1, total: 2 });
  });

  it("--label none, and one row with or without a label", async () => {
    for (const [table, flags, label] of [
      ["0.3,-0.4\n", ["--label", "none"], null],
      ["x,y\n0.3,-0.4\n", [], null],
      ["x,y,kind\n0.3,-0.4,in\n", [], "in"],
    ] as const) {
      const bare = table.startsWith("0") ? { ...disc, features: undefined } : disc;
      await writeFile(at("disc.json"), JSON.stringify(bare));
      const answer = await certify(table, "--radius", "0.1", ...flags);
      expect(answer.rows).toHaveLength(1);
      expect(answer.rows[0]).toMatchObject({ label, predicted: "in" });
      expect(answer.rows[0].worstMargin).toBeCloseTo(1.44 - 0.36, 9);
      expect(answer.summary.accuracy?.value ?? null).toBe(label === null ? null : 1);
    }
    await writeFile(at("disc.json"), JSON.stringify(disc));
  });

  it.each([
    ["x,y,kind\n0.3,-0.4,other\n", [], /the model's classes out, in/],
    ["x,z\n0.3,-0.4\n", [], /feature|finite number|features/],
    ["x,y,z,kind\n1,2,3,in\n", [], /the model's 2 features/],
    ["", [], /at least|empty|rows/],
    ["x,y\n0.3,-0.4\n", ["--plot", "PLOT"], /a table with labels/],
    ["x,y,kind\n0.3,-0.4,in\n", ["--plot", "/no/such/folder/a.svg"], /--plot/],
  ])("refuses %j %j", async (table, flags, message) => {
    await writeFile(at("rows.csv"), table);
    const given = flags.map((flag) => (flag === "PLOT" ? at("never.svg") : flag));
    const { code, stderr } = await run(["certify", at("disc.json"), at("rows.csv"), "--radius", "0.1", ...given]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(existsSync(at("never.svg"))).toBe(false);
  });
});

describe("plots", () => {
  it("certify --plot: robust shares of four rows at known distances", async () => {
    // distances to the circle of radius 1.2: 0.2, 0.4, 0.6, 0.8; all labelled right
    const table = `x,y,kind\n${[1, 0.8, 0.6, 0.4].map((x) => `${x},0,in`).join("\n")}\n`;
    const answer = await certify(table, "--radius", "0.5", "--plot", at("c.svg"), "--plot-radius", "1");
    expect(answer.plot).toBe(at("c.svg"));
    const svg = await readFile(at("c.svg"), "utf8");
    const [clean, l2, certified, exact] = curves(svg).filter((points) => points.length > 1);
    expect(clean!.map(({ percent }) => Math.round(percent))).toEqual([100, 100]);
    // 121 points from 0 to 1: three quarters are robust just beyond 0.2, and so on
    const at2 = (r: number) => Math.round(l2![Math.round(120 * r)]!.percent);
    expect([0, 0.1, 0.3, 0.5, 0.7, 0.9].map(at2)).toEqual([100, 100, 75, 50, 25, 0]);
    // the box around (x, 0) leaves the disc where (x + e)^2 + e^2 = 1.44
    const boxRobust = (e: number) => [1, 0.8, 0.6, 0.4].filter((x) => (x + e) ** 2 + e ** 2 < 1.44).length;
    for (const curve of [certified!, exact!]) {
      expect(curve.map(({ percent }) => Math.round(percent))).toEqual(
        Array.from({ length: 17 }, (_, k) => 25 * boxRobust(k / 16)),
      );
    }
  });

  it("fit --plot: a curve per beta, clean and robust; refused without --folds", async () => {
    const rng = createRng(4);
    const rows = Array.from({ length: 24 }, (_, i) => `${rng.normal() + (i % 2 ? 2 : -2)},${rng.normal()},${i % 2}`);
    await writeFile(at("t.csv"), `${rows.join("\n")}\n`);
    const common = ["fit", at("t.csv"), "--label", "-1", "--radius", "0.1,0.5", "--beta", "0.01,0.1"];
    const { code, stdout } = await run([...common, "--folds", "3", "--plot", at("f.svg"), "--json"]);
    expect(code).toBe(0);
    const { path } = JSON.parse(stdout).crossValidation;
    const svg = await readFile(at("f.svg"), "utf8");
    for (const name of ["clean, beta 0.01", "clean, beta 0.1", "l2 0.5, exact, beta 0.1"]) expect(svg).toContain(name);
    const first = curves(svg).filter((points) => points.length === 2)[0]!;
    const wanted = path.filter(({ beta }: { beta: number }) => beta === 0.01);
    expect(first.map(({ percent }) => percent / 100)).toEqual(
      wanted.map(({ accuracy }: { accuracy: { value: number } }) => expect.closeTo(accuracy.value, 2)),
    );
    const alone = await run(["fit", at("t.csv"), "--label", "-1", "--radius", "0.1", "--plot", at("g.svg")]);
    expect([alone.code, existsSync(at("g.svg"))]).toEqual([1, false]);
    expect(alone.stderr).toMatch(/--plot: expected --folds/);
  });
});
