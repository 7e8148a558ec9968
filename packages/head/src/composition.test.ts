import { createRng, DataError, evaluateLoss, type NumericBatch, ShapeError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { attach, withScaling } from "./attach.js";
import { applyScaling, fitScaling } from "./featureScaling.js";
import { meanJacobianProduct, whiteningOf } from "./jacobian.js";
import { createLinearClassifier } from "./linearHead.js";
import { randomBatch, toyExtractor } from "./testing/toyExtractor.js";

const rng = createRng(4);
const normals = (length: number) => Float64Array.from({ length }, () => rng.normal());
const linear = createLinearClassifier({ weight: normals(15), bias: normals(3) });

/** Checks an input gradient against central differences of the summed loss. */
async function expectTrueGradient(model: typeof linear, inputs: NumericBatch & { data: Float64Array }) {
  const labels = Int32Array.from({ length: inputs.shape[0]! }, (_, i) => i % 3);
  for (const kind of ["cross-entropy", "margin"] as const) {
    const { gradient, loss } = await model.lossGradient(inputs, { kind, labels });
    expect([...loss]).toEqual([...evaluateLoss(await model.logits(inputs), { kind, labels }).loss]);
    for (let k = 0; k < inputs.data.length; k++) {
      const moved = async (step: number) => {
        const data = inputs.data.slice();
        data[k] += step;
        const logits = await model.logits({ data, shape: inputs.shape });
        return evaluateLoss(logits, { kind, labels }).loss.reduce((sum, value) => sum + value, 0);
      };
      expect(gradient.data[k]).toBeCloseTo(((await moved(1e-6)) - (await moved(-1e-6))) / 2e-6, 5);
    }
  }
}

describe("linear head, scaling and attachment", () => {
  const extractor = toyExtractor([2, 2, 1], 5);
  const features = randomBatch([20, 5], 9);
  const whitening = whiteningOf(Float64Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 1 + i : 0.1)));

  it("have the gradients of central differences", async () => {
    await expectTrueGradient(linear, randomBatch([3, 5], 2));
    await expectTrueGradient(withScaling(fitScaling(features, whitening), linear), randomBatch([3, 5], 2));
    await expectTrueGradient(
      attach(extractor, withScaling(fitScaling(features), linear)),
      randomBatch([3, 2, 2, 1], 3),
    );
  });

  it("scale to centre 0 and mean norm 1", () => {
    for (const map of [null, whitening]) {
      const scaled = applyScaling(fitScaling(features, map), features).data;
      let meanNorm = 0;
      const sums = new Float64Array(5);
      for (let i = 0; i < 20; i++) {
        meanNorm += Math.hypot(...scaled.subarray(5 * i, 5 * i + 5)) / 20;
        for (let k = 0; k < 5; k++) sums[k] += scaled[5 * i + k];
      }
      expect(meanNorm).toBeCloseTo(1, 12);
      for (const sum of sums) expect(sum).toBeCloseTo(0, 10);
    }
  });

  it("refuse what cannot work", () => {
    expect(() => fitScaling({ data: new Float64Array(10).fill(2), shape: [2, 5] })).toThrow(/samples that differ/);
    expect(() => fitScaling({ data: Float64Array.of(1, Number.NaN), shape: [2, 1] })).toThrow(DataError);
    expect(() => createLinearClassifier({ weight: new Float64Array(5), bias: new Float64Array(2) })).toThrow(
      ShapeError,
    );
    expect(() => createLinearClassifier({ weight: Float64Array.of(1, Number.NaN), bias: new Float64Array(2) })).toThrow(
      /NaN/,
    );
    expect(() => attach(toyExtractor([4], 3), linear)).toThrow(/3 features/);
  });
});

describe("mean Jacobian product", () => {
  it("is the mean of J J' with J by central differences", async () => {
    const extractor = toyExtractor([6], 3);
    const images = randomBatch([4, 6], 5);
    const expected = new Float64Array(9);
    for (let i = 0; i < 4; i++) {
      const columns = await Promise.all(
        Array.from({ length: 6 }, async (_, k) => {
          const at = async (step: number) => {
            const data = images.data.slice(6 * i, 6 * i + 6);
            data[k] += step;
            return (await extractor.features({ data, shape: [1, 6] })).data;
          };
          const [up, down] = [await at(1e-6), await at(-1e-6)];
          return up.map((value, j) => (value - down[j]) / 2e-6);
        }),
      );
      for (let a = 0; a < 3; a++) {
        for (let b = 0; b < 3; b++) for (const column of columns) expected[3 * a + b] += (column[a] * column[b]) / 4;
      }
    }
    const product = await meanJacobianProduct(extractor, images);
    for (let k = 0; k < 9; k++) expect(product[k]).toBeCloseTo(expected[k], 6);
  });

  it("whitens: W S W = I for the shrunk S", () => {
    const product = Float64Array.of(4, 1, 1, 3);
    const w = whiteningOf(product, 0.1);
    const shrunk = [0.9 * 4 + 0.35, 0.9, 0.9, 0.9 * 3 + 0.35];
    const half = [
      w[0] * shrunk[0] + w[1] * shrunk[2],
      w[0] * shrunk[1] + w[1] * shrunk[3],
      w[2] * shrunk[0] + w[3] * shrunk[2],
      w[2] * shrunk[1] + w[3] * shrunk[3],
    ];
    const identity = [
      half[0] * w[0] + half[1] * w[2],
      half[0] * w[1] + half[1] * w[3],
      half[2] * w[0] + half[3] * w[2],
      half[2] * w[1] + half[3] * w[3],
    ];
    for (const [k, value] of [1, 0, 0, 1].entries()) expect(identity[k]).toBeCloseTo(value, 12);
    expect(() => whiteningOf(new Float64Array(4))).toThrow(/do not depend on the pixels/);
    expect(() => whiteningOf(product, 0)).toThrow(/shrinkage/);
  });
});
