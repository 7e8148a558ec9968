import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError } from "@worstcase/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cachedFeatures } from "./featureCache.js";
import { randomBatch, toyExtractor } from "./testing/toyExtractor.js";

describe("cachedFeatures", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-cache-"));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const images = randomBatch([10, 4], 1);

  it("extracts once, then reads the same values", async () => {
    const extractor = toyExtractor([4], 3);
    const first = await cachedFeatures(extractor, images, { folder, chunk: 4 });
    expect([first.fromCache, extractor.calls]).toEqual([false, 3]);
    const second = await cachedFeatures(extractor, images, { folder });
    expect([second.fromCache, extractor.calls]).toEqual([true, 3]);
    expect(second.data).toEqual(first.data);
    expect(first.data).toEqual(Float32Array.from((await extractor.features(images)).data));
  });

  it("extracts again for other images or another backbone", async () => {
    await cachedFeatures(toyExtractor([4], 3, 1), images, { folder });
    expect((await cachedFeatures(toyExtractor([4], 3, 2), images, { folder })).fromCache).toBe(false);
    expect((await cachedFeatures(toyExtractor([4], 3, 1), randomBatch([10, 4], 2), { folder })).fromCache).toBe(false);
  });

  it("replaces a damaged file and leaves no half-written one", async () => {
    const extractor = toyExtractor([4], 3);
    const { data } = await cachedFeatures(extractor, images, { folder });
    const [name] = await readdir(folder);
    await writeFile(join(folder, name!), "damaged");
    const again = await cachedFeatures(extractor, images, { folder });
    expect([again.fromCache, again.data]).toEqual([false, data]);
    expect(await readdir(folder)).toEqual([name]);
  });

  it("refuses features that are not finite and stops on abort", async () => {
    const broken = {
      ...toyExtractor([4], 1),
      features: async () => ({ data: Float64Array.of(Number.NaN), shape: [1, 1] }),
    };
    await expect(cachedFeatures(broken, randomBatch([1, 4], 1), { folder })).rejects.toThrow(DataError);
    expect(await readdir(folder)).toEqual([]);
    await expect(cachedFeatures(toyExtractor([4], 3), images, { folder, signal: AbortSignal.abort() })).rejects.toThrow(
      /abort/,
    );
  });
});
