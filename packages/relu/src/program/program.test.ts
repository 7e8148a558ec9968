import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { normExponent, type PerturbationNorm } from "../ballSupport.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { clouds, pointInBall } from "../testing/problems.js";
import { gatedObjective, meanLoss, sampleLoss } from "./objective.js";
import { type Answers, createProgram, type ProgramLoss, takeProgramSamples } from "./program.js";

const d = 4;
const radius = 0.4;

/** The point of the ball where z'a is largest, by Hoelder's equality. */
function steepest(a: Float64Array, norm: PerturbationNorm): Float64Array {
  const q = normExponent(norm);
  if (q === Number.POSITIVE_INFINITY) return a.map((t) => radius * Math.sign(t));
  if (q === 1) {
    const top = a.reduce((best, t, k) => (Math.abs(t) > Math.abs(a[best]) ? k : best), 0);
    return a.map((t, k) => (k === top ? radius * Math.sign(t) : 0));
  }
  const z = a.map((t) => Math.sign(t) * Math.abs(t) ** (1 / (q - 1)));
  const size = z.reduce((sum, t) => sum + Math.abs(t) ** q, 0) ** (1 / q);
  return z.map((t) => (radius * t) / size);
}

/** The plain loss of one score against +-1 or a target. */
function plainLoss(loss: ProgramLoss, score: number, target: number): number {
  if (loss === "hinge") return Math.max(0, 1 - target * score);
  return loss === "logistic" ? Math.log(1 + Math.exp(-target * score)) : (score - target) ** 2 / 2;
}

describe.each(["hinge", "logistic", "squared"] as const)("%s", (loss) => {
  it.each(["l1", "l2", "linf", 3] as const)(
    "equals the worst plain loss over the %s ball, gates held fixed",
    (norm) => {
      const { features, labels, rng } = clouds(2, 12, d, 2);
      const gates = sampleGates(features, { count: 5, rng: createRng(1) });
      const answers: Answers = { kind: "classes", labels, classCount: 2 };
      const program = createProgram(features, answers, { gates, norm, radius, beta: 0.1, loss });
      for (let i = 0; i < program.samples; i++) {
        const sums = Float64Array.from({ length: d + 1 }, () => rng.normal());
        const worst = sampleLoss(program, i, sums, new Float64Array(d + 1));
        const x = program.inputs.subarray(i * (d + 1), (i + 1) * (d + 1));
        const at = (z: Float64Array) =>
          plainLoss(
            loss,
            sums.reduce((sum, t, k) => sum + t * (x[k] + (z[k] ?? 0)), 0),
            program.targets[i],
          );
        for (let trial = 0; trial < 300; trial++)
          expect(at(pointInBall(rng, d, norm, radius))).toBeLessThan(worst + 1e-9);
        const best = steepest(sums.subarray(0, d), norm);
        expect(Math.max(at(best), at(best.map((t) => -t)))).toBeCloseTo(worst, 9);
      }
    },
  );

  it("two columns -t/2 and t/2 and classes as pairs: the two-class objective is that of the pair", () => {
    const { features, labels, rng } = clouds(3, 15, d, 2);
    const gates = sampleGates(features, { count: 4, rng: createRng(1) });
    const options = { gates, norm: "l2" as const, radius, beta: 0.1, loss };
    const one = createProgram(features, { kind: "classes", labels, classCount: 2 }, options);
    if (loss === "squared") return;
    const three = createProgram(features, { kind: "classes", labels, classCount: 3 }, options);
    const t = Float64Array.from({ length: gates.count * (d + 1) }, () => rng.normal());
    const columns = new Float64Array(3 * t.length);
    for (let p = 0; p < gates.count; p++) {
      for (let k = 0; k <= d; k++) {
        columns[(p * 3 + 0) * (d + 1) + k] = -t[p * (d + 1) + k] / 2;
        columns[(p * 3 + 1) * (d + 1) + k] = t[p * (d + 1) + k] / 2;
      }
    }
    // the third class adds pairs of its own; with a third class far below they vanish, so compare the regularisers and bound the loss
    expect(gatedObjective(three, columns).regulariser).toBeCloseTo(gatedObjective(one, t).regulariser, 12);
    expect(meanLoss(three, columns)).toBeGreaterThan(meanLoss(one, t));
  });
});

it("a subset of samples has the losses of those samples", () => {
  const { features, labels, rng } = clouds(4, 20, d, 3);
  const gates = sampleGates(features, { count: 5, rng: createRng(1) });
  const options = { gates, norm: "linf" as const, radius, beta: 0.1 };
  const program = createProgram(features, { kind: "classes", labels, classCount: 3 }, options);
  const pieces = Float64Array.from({ length: 5 * 3 * (d + 1) }, () => rng.normal());
  const parts = [0, 1].map((rest) => Array.from({ length: 10 }, (_, i) => 2 * i + rest));
  const losses = parts.map((picked) => meanLoss(takeProgramSamples(program, picked), pieces));
  expect((losses[0] + losses[1]) / 2).toBeCloseTo(meanLoss(program, pieces), 12);
});
