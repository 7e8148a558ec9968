import { createRng } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { reluObjective } from "../network/feasible.js";
import { fitRelu } from "../network/fitRelu.js";
import { fixtureCells, fixtureProblem } from "../testing/fixtures.js";
import { fitReluByPenalty } from "./fitReluByPenalty.js";
import { PenaltyGradient } from "./penaltyGradient.js";

const cells = fixtureCells("reluCones.json");

it.each(cells.map((c) => [`${c.task} ${c.loss} ${c.norm} r=${c.radius} ${c.regulariser}`, c] as const))(
  "gradient against differences: %s",
  (_, cell) => {
    const { program } = fixtureProblem(cell);
    const kernels = chooseKernels();
    const length = 2 * program.gateCount * program.outputs * program.width;
    const workspace = kernels.workspace(
      workspaceSize(length, length, length, ...PenaltyGradient.sizes(program, program.samples)),
    );
    const [point, gradient, other] = [0, 0, 0].map(() => workspace.float64(length));
    const evaluator = new PenaltyGradient(program, program.samples, 2, workspace);
    const rng = createRng(2);
    for (let k = 0; k < length; k++) point[k] = rng.normal();
    const all = Int32Array.from({ length: program.samples }, (_, i) => i);
    evaluator.evaluate(point, all, gradient);
    const expected = gradient.slice();
    for (let trial = 0; trial < 5; trial++) {
      const direction = Float64Array.from({ length }, () => rng.normal());
      const values = [1e-6, -1e-6].map((step) => {
        for (let k = 0; k < length; k++) other[k] = point[k] + step * direction[k];
        return evaluator.evaluate(other, all, gradient);
      });
      const slope = direction.reduce((sum, t, k) => sum + t * expected[k], 0);
      expect((values[0] - values[1]) / 2e-6 / slope).toBeCloseTo(1, 3);
    }
  },
);

it("reports violations, repairs exactly and is never better than the certified trainer", async () => {
  for (const cell of cells.filter((c) => c.task === "two-class" && c.regulariser === "group" && c.norm === "l2")) {
    const { features, answers, options, program } = fixtureProblem(cell);
    if (answers.kind !== "classes") throw new Error("classes expected");
    const result = await fitReluByPenalty(features, answers.labels, 2, { ...options, rng: createRng(1), epochs: 30 });
    expect(result.constraintViolation.maximum).toBeGreaterThan(0);
    expect(reluObjective(program, result.repaired.pieces).total).toBe(result.repaired.objective.total);
    expect(result.repaired.objective.total).toBeGreaterThanOrEqual(cell.objective * (1 - 1e-6));
    const again = await fitReluByPenalty(features, answers.labels, 2, { ...options, rng: createRng(1), epochs: 30 });
    expect(again.pieces).toEqual(result.pieces);
    const ours = await fitRelu(features, answers.labels, 2, options);
    expect(ours.objective.total).toBeLessThanOrEqual(result.repaired.objective.total);
  }
});

it("stops when aborted; refuses bad settings", async () => {
  const { features, answers, options } = fixtureProblem(cells[0]);
  if (answers.kind !== "classes") throw new Error("classes expected");
  const run = (more: object) =>
    fitReluByPenalty(features, answers.labels, 2, { ...options, rng: createRng(1), ...more });
  await expect(run({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  await expect(run({ penalty: 0 })).rejects.toThrow(/options.penalty/);
  await expect(run({ batchSize: 0.5 })).rejects.toThrow(/options.batchSize/);
});
