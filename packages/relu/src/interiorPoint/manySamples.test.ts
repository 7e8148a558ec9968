// The system over the differences of the two sides, which only thousands of samples call for, on a small instance.

import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, it, vi } from "vitest";
import { coneViolation } from "../network/feasible.js";
import { distinctRows, findOpenCones, openConesSize } from "../network/openCones.js";
import { takeGates } from "../network/takeGates.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { createProgram } from "../program/program.js";
import { clouds } from "../testing/problems.js";
import { NewtonSystem } from "./newtonSystem.js";
import { solveInteriorPoint } from "./solveInteriorPoint.js";

it.each([0, 0.01])("every system encloses the same optimum, radius %d", async (radius) => {
  const { features, labels } = clouds(5, 200, 5, 2);
  const gates = sampleGates(features, { count: 30, rng: createRng(3) });
  const program = createProgram(
    features,
    { kind: "classes", labels, classCount: 2 },
    { gates, norm: "l2", radius, beta: 1e-2 },
  );
  const kernels = chooseKernels();
  const coneSamples = distinctRows(program);
  const { directions, open } = await findOpenCones(program, coneSamples, kernels.workspace(openConesSize(program)));
  expect(open.length).toBeGreaterThan(3);
  const part = takeGates(program, open);
  const common = { kernels, coneSamples, directions, where: "test", maximumIterations: 200, tolerance: 1e-3 };
  const results = [];
  for (const kind of ["differences", "pieces", "terms"] as const) {
    const spy = vi.spyOn(NewtonSystem, "kind").mockReturnValue(kind);
    const result = await solveInteriorPoint(part, common);
    spy.mockRestore();
    expect(result.objective.total - result.lowerBound).toBeLessThanOrEqual(1e-3 * result.objective.total);
    expect(coneViolation(part, result.pieces).maximum).toBe(0);
    results.push(result);
  }
  for (const a of results) for (const b of results) expect(a.lowerBound).toBeLessThanOrEqual(b.objective.total);
});

it("kind: exact systems for small problems, the one over differences for thousands of samples", () => {
  const { features, labels } = clouds(5, 10, 5, 2);
  const gates = sampleGates(features, { count: 5, rng: createRng(3) });
  const program = createProgram(
    features,
    { kind: "classes", labels, classCount: 2 },
    { gates, norm: "l2", radius: 0, beta: 1e-2 },
  );
  const kind = (gateCount: number, terms: number, radius: number) =>
    NewtonSystem.kind({ ...program, gateCount, radius }, terms, 900);
  expect(kind(200, 500, 0)).toBe("terms");
  expect(kind(100, 5000, 0)).toBe("pieces");
  expect(kind(500, 3500, 0)).toBe("terms");
  expect(kind(500, 5000, 0)).toBe("differences");
  expect(kind(70, 600, 0.1)).toBe("pieces");
  expect(kind(200, 600, 0.1)).toBe("terms");
  expect(kind(200, 5000, 0.1)).toBe("differences");
});
