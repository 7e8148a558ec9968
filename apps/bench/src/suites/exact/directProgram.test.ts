// The direct form is the same program: its optimum, by our own interior point for semidefinite programs, is the trainer's.

import { fitPolynomial } from "@worstcase/polynomial";
import { solve } from "@worstcase/sdp";
import { expect, it } from "vitest";
import { directProgram, weightMatrices } from "./directProgram.js";
import { synth } from "./instances.js";
import { repairedObjective } from "./peers.js";

it("agrees with the trainer, as a program and after repair", () => {
  const instance = synth(3, 16);
  const { points, labels, radius, beta } = instance;
  const fit = fitPolynomial(points, labels, { radius, beta, method: "exact", tolerance: 1e-8 });
  const program = directProgram(instance);
  const result = solve(program);
  expect(result.status).toBe("optimal");
  if (result.status !== "optimal") return;
  const { positive, negative } = weightMatrices(result.point.x, 3);
  expect(result.point.x.reduce((sum, x, k) => sum + x * program.objective[k]!, 0) / fit.objective.total).toBeCloseTo(
    1,
    6,
  );
  expect(repairedObjective(positive, negative, instance) / fit.objective.total).toBeCloseTo(1, 5);
});
