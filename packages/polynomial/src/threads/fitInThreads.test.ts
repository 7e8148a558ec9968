import { createRng } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { normals } from "../../test/support.js";
import { fitOneVersusAll } from "../oneVersusAll.js";
import { robustObjective } from "../robustObjective.js";
import { fitInThreads } from "./fitInThreads.js";

/** Three Gaussian classes around the corners of a triangle, in `d` features. */
function threeClasses(n: number, d: number) {
  const rng = createRng(5);
  const data = normals(rng, n * d, 0.4);
  const labels = Int32Array.from({ length: n }, (_, i) => i % 3);
  for (let i = 0; i < n; i++) data[i * d + labels[i]] += 1.5;
  return { points: { data, shape: [n, d] }, labels };
}

const options = { radius: 0.1, beta: 1e-2, tolerance: 1e-2, method: "factored" as const };

describe("the number of threads and where the features lie change nothing", () => {
  const { points, labels } = threeClasses(300, 5);
  const expected = fitOneVersusAll(points, labels, 3, options);
  const same = async (fitted: ReturnType<typeof fitInThreads>, workers: number) => {
    const fit = await fitted;
    expect(fit.workers).toBe(workers);
    expect(fit.objective).toBe(expected.objective);
    expect(fit.lowerBound).toBe(expected.lowerBound);
    fit.classes.forEach((own, c) => {
      expect(own.class).toBe(c);
      expect(own.neurons).toEqual(expected.classes[c].neurons);
      expect(own.worstCase(points, new Float64Array(300).fill(1), 0.1).values).toEqual(
        expected.classes[c].worstCase(points, new Float64Array(300).fill(1), 0.1).values,
      );
    });
  };

  test("none, one, two threads", async () => {
    for (const workers of [0, 1, 2]) await same(fitInThreads(points, labels, 3, { ...options, workers }), workers);
  });

  test("a stream in chunks that divide nothing evenly", async () => {
    const stream = {
      samples: 300,
      dimension: 5,
      read: async (from: number, count: number) => ({
        data: points.data.slice(from * 5, (from + count) * 5),
        shape: [count, 5],
      }),
    };
    await same(fitInThreads(stream, labels, 3, { ...options, chunkRows: 77, workers: 2 }), 2);
  });

  test("both ends of the gap hold for the data", () => {
    for (const own of expected.classes) {
      const signs = Float64Array.from(labels, (label) => (label === own.class ? 1 : -1));
      const { total } = robustObjective(own.quadratic, points, signs, 0.1, new Float64Array(300).fill(1 / 300), 1e-2);
      expect(Math.abs(total - own.objective.total)).toBeLessThan(1e-12);
      expect(own.lowerBound).toBeLessThan(total);
      expect(own.gap).toBeLessThan(1e-2);
    }
  });
});

test("a float32 array trains as its values in float64", async () => {
  const { points, labels } = threeClasses(200, 4);
  const single = Float32Array.from(points.data);
  const one = await fitInThreads({ data: single, shape: [200, 4] }, labels, 3, { ...options, workers: 1 });
  const two = fitOneVersusAll({ data: Float64Array.from(single), shape: [200, 4] }, labels, 3, options);
  expect(one.objective).toBe(two.objective);
  expect(one.lowerBound).toBe(two.lowerBound);
});

test("a first stage on fewer samples leads to the same certified answer", () => {
  // 20,000 samples: 2,500 first. The gap is a certificate for all of them.
  const { points, labels } = threeClasses(20_000, 3);
  const signs = Float64Array.from(labels, (label) => (label === 0 ? 1 : -1));
  const fit = fitOneVersusAll(points, labels, 3, { ...options, onlyClasses: [0] }).classes[0];
  expect(fit.status).toBe("optimal");
  const weights = new Float64Array(20_000).fill(1 / 20_000);
  const { total } = robustObjective(fit.quadratic, points, signs, 0.1, weights, 1e-2);
  expect((total - fit.lowerBound) / total).toBeLessThan(1e-2);
});

describe("misuse and failures", () => {
  const { points, labels } = threeClasses(60, 3);
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  const stream = (read: (from: number, count: number) => Promise<{ data: Float64Array; shape: number[] }>) => ({
    samples: 60,
    dimension: 3,
    read,
  });

  test("wrong arguments", async () => {
    await expect(fitInThreads(points, labels, 3, { ...options, workers: -1 })).rejects.toThrow(code("setting"));
    await expect(fitInThreads(points, labels, 3, { ...options, onlyClasses: [3] })).rejects.toThrow(code("setting"));
    await expect(fitInThreads(points, labels.subarray(1), 3, options)).rejects.toThrow(code("shape"));
    const bad = { data: new Float64Array(180).fill(Number.NaN), shape: [60, 3] };
    await expect(fitInThreads(bad, labels, 3, options)).rejects.toThrow(code("data"));
    const idle = stream(async () => points);
    await expect(fitInThreads(idle, labels, 3, { ...options, workers: 0 })).rejects.toThrow(code("unsupported"));
  });

  test("a stream that fails, gives NaN, or gives too few rows", async () => {
    const broken = stream(async () => {
      throw new Error("disk on fire");
    });
    await expect(fitInThreads(broken, labels, 3, { ...options, workers: 1 })).rejects.toThrow("disk on fire");
    const holes = stream(async (_, count) => ({
      data: new Float64Array(3 * count).fill(Number.NaN),
      shape: [count, 3],
    }));
    await expect(fitInThreads(holes, labels, 3, { ...options, workers: 1 })).rejects.toThrow(code("data"));
    const short = stream(async () => ({ data: new Float64Array(3), shape: [1, 3] }));
    await expect(fitInThreads(short, labels, 3, { ...options, workers: 1 })).rejects.toThrow(code("shape"));
  });

  test("an abort ends the threads", async () => {
    const controller = new AbortController();
    const fitted = fitInThreads(points, labels, 3, {
      ...options,
      tolerance: 1e-9,
      workers: 1,
      signal: controller.signal,
      onEvent: () => controller.abort(),
    });
    await expect(fitted).rejects.toThrow(code("aborted"));
  });
});
