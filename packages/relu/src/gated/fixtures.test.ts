// Every (task, loss, ball, regulariser) cell against Clarabel (fixtures/gated.json says how it was made).

import { createRng } from "@worstcase/core";
import { expect, it } from "vitest";
import { gatedObjective } from "../program/objective.js";
import { fixtureCells, fixtureProblem } from "../testing/fixtures.js";
import { asOneColumn } from "./firstOrder.js";
import { type FitGatedReluOptions, fitGatedRegression, fitGatedRelu } from "./fitGatedRelu.js";

const cells = fixtureCells();

async function solve(cell: (typeof cells)[number], more: Partial<FitGatedReluOptions>) {
  const { features, answers, options, program } = fixtureProblem(cell);
  const result =
    answers.kind === "classes"
      ? await fitGatedRelu(features, answers.labels, answers.classCount, { ...options, ...more })
      : await fitGatedRegression(features, answers.targets, { ...options, ...more });
  const { weights } = result.model;
  return { result, program, pieces: cell.task === "two-class" ? asOneColumn(weights, program.width) : weights };
}

const name = (cell: (typeof cells)[number]) =>
  `${cell.task} ${cell.loss} ${cell.norm} r=${cell.radius} ${cell.regulariser}`;

it.each(cells.map((cell) => [name(cell), cell] as const))("%s: objective within 1e-6", async (_, cell) => {
  const { result, program, pieces } = await solve(cell, { tolerance: 2e-7 });
  expect(result.status).toBe("optimal");
  const objective = gatedObjective(program, pieces).total;
  expect(Math.abs(objective - result.objective.total)).toBeLessThan(1e-12);
  expect(Math.abs(objective - cell.objective)).toBeLessThan(1e-6 * cell.objective);
  expect(result.lowerBound).toBeLessThan(cell.objective * (1 + 1e-7));
});

it("70 cells: 7 losses by task, 5 balls, 2 regularisers", () => {
  expect(cells.length).toBe(70);
  expect(new Set(cells.map(name)).size).toBe(70);
});

// The proximal method is for large problems: group norms, and balls other than l1 unless the loss is the hinge, converge to 1e-2 here.
const some = cells.filter(
  (cell, k) => cell.regulariser === "group" && (cell.norm !== "l1" || cell.loss === "hinge") && k % 8 < 5,
);
it.each(some.map((cell) => [name(cell), cell] as const))("%s: proximal steps bracket the optimum", async (_, cell) => {
  const { result } = await solve(cell, { tolerance: 1e-2, maximumIterations: 3000, method: "first-order" });
  expect(result.method).toBe("first-order");
  expect(result.status).toBe("optimal");
  expect(result.lowerBound).toBeLessThan(cell.objective * (1 + 1e-7));
  expect(result.objective.total).toBeGreaterThan(cell.objective * (1 - 1e-7));
  expect(result.objective.total).toBeLessThan(cell.objective * 1.011);
});

it("no point of any program lies below its certified bound, and no bound above its optimum", async () => {
  const rng = createRng(3);
  for (const cell of cells.filter((_, k) => k % 7 === 0)) {
    const { result, program } = await solve(cell, { tolerance: 0.3 });
    for (let trial = 0; trial < 20; trial++) {
      const scale = 10 ** (1 - 4 * rng.uniform());
      const pieces = new Float64Array(program.gateCount * program.outputs * program.width);
      for (let k = 0; k < pieces.length; k++) pieces[k] = scale * rng.normal();
      expect(gatedObjective(program, pieces).total).toBeGreaterThan(result.lowerBound);
    }
    expect(cell.objective).toBeGreaterThan(result.lowerBound * (1 - 1e-7));
  }
});
