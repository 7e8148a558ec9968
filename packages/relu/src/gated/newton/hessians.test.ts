// The structured factor solves the same equations as the dense one.

import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { sampleGates } from "../../patterns/sampleGates.js";
import { createProgram, type ProgramLoss, type Regulariser } from "../../program/program.js";
import { clouds } from "../../testing/problems.js";
import { DenseHessian } from "./denseHessian.js";
import { LowRankHessian } from "./lowRankHessian.js";
import { SmoothTerms } from "./smoothTerms.js";

const cases: [ProgramLoss, "l1" | "l2" | "linf" | 3, number, Regulariser][] = [
  ["hinge", "l2", 0.2, "group"],
  ["hinge", "l2", 0, "group"],
  ["hinge", "linf", 0.1, "group"],
  ["logistic", "l1", 0.3, "group"],
  ["logistic", "l2", 0.2, "l1"],
  ["squared", 3, 0.2, "group"],
  ["squared", "linf", 0.1, "l1"],
];

it.each(cases)("%s, %s ball of %s, %s", (loss, norm, radius, regulariser) => {
  const { features, labels } = clouds(5, 25, 4, 2);
  const gates = sampleGates(features, { count: 9, rng: createRng(2) });
  const beta = 0.02;
  const answers = { kind: "classes", labels, classCount: 2 } as const;
  const program = createProgram(features, answers, { gates, norm, radius, beta, loss, regulariser });
  const terms = new SmoothTerms(program);
  const rng = createRng(4);
  const size = gates.count * program.width;
  const random = (scale: number) => Float64Array.from({ length: size }, () => scale * rng.normal());
  const point = random(0.3);
  const mu = 0.05;
  const groupLength = regulariser === "l1" ? 1 : program.width;
  const tau = new Float64Array(size / groupLength);
  const rho = random(1);
  for (let g = 0; g < tau.length; g++) {
    let [square, dual] = [mu * mu, 0];
    for (let k = g * groupLength; k < (g + 1) * groupLength; k++) {
      square += point[k] ** 2;
      dual += rho[k] ** 2;
    }
    tau[g] = Math.sqrt(square);
    for (let k = g * groupLength; k < (g + 1) * groupLength; k++) rho[k] *= 0.9 / Math.sqrt(dual);
  }
  const sums = new Float64Array(program.samples * program.width);
  for (let i = 0; i < program.samples; i++) {
    for (let p = 0; p < gates.count; p++) {
      if (program.bits[i * gates.count + p] === 0) continue;
      for (let k = 0; k < program.width; k++) sums[i * program.width + k] += point[p * program.width + k];
    }
  }
  const all = Int32Array.from({ length: gates.count }, (_, p) => p);
  const right = random(1);
  const solutions = [DenseHessian, LowRankHessian].map((Solver) => {
    const solver = new Solver(program, all, chooseKernels());
    expect(solver.factorise({ groupLength, point, rho, tau }, (sink) => terms.curvatures(sums, mu, sink))).toBe(true);
    const solution = right.slice();
    solver.solve(solution);
    return solution;
  });
  const scale = Math.max(...solutions[0].map(Math.abs));
  solutions[0].forEach((t, k) => {
    expect(Math.abs(t - solutions[1][k])).toBeLessThan(1e-8 * scale);
  });
});
