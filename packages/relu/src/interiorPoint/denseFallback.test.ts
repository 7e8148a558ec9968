// A system over terms is only a preconditioner where there is a ball; where its conjugate gradients end short of the tolerance, the dense
// system must take over. The instance was found by search: 20 samples, 31 gates, three classes (order 930, above DENSE_ORDER).

import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, it, vi } from "vitest";
import { distinctRows, findOpenCones, openConesSize } from "../network/openCones.js";
import { takeGates } from "../network/takeGates.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { createProgram } from "../program/program.js";
import { clouds } from "../testing/problems.js";
import { NewtonSystem } from "./newtonSystem.js";
import { solveInteriorPoint } from "./solveInteriorPoint.js";

const LARGEST_DENSE = 4000;

it("a dense system follows where conjugate gradients stall", async () => {
  const tolerance = 1e-7;
  const { features, labels } = clouds(4, 20, 4, 3);
  const gates = sampleGates(features, { count: 31, rng: createRng(2) });
  const options = { gates, norm: "l2", radius: 0.03, beta: 0.01 } as const;
  const program = createProgram(features, { kind: "classes", labels, classCount: 3 }, options);
  const kernels = chooseKernels();
  const coneSamples = distinctRows(program);
  const { directions, open } = await findOpenCones(program, coneSamples, kernels.workspace(openConesSize(program)));
  expect(open.length).toBe(31);
  const common = { kernels, tolerance, directions, coneSamples, where: "test" };
  let steps = 0;
  let before = 0;
  const spy = vi.spyOn(NewtonSystem, "kind");
  const whole = await solveInteriorPoint(takeGates(program, open), {
    ...common,
    maximumIterations: 300,
    onIteration: (iteration) => {
      steps = iteration;
      if (before === 0 && spy.mock.calls.some((call) => call[2] === LARGEST_DENSE)) before = steps - 1;
    },
  });
  spy.mockRestore();
  const gapOf = ({ objective, lowerBound }: typeof whole) => (objective.total - lowerBound) / objective.total;
  expect(before).toBeGreaterThan(0);
  expect(steps).toBeGreaterThan(before);
  // The first attempt by itself ends short of the tolerance; both enclose the same optimum.
  const alone = await solveInteriorPoint(takeGates(program, open), { ...common, maximumIterations: before });
  expect(gapOf(alone)).toBeGreaterThan(tolerance);
  expect(gapOf(whole)).toBeLessThanOrEqual(tolerance);
  expect(whole.lowerBound).toBeLessThanOrEqual(alone.objective.total);
  expect(alone.lowerBound).toBeLessThanOrEqual(whole.objective.total);
});
