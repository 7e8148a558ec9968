import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { splitting } from "../src/index.js";
import fixture from "./fixtures/programs.json" with { type: "json" };
import {
  boxProgram,
  distanceProgram,
  nearestFlipProgram,
  robustProgram,
  type Samples,
  standardProgram,
} from "./programs.js";

const relative = (value: number, expected: number) => Math.abs(value - expected) / Math.abs(expected);

describe("the programs of the specification reach the optima of an independent solver (Clarabel through cvxpy)", () => {
  const { activation, beta, radius, epsilon, optimum } = fixture;
  const programs = {
    standard: () => standardProgram(fixture, activation, beta),
    robust: () => robustProgram(fixture, activation, beta, radius),
    box: () => boxProgram(fixture, activation, beta, epsilon),
  };

  it.each(["standard", "robust", "box"] as const)("%s", (name) => {
    const solution = programs[name]().solve();
    expect(solution.status).toBe("optimal");
    if (solution.status !== "optimal") return;
    expect(relative(solution.objective, optimum[name])).toBeLessThan(1e-6);
    expect(relative(solution.bound, optimum[name])).toBeLessThan(1e-6);
  });

  it("robust, by the splitting solver at its accuracy", () => {
    const solution = programs.robust().solve({ solver: splitting, tolerance: 1e-6, maximumIterations: 20_000 });
    expect(solution.status).toBe("optimal");
    expect(solution.status === "optimal" && relative(solution.objective, optimum.robust)).toBeLessThan(1e-4);
  });

  it("robust, in both forms", () => {
    const solution = programs.robust().solve({ form: "dual" });
    expect(solution.form).toBe("dual");
    expect(solution.status === "optimal" && relative(solution.objective, optimum.robust)).toBeLessThan(1e-6);
  });
});

describe("distance to the decision boundary (math.md 9)", () => {
  // an indefinite quadratic x' H x + 2 g'x + k of order 3 with its decomposition known: H = diag(h)
  const rng = createRng(2);
  for (let trial = 0; trial < 4; trial++) {
    const h = [1 + rng.uniform(), -0.5 - rng.uniform(), rng.normal()];
    const g = h.map(() => rng.normal());
    const k = 1 + rng.uniform();
    const x = [0, 0, 0];
    const shaped = [...h.map((value, i) => [...h.map((_, j) => (i === j ? value : 0)), g[i]]), [...g, k]];

    it(`both programs agree with the secular equation, case ${trial}`, () => {
      const expected = flipDistanceSquared(h, g, k);
      const upper = distanceProgram(shaped, x, 1).solve();
      const lower = nearestFlipProgram(shaped, x, 1).solve();
      expect(upper.status === "optimal" && relative(upper.objective, expected)).toBeLessThan(1e-6);
      expect(lower.status === "optimal" && relative(lower.objective, expected)).toBeLessThan(1e-6);
      expect(lower.form).toBe("dual");
    });
  }
});

/** max over gamma of gamma k - gamma^2 sum g_k^2 / (1 + gamma h_k) by golden section on the concave function (label 1, x = 0). */
function flipDistanceSquared(h: readonly number[], g: readonly number[], k: number): number {
  const value = (t: number) => t * k - t * t * g.reduce((sum, gk, i) => sum + (gk * gk) / (1 + t * h[i]), 0);
  let [low, high] = [0, (1 - 1e-15) / -Math.min(...h)];
  const ratio = (Math.sqrt(5) - 1) / 2;
  for (let step = 0; step < 200; step++) {
    const [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
    if (value(a) < value(b)) low = a;
    else high = b;
  }
  return value((low + high) / 2);
}

describe("Breast Cancer Wisconsin (Original), 559 training samples", () => {
  const file = breastCancerFile();
  if (!file) console.warn("skipped: uci/breast-cancer-wisconsin.data not found (set WORSTCASE_DATA)");
  const activation = { a: 0.09, b: 0.5, c: 0.47 };

  // math.md 18.4; about 9 CPU seconds each
  it.skipIf(!file).each([
    [1.125, 0.3422402],
    [1.5, 0.5102011],
  ])("robust program, mean hinge, beta = 0.01, r = %d: %d", (radius, expected) => {
    const solution = robustProgram(readBreastCancer(file!), activation, 0.01, radius).solve();
    expect(solution.status).toBe("optimal");
    expect(solution.status === "optimal" && relative(solution.objective, expected)).toBeLessThan(1e-6);
  });
});

function breastCancerFile(): string | undefined {
  const folder = process.env.WORSTCASE_DATA ?? fileURLToPath(new URL("../../../../shared/data", import.meta.url));
  const file = join(folder, "uci", "breast-cancer-wisconsin.data");
  return existsSync(file) ? file : undefined;
}

/** math.md 17: missing entries 0, first 559 rows, standardised with their mean and population deviation + 1e-9. */
function readBreastCancer(file: string): Samples {
  const lines = readFileSync(file, "utf8").trim().split(/\r?\n/).slice(0, 559);
  const rows = lines.map((line) => line.split(",").map((cell) => (cell === "?" ? 0 : Number(cell))));
  const raw = rows.map((row) => row.slice(1, 10));
  const mean = raw[0].map((_, j) => raw.reduce((sum, row) => sum + row[j], 0) / raw.length);
  const deviation = mean.map(
    (m, j) => Math.sqrt(raw.reduce((sum, row) => sum + (row[j] - m) ** 2, 0) / raw.length) + 1e-9,
  );
  return {
    inputs: raw.map((row) => row.map((value, j) => (value - mean[j]) / deviation[j])),
    labels: rows.map((row) => (row[10] === 4 ? 1 : -1)),
  };
}
