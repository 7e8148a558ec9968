// Every (task, loss, ball, regulariser) cell of the ReLU program against Clarabel (fixtures/reluCones.json says how it was made).

import { expect, it } from "vitest";
import { type FitReluOptions, fitRelu, fitReluRegression } from "../network/fitRelu.js";
import { fixtureCells, fixtureProblem } from "../testing/fixtures.js";

const cells = fixtureCells("reluCones.json").filter(({ norm }) => norm !== "3");

it.each(
  // q = 3 takes a minute for each: its projections are iterative. The steps are tested with it in admmSteps.test.ts.
  cells.map((cell) => {
    return [`${cell.task} ${cell.loss} ${cell.norm} r=${cell.radius} ${cell.regulariser}`, cell] as const;
  }),
)("%s: ADMM comes close, with a certified gap", async (_, cell) => {
  const { features, answers, options } = fixtureProblem(cell);
  const more: FitReluOptions = { ...options, method: "admm", tolerance: 1e-3, maximumIterations: 1500 };
  const { objective, lowerBound, gap, constraintViolation, method } =
    answers.kind === "classes"
      ? await fitRelu(features, answers.labels, answers.classCount, more)
      : await fitReluRegression(features, answers.targets, more);
  expect(method).toBe("admm");
  expect(constraintViolation).toEqual({ maximum: 0, mean: 0 });
  expect(objective.total).toBeGreaterThan(cell.objective * (1 - 1e-6));
  expect(lowerBound).toBeLessThan(cell.objective * (1 + 1e-7));
  expect(objective.total).toBeLessThan(cell.objective * (1 + 5e-3));
  expect(gap).toBeLessThan(5e-2);
});
