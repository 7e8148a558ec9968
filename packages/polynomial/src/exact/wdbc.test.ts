// The instance of solvers.md 1.1: d = 30, a working set.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { batch, dataFile } from "../../test/support.js";
import { fitPolynomial } from "../fit.js";

describe("Breast Cancer Wisconsin (Diagnostic), 455 of 569 rows, d = 30", () => {
  const file = dataFile("uci/wdbc.data");
  if (!file) console.warn("skipped: uci/wdbc.data not found (set WORSTCASE_DATA)");

  test.skipIf(!file)("r = 0.5, beta = 0.01: certified gap 1e-6 on a working set, few neurons", () => {
    const rows = readFileSync(file as string, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(","));
    // The first 455 rows standardised by themselves (not the random split of solvers.md, so another optimum).
    const d = 30;
    const n = 455;
    const data = new Float64Array(n * d);
    for (let k = 0; k < d; k++) {
      const column = Float64Array.from({ length: n }, (_, i) => Number(rows[i][k + 2]));
      const mean = column.reduce((sum, value) => sum + value, 0) / n;
      const spread = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
      for (let i = 0; i < n; i++) data[i * d + k] = (column[i] - mean) / spread;
    }
    const labels = rows.slice(0, n).map((row) => (row[1] === "B" ? 1 : -1));
    const fit = fitPolynomial(batch(data, d), labels, { radius: 0.5, beta: 0.01 });
    expect([fit.method, fit.status]).toEqual(["exact", "optimal"]);
    expect(fit.gap).toBeLessThanOrEqual(1e-6);
    expect(fit.workingSet).toBeLessThan(n / 2);
    expect(fit.neurons.weights.length).toBeLessThan(2 * (d + 1));
  });
});
