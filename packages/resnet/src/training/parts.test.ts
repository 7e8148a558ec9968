import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { gatherImages } from "./augment.js";
import { crossEntropy } from "./loss.js";
import { initialWeights } from "./parameters.js";
import { learningRate } from "./schedule.js";

describe("crossEntropy", () => {
  it("is log of the class count at equal logits, with a gradient that sums to zero", () => {
    const { loss, gradient } = crossEntropy([5, 5, 5, 5], [2], 0.2);
    expect(loss).toBeCloseTo(Math.log(4), 12);
    expect(gradient[2]).toBeCloseTo(0.25 - (0.8 + 0.05), 6);
    expect(gradient.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 6);
  });

  it("has the gradient of its loss (central differences) and survives large logits", () => {
    const rng = createRng(3);
    const logits = Float64Array.from({ length: 12 }, () => 3 * rng.normal());
    const labels = [1, 0, 3];
    const { gradient } = crossEntropy(logits, labels, 0.1);
    for (let i = 0; i < logits.length; i++) {
      const moved = (by: number) =>
        crossEntropy(
          Float64Array.from(logits, (z, j) => z + (i === j ? by : 0)),
          labels,
          0.1,
        ).loss;
      expect(gradient[i]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 6);
    }
    expect(crossEntropy([1e4, -1e4], [1], 0).loss).toBeCloseTo(2e4, 6);
    expect(crossEntropy([Number.NaN, 0], [1], 0).loss).toBeNaN();
  });
});

describe("learningRate", () => {
  it("rises to the peak and falls to nearly zero in one cycle", () => {
    const rates = Array.from({ length: 100 }, (_, step) => learningRate({ kind: "one-cycle", peak: 1 }, step, 100));
    expect(rates[0]).toBeCloseTo(1 / 25, 12);
    expect(rates[25]).toBeCloseTo(1, 12);
    expect(Math.max(...rates)).toBe(rates[25]);
    expect(rates[99]).toBeLessThan(0.02);
  });

  it("drops at the milestones", () => {
    const schedule = { kind: "step", rate: 0.1 } as const;
    expect([0, 74, 75, 89, 90, 99].map((step) => learningRate(schedule, step, 100))).toEqual(
      [0.1, 0.1, 0.01, 0.01, 0.001, 0.001].map((rate) => expect.closeTo(rate, 12)),
    );
  });
});

describe("gatherImages", () => {
  const normalisation = { mean: [0.5, 0.25, 0], std: [0.5, 2, 1] } as const;
  const images = Float32Array.from({ length: 2 * 3072 }, (_, i) => (i % 251) / 251);

  it("normalises and picks without augmentation", () => {
    const result = gatherImages(images, [1], normalisation, null, createRng(0));
    const expected = images
      .slice(3072)
      .map((pixel, i) => (pixel - normalisation.mean[i % 3]!) / normalisation.std[i % 3]!);
    expect(result).toEqual(expected);
  });

  it("flips about half of the images and shifts by whole pixels with black borders", () => {
    const plain = { mean: [0, 0, 0], std: [1, 1, 1] } as const;
    // red holds 1 + row, green 1 + column
    const ramp = new Float32Array(3072);
    for (let p = 0; p < 1024; p++) ramp.set([1 + Math.floor(p / 32), 1 + (p % 32), 0], 3 * p);
    const count = 400;
    const result = gatherImages(ramp, new Int32Array(count), plain, { flip: true, shift: 4 }, createRng(5));
    const shifts = new Map<string, number>();
    let flips = 0;
    for (let i = 0; i < count; i++) {
      const at = (row: number, column: number, c: number) => result[i * 3072 + (row * 32 + column) * 3 + c]!;
      const flipped = at(16, 16, 1) > at(16, 17, 1);
      flips += flipped ? 1 : 0;
      const down = at(16, 16, 0) - 17;
      const right = flipped ? 15 - (at(16, 16, 1) - 1) : at(16, 16, 1) - 17;
      shifts.set(`${down} ${right}`, (shifts.get(`${down} ${right}`) ?? 0) + 1);
      expect(Math.max(Math.abs(down), Math.abs(right))).toBeLessThanOrEqual(4);
      for (const [row, column] of [
        [0, 0],
        [31, 31],
        [3, 20],
      ] as const) {
        const [r, c] = [row + down, column + right];
        const inside = r >= 0 && r < 32 && c >= 0 && c < 32;
        expect(at(row, column, 0)).toBe(inside ? 1 + r : 0);
        expect(at(row, column, 1)).toBe(inside ? 1 + (flipped ? 31 - c : c) : 0);
      }
    }
    expect(Math.abs(flips - count / 2)).toBeLessThan(5 * Math.sqrt(count / 4));
    expect(shifts.size).toBeGreaterThan(70);
  });
});

describe("initialWeights", () => {
  it("draws He-normal filters, unit norms, and each tensor from its own stream", () => {
    const wide = { name: "resnet20", width: 1, finalNorm: false, classCount: 10 } as const;
    const weights = initialWeights(wide, createRng(1));
    const filter = weights.get("layer3.1.conv2.weight")!.data;
    const variance = filter.reduce((sum, value) => sum + value * value, 0) / filter.length;
    expect(variance / (2 / (64 * 9))).toBeGreaterThan(0.97);
    expect(variance / (2 / (64 * 9))).toBeLessThan(1.03);
    expect(weights.get("bn1.weight")!.data.every((value) => value === 1)).toBe(true);
    expect(weights.get("bn1.running_mean")!.data.every((value) => value === 0)).toBe(true);
    const headless = initialWeights({ ...wide, classCount: null }, createRng(1));
    expect(headless.get("layer3.1.conv2.weight")).toEqual(weights.get("layer3.1.conv2.weight"));
  });
});
