import { createRng, normOf } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withinBudget } from "../minimumNorm.js";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy, quadraticToy } from "../testing/toyClassifiers.js";
import { fab } from "./fab.js";
import { HyperplaneStep } from "./hyperplaneStep.js";

// on a plane the search settles where overshoot and backward step meet: 1 + d with d = 0.05 (1 - 0.9 (1 + d)), about 1.0048, plus the pull
describeAttack({ name: "fab towards targets", create: () => fab(), nearOnLinear: 1.006 });
describeAttack({ name: "fab", create: () => fab({ targets: 0, restarts: 2 }), nearOnLinear: 1.006 });

describe("HyperplaneStep", () => {
  const value = fc.double({ min: 0, max: 1, noNaN: true });
  const weight = fc.double({ min: -2, max: 2, noNaN: true });
  const problem = fc.record({
    t: fc.array(value, { minLength: 5, maxLength: 5 }),
    w: fc.array(weight, { minLength: 5, maxLength: 5 }),
    gap: fc.double({ min: -4, max: 4, noNaN: true }),
  });

  it.each(["linf", "l2", "l1"] as const)("reaches the plane inside the box, or the farthest corner (%s)", (norm) => {
    fc.assert(
      fc.property(problem, ({ t, w, gap }) => {
        const solver = new HyperplaneStep(5, norm, { lower: 0, upper: 1 });
        const length = solver.solve(t, 0, w, 0, gap);
        const reached = w.reduce((sum, v, k) => sum + v * solver.step[k], 0);
        const most = w.reduce((sum, v, k) => sum + Math.abs(v) * (gap * v > 0 ? 1 - t[k] : t[k]), 0);
        expect(Math.abs(reached)).toBeCloseTo(Math.min(Math.abs(gap), most), 6);
        for (let k = 0; k < 5; k++) {
          expect(t[k] + solver.step[k]).toBeGreaterThanOrEqual(-1e-9);
          expect(t[k] + solver.step[k]).toBeLessThanOrEqual(1 + 1e-9);
        }
        expect(length).toBeCloseTo(normOf(solver.step, norm), 9);
      }),
      { numRuns: 300 },
    );
  });

  it.each(["linf", "l2", "l1"] as const)("is the shortest: no random feasible step is shorter (%s)", (norm) => {
    const rng = createRng(5);
    for (let trial = 0; trial < 200; trial++) {
      const t = Array.from({ length: 4 }, () => rng.uniform());
      const w = Array.from({ length: 4 }, () => rng.normal());
      // a random point of the box defines a gap that can be reached
      const other = t.map(() => rng.uniform());
      const gap = w.reduce((sum, v, k) => sum + v * (other[k] - t[k]), 0);
      const solver = new HyperplaneStep(4, norm, { lower: 0, upper: 1 });
      const length = solver.solve(t, 0, w, 0, gap);
      const rival = normOf(
        other.map((v, k) => v - t[k]),
        norm,
      );
      expect(length).toBeLessThanOrEqual(rival * (1 + 1e-12));
    }
  });

  it("is |gap| / ||w||_dual without bounds", () => {
    const w = [3, -4, 0];
    const expected = { linf: 2 / 7, l2: 2 / 5, l1: 2 / 4 };
    for (const norm of ["linf", "l2", "l1"] as const) {
      const solver = new HyperplaneStep(3, norm, "unbounded");
      expect(solver.solve([0, 0, 0], 0, w, 0, -2)).toBeCloseTo(expected[norm], 12);
    }
  });
});

describe("fab", () => {
  const batch = (data: number[], label = 0) => ({
    inputs: { data: Float64Array.from(data), shape: [1, data.length] },
    labels: Int32Array.of(label),
    indices: Int32Array.of(0),
  });

  it("finds the exact distance of a nearest-centre model: its boundaries are planes", async () => {
    const centres = [
      [0.2, 0.2, 0.2],
      [0.9, 0.2, 0.1],
      [0.3, 0.8, 0.9],
      [0.1, 0.9, 0.2],
    ];
    const model = quadraticToy(centres, { lower: 0, upper: 1 });
    const x = [0.35, 0.3, 0.25];
    // distance to the boundary between centres a and b: (||x - b||^2 - ||x - a||^2) / (2 ||b - a||)
    const square = (a: readonly number[]) => a.reduce((sum, v, k) => sum + (v - x[k]) ** 2, 0);
    const exact = Math.min(
      ...centres.slice(1).map((b) => {
        const between = Math.hypot(...b.map((v, k) => v - centres[0][k]));
        return (square(b) - square(centres[0])) / (2 * between);
      }),
    );
    for (const targets of [0, 9]) {
      const found = await fab({ targets }).find(model, batch(x), { norm: "l2", rng: createRng(1) });
      const distance = normOf(
        x.map((v, k) => v - found.data[k]),
        "l2",
      );
      expect(distance / exact).toBeGreaterThanOrEqual(1);
      expect(distance / exact).toBeLessThan(1.006);
    }
  });

  it("stops within reach", async () => {
    const model = linearToy(
      [
        [1, 0],
        [0, 1],
      ],
      [0, 0],
    );
    const counted = { calls: 0 };
    const watched = {
      ...model,
      lossGradient(inputs: Parameters<typeof model.lossGradient>[0], loss: Parameters<typeof model.lossGradient>[1]) {
        counted.calls++;
        return model.lossGradient(inputs, loss);
      },
    };
    await fab().find(watched, batch([0.5, 0.4]), { norm: "linf", rng: createRng(1), reach: 0.1 });
    expect(counted.calls).toBeLessThanOrEqual(2);
    const options = { budget: { norm: "linf", epsilon: 0.01 } as const, rng: createRng(1) };
    const near = await withinBudget(fab()).run(model, batch([0.5, 0.4]), options);
    expect(Array.from(near.data)).toEqual([0.5, 0.4]);
  });

  it.each([{ targets: -1 }, { steps: 0 }, { restarts: 0 }, { largestPull: 2 }, { overshoot: 0.9 }, { backward: -1 }])(
    "refuses settings %o",
    (settings) => {
      expect(() => fab(settings)).toThrow(expect.objectContaining({ code: "setting" }));
    },
  );
});
