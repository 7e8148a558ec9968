import { createRng, normOf } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "../evaluateAttack.js";
import { describeAttack } from "../testing/describeAttack.js";
import { linearToy } from "../testing/toyClassifiers.js";
import { imageLayout, randomWindow, windowSides } from "./imageLayout.js";
import { square } from "./square.js";
import { tile } from "./tile.js";
import { moveWindow, startWithTiles } from "./windowMoves.js";

describeAttack({ name: "square", create: () => square({ queries: 60 }) });
describeAttack({ name: "square with restarts", create: () => square({ queries: 10, restarts: 3 }) });

describe("square", () => {
  it("reaches the exact worst case of a linear model in linf, coordinate by coordinate", async () => {
    const weights = [
      [0.9, -1.2, 0.3, 0.4, 2, -0.5],
      [-0.3, 0.8, 0.7, -1.1, 0.5, 0.1],
    ];
    const model = linearToy(weights, [9, 0]);
    const data = Float64Array.from({ length: 6 }, (_, k) => k / 10);
    const batch = { inputs: { data, shape: [1, 6] }, labels: Int32Array.of(0), indices: Int32Array.of(0) };
    const options = { budget: { norm: "linf", epsilon: 0.2 } as const, rng: createRng(1) };
    const result = await evaluateAttack(model, batch, square({ queries: 400 }), options);
    const margin = data.reduce((sum, x, k) => sum + (weights[1][k] - weights[0][k]) * x, -9);
    const worst = weights[0].reduce((sum, w, k) => sum + Math.abs(weights[1][k] - w), 0);
    expect(result.loss[0]).toBeCloseTo(margin + 0.2 * worst, 10);
    // the clean sample twice, by the harness and by the attack, the first point, the queries and the final point
    expect(result.calls).toEqual({ forward: 2 + 1 + 400 + 1, gradient: 0 });
  });

  it("works on images of several channels", async () => {
    const rng = createRng(2);
    const weights = [0, 1].map(() => Array.from({ length: 6 * 7 * 3 }, () => rng.normal()));
    const flat = linearToy(weights, [0, 0], { lower: 0, upper: 1 });
    const model = { ...flat, inputShape: [6, 7, 3] };
    const data = Float32Array.from({ length: 4 * 126 }, () => rng.uniform());
    const inputs = { data, shape: [4, 6, 7, 3] };
    const logits = await model.logits(inputs);
    const labels = Int32Array.from({ length: 4 }, (_, i) => (logits.data[2 * i] >= logits.data[2 * i + 1] ? 0 : 1));
    const batch = { inputs, labels, indices: Int32Array.of(0, 1, 2, 3) };
    for (const [norm, epsilon] of [
      ["linf", 0.3],
      ["l2", 3],
      ["l1", 20],
    ] as const) {
      const result = await evaluateAttack(model, batch, square({ queries: 500 }), {
        budget: { norm, epsilon },
        rng: createRng(3),
      });
      expect(result.warnings).toEqual([]);
      expect(Array.from(result.fooled)).toEqual([1, 1, 1, 1]);
    }
  });

  it.each([{ queries: 0 }, { firstShare: 0 }, { firstShare: 2 }, { restarts: 0 }])(
    "refuses settings %o",
    (settings) => {
      expect(() => square(settings)).toThrow(expect.objectContaining({ code: "setting" }));
    },
  );
});

describe("layout", () => {
  it("sees images, matrices and rows of features", () => {
    expect(imageLayout([4, 5, 3])).toEqual({ height: 4, width: 5, channels: 3 });
    expect(imageLayout([4, 5])).toEqual({ height: 4, width: 5, channels: 1 });
    expect(imageLayout([20])).toEqual({ height: 1, width: 20, channels: 1 });
  });

  it("has windows of the wanted share inside the image", () => {
    const image = imageLayout([32, 32, 3]);
    // sqrt(0.8 * 1024) = 28.6
    expect(windowSides(image, 0.8, 1, false)).toEqual({ height: 29, width: 29 });
    expect(windowSides(image, 1e-9, 3, true)).toEqual({ height: 3, width: 3 });
    expect(windowSides(imageLayout([10]), 0.3, 1, false)).toEqual({ height: 1, width: 3 });
    const rng = createRng(1);
    const seen = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const window = randomWindow(image, { height: 29, width: 29 }, rng);
      seen.add(window.top);
      expect(window.top + window.height).toBeLessThanOrEqual(32);
    }
    expect([...seen].sort()).toEqual([0, 1, 2, 3]);
  });
});

describe.each(["l2", "l1"] as const)("moves in %s", (norm) => {
  it("tiles have unit length and halves of opposite sign", () => {
    for (const [height, width] of [
      [5, 5],
      [3, 3],
      [2, 2],
      [6, 4],
      [1, 7],
      [1, 1],
    ]) {
      for (const transposed of [false, true]) {
        const values = tile(height, width, transposed, norm);
        expect(values).toHaveLength(height * width);
        expect(normOf(values, norm)).toBeCloseTo(1, 12);
      }
    }
    const half = norm === "l2" ? Math.SQRT1_2 : 0.5;
    const pair = tile(2, 1, false, norm);
    expect(pair[0]).toBeCloseTo(half, 12);
    expect(pair[1]).toBeCloseTo(-half, 12);
    expect(Array.from(tile(5, 5, true, norm))).not.toEqual(Array.from(tile(5, 5, false, norm)));
    // the lower half of 6 x 3 has 3 rows: 1 + 1 / 2^power in the middle, 1 / 2^power around it
    const six = tile(6, 3, false, norm);
    expect(six[13] / six[10]).toBeCloseTo(norm === "l2" ? 5 : 17, 9);
  });

  it("moving a window keeps the length, or spends what is left of the budget", () => {
    const rng = createRng(8);
    const channels = norm === "l2" ? 2 : 1;
    const layout = imageLayout([10, 10, channels]);
    const displacement = new Float64Array(100 * channels);
    startWithTiles(displacement, layout, rng, norm);
    expect(displacement.every((v) => v !== 0)).toBe(true);
    const scale = 0.5 / normOf(displacement, norm);
    for (let k = 0; k < displacement.length; k++) displacement[k] *= scale;
    moveWindow(displacement, layout, { height: 3, width: 3 }, 0.5, rng, norm);
    expect(normOf(displacement, norm)).toBeCloseTo(0.5, 9);
    moveWindow(displacement, layout, { height: 5, width: 5 }, 0.8, rng, norm);
    expect(normOf(displacement, norm)).toBeCloseTo(0.8, 9);
  });
});
