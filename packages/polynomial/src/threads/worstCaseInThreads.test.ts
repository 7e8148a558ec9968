import { AbortedError, createRng, DataError, SettingError, ShapeError } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { normals } from "../../test/support.js";
import { paperActivation } from "../activation.js";
import { quadraticFromNeurons } from "../quadratic.js";
import { worstCase } from "../worstCase/worstCase.js";
import { worstCaseInThreads } from "./worstCaseInThreads.js";

const [samples, features, neurons] = [2000, 7, 5];
const rng = createRng(11);
const quadratic = quadraticFromNeurons(
  {
    directions: normals(rng, neurons * features, 1),
    weights: normals(rng, neurons, 1),
    activation: paperActivation,
  },
  features,
);
const points = { data: normals(rng, samples * features, 1), shape: [samples, features] };
const labels = Int8Array.from({ length: samples }, () => (rng.uniform() < 0.5 ? 1 : -1));

describe("rows split over threads", () => {
  test.each([0, 1, 2, 3, 9])("%i threads give the bits of one", async (workers) => {
    const expected = worstCase(quadratic, points, labels, 0.4);
    const found = await worstCaseInThreads(quadratic, points, labels, 0.4, { workers });
    // four blocks of rows, so at most four threads
    expect(found.workers).toBe(Math.min(workers, 4));
    expect(found.values).toEqual(expected.values);
    expect(found.multipliers).toEqual(expected.multipliers);
    expect(found.perturbations).toEqual(expected.perturbations);
  });

  test("values only, immutable features, shared float32 points", async () => {
    const data = new Float32Array(new SharedArrayBuffer(4 * samples * features));
    data.set(points.data);
    const batch = { data, shape: [samples, features] };
    const options = { immutable: [0, 3], points: false };
    const expected = worstCase(quadratic, batch, labels, 0.4, options);
    const found = await worstCaseInThreads(quadratic, batch, labels, 0.4, { ...options, workers: 2 });
    expect(found.values).toEqual(expected.values);
    expect(found.perturbations).toBeUndefined();
  });

  test("misuse is named before a thread starts, an abort ends them", async () => {
    const ask = (options: object, batch = points) => worstCaseInThreads(quadratic, batch, labels, 0.4, options);
    await expect(ask({ workers: -1 })).rejects.toThrow(SettingError);
    await expect(ask({ immutable: [7] })).rejects.toThrow(SettingError);
    await expect(ask({ kernels: "abacus" })).rejects.toThrow(SettingError);
    await expect(ask({}, { data: points.data, shape: [features, samples] })).rejects.toThrow(ShapeError);
    const broken = { data: points.data.slice(), shape: [samples, features] };
    broken.data[5] = Number.NaN;
    await expect(ask({}, broken)).rejects.toThrow(DataError);
    await expect(ask({ signal: AbortSignal.abort() })).rejects.toThrow(AbortedError);
    const controller = new AbortController();
    const running = ask({ signal: controller.signal, workers: 2 });
    controller.abort();
    await expect(running).rejects.toThrow(AbortedError);
  });
});
