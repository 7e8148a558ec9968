// Proximal steps beside Newton's method on losses whose smoothing they shrink themselves (termsProblem.ts).

import { expect, it } from "vitest";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds } from "../testing/problems.js";
import { fitGatedRelu } from "./fitGatedRelu.js";

it.each(["l1", "l2"] as const)(
  "l1 regulariser, hinge, three classes, %s ball: no stall on the way down",
  async (norm) => {
    const { features, labels, rng } = clouds(3, 400, 8, 3);
    const gates = sampleGates(features, { count: 20, rng });
    const options = { norm, radius: 0.05, beta: 1e-3, gates, regulariser: "l1" } as const;
    const exact = await fitGatedRelu(features, labels, 3, { ...options, method: "newton", tolerance: 1e-3 });
    const result = await fitGatedRelu(features, labels, 3, { ...options, method: "first-order", tolerance: 5e-2 });
    expect(exact.gap).toBeLessThan(1e-3);
    expect(result.gap).toBeLessThan(5e-2);
    expect(result.objective.total).toBeGreaterThan(exact.lowerBound * (1 - 1e-9));
    expect(result.objective.total).toBeLessThan(exact.objective.total * 1.05);
    expect(result.lowerBound).toBeLessThan(exact.objective.total * (1 + 1e-9));
  },
);
