// A problem on which the working sets of one smoothing used to repeat for ever: many nearly equal gates, each of little weight.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createRng } from "@worstcase/core";
import { expect, it } from "vitest";
import { sampleGates } from "../../patterns/sampleGates.js";
import { fitGatedRelu } from "../fitGatedRelu.js";

const shared = new URL("../../../../../../shared/data", import.meta.url).pathname;
const file = join(process.env.WORSTCASE_DATA ?? shared, "uci", "ionosphere.data");
if (!existsSync(file)) console.warn(`skipped: ${file} not found (set WORSTCASE_DATA)`);

it.skipIf(!existsSync(file))(
  "Ionosphere, 500 gates, squared loss: certified to 1e-4 in at most 100 steps",
  async () => {
    const rows = readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(","));
    // column 1 is constant
    const columns = Array.from({ length: 34 }, (_, k) => k).filter((k) => k !== 1);
    const raw = rows.map((row) => columns.map((k) => Number(row[k])));
    const n = rows.length;
    const d = columns.length;
    const mean = columns.map((_, k) => raw.reduce((sum, row) => sum + row[k], 0) / n);
    const spread = mean.map((m, k) => Math.sqrt(raw.reduce((sum, row) => sum + (row[k] - m) ** 2, 0) / n));
    const data = Float64Array.from({ length: n * d }, (_, e) => {
      const k = e % d;
      return (raw[Math.floor(e / d)][k] - mean[k]) / (spread[k] * Math.sqrt(d));
    });
    const features = { data, shape: [n, d] };
    const labels = Int32Array.from(rows, (row) => (row[34] === "g" ? 1 : 0));
    const gates = sampleGates(features, { count: 500, rng: createRng(11) });
    const options = { norm: "l2", radius: 0, beta: 0.01, gates, loss: "squared", tolerance: 1e-4 } as const;
    const result = await fitGatedRelu(features, labels, 2, { ...options, method: "newton" });
    expect(result.status).toBe("optimal");
    expect(result.gap).toBeLessThanOrEqual(1e-4);
    expect(result.iterations).toBeLessThanOrEqual(100);
  },
);
