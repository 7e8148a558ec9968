// Every (task, loss, ball, regulariser) cell of the ReLU program against Clarabel (fixtures/reluCones.json says how it was made).

import { createRng } from "@worstcase/core";
import { expect, it } from "vitest";
import { fixtureCells, fixtureProblem } from "../testing/fixtures.js";
import { pointInBall } from "../testing/problems.js";
import { coneViolation, reluObjective } from "./feasible.js";
import { type FitReluOptions, fitRelu, fitReluRegression, type ReluResult } from "./fitRelu.js";
import { networkScores } from "./reluNetwork.js";

const cells = fixtureCells("reluCones.json") as (ReturnType<typeof fixtureCells>[number] & {
  readonly openGates: number;
})[];
const name = (cell: (typeof cells)[number]) =>
  `${cell.task} ${cell.loss} ${cell.norm} r=${cell.radius} ${cell.regulariser}`;

async function solve(cell: (typeof cells)[number], more: Partial<FitReluOptions>) {
  const { features, answers, options, program } = fixtureProblem(cell);
  const result =
    answers.kind === "classes"
      ? await fitRelu(features, answers.labels, answers.classCount, { ...options, ...more })
      : await fitReluRegression(features, answers.targets, { ...options, ...more });
  return { result, program, features };
}

it.each(cells.map((cell) => [name(cell), cell] as const))("%s: objective within 1e-6", async (_, cell) => {
  const { result, program, features } = await solve(cell, { tolerance: 1e-7 });
  expect(Math.abs(result.objective.total - cell.objective)).toBeLessThan(1e-6 * cell.objective);
  expect(result.lowerBound).toBeLessThan(cell.objective * (1 + 1e-7));
  expect(result.gap).toBeLessThan(2e-6);
  expect(result.cones.open).toBe(cell.openGates);
  expect(result.constraintViolation).toEqual({ maximum: 0, mean: 0 });
  expect(coneViolation(program, result.pieces).maximum).toBe(0);
  expect(reluObjective(program, result.pieces).total).toBe(result.objective.total);
  checkConstantGates(result, cell);
  // The network equals the convex model at the samples.
  const scores = networkScores(result.network, features).data;
  const { samples, outputs, width, gateCount, bits, inputs } = program;
  const half = result.pieces.length / 2;
  for (let i = 0; i < samples; i++) {
    for (let o = 0; o < outputs; o++) {
      let expected = 0;
      for (let p = 0; p < gateCount; p++) {
        if (bits[i * gateCount + p] === 0) continue;
        const from = (p * outputs + o) * width;
        for (let k = 0; k < width; k++) {
          expected += inputs[i * width + k] * (result.pieces[from + k] - result.pieces[half + from + k]);
        }
      }
      const score = program.task === "two-class" ? scores[2 * i + 1] - scores[2 * i] : scores[i * outputs + o];
      expect(Math.abs(score - expected)).toBeLessThan(1e-10);
    }
  }
});

// math.md 23, item 10: the robust cones hold, so no neuron changes its sign on the ball around any sample.
function checkConstantGates(result: ReluResult, cell: (typeof cells)[number]) {
  const { features } = fixtureProblem(cell);
  const [samples, d] = features.shape;
  const { network } = result;
  const rng = createRng(1);
  const norm = cell.norm === "3" ? 3 : cell.norm;
  let flips = 0;
  for (let trial = 0; trial < 10_000; trial++) {
    const i = rng.integer(samples);
    const z = pointInBall(rng, d, norm, cell.radius);
    for (let j = 0; j < network.neurons; j++) {
      const from = j * (d + 1);
      let centre = network.first[from + d];
      let moved = centre;
      for (let k = 0; k < d; k++) {
        centre += network.first[from + k] * features.data[i * d + k];
        moved += network.first[from + k] * (features.data[i * d + k] + z[k]);
      }
      if (centre * moved < 0 && Math.abs(moved) > 1e-12) flips++;
    }
  }
  expect(network.neurons).toBeGreaterThan(0);
  expect(flips).toBe(0);
}
