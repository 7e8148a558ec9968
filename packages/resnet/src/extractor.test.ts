import { sliceBatch } from "@worstcase/core";
import { tf } from "@worstcase/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { createExtractor, type ResNetExtractor } from "./extractor.js";
import { fixtureNormalisation as normalisation, readFixture, relativeError } from "./testData.js";

const open: ResNetExtractor[] = [];
async function extractorOf(name: string, options: Partial<Parameters<typeof createExtractor>[0]> = {}) {
  const fixture = readFixture(name);
  const settings = { weights: fixture.weights, normalisation, backend: "wasm", workers: 0, ...options } as const;
  const extractor = await createExtractor(settings);
  open.push(extractor);
  return { fixture, extractor };
}
afterAll(async () => {
  for (const extractor of open) await extractor.close();
});

describe.each(["preact-plain", "preact-final-norm", "resnet20"])("%s against PyTorch", (name) => {
  it.each(["wasm", "cpu"] as const)("features, logits and pullback on %s", async (backend) => {
    const { fixture, extractor } = await extractorOf(name, { backend });
    const features = await extractor.features(fixture.images);
    const expected = fixture.value("features");
    expect(features.shape).toEqual(expected.shape);
    expect(relativeError(features.data, expected.data)).toBeLessThan(1e-4);

    const { weight, bias, classCount } = extractor.head!;
    const width = extractor.featureCount;
    const logits = Array.from({ length: features.shape[0]! * classCount }, (_, k) => {
      const [row, column] = [Math.floor(k / classCount), k % classCount];
      let sum = bias[column]!;
      for (let j = 0; j < width; j++) sum += weight[column * width + j]! * features.data[row * width + j]!;
      return sum;
    });
    expect(relativeError(logits, fixture.value("logits").data)).toBeLessThan(1e-4);

    const gradient = fixture.value("feature_gradient");
    const pixels = await extractor.pullback(fixture.images, gradient);
    expect(pixels.shape).toEqual(fixture.images.shape);
    const first = fixture.value("pullback").data;
    expect(relativeError(pixels.data.subarray(0, first.length), first)).toBeLessThan(1e-3);

    const linearised = await extractor.linearise(fixture.images);
    expect(linearised.features.data).toEqual(features.data);
    expect((await linearised.pullback(gradient)).data).toEqual(pixels.data);
  });

  it("gives the same bits for 0, 1 and 2 workers", async () => {
    const results = [];
    for (const workers of [0, 1, 2]) {
      const { fixture, extractor } = await extractorOf(name, { workers, batchSize: 1 });
      expect(extractor.workers).toBe(workers);
      const gradient = fixture.value("feature_gradient");
      const { data: features } = await extractor.features(fixture.images);
      const { data: pixels } = await extractor.pullback(fixture.images, gradient);
      const linearised = await extractor.linearise(fixture.images);
      const { data: again } = await linearised.pullback(gradient);
      results.push({ features, linearised: linearised.features.data, pixels, again });
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    expect(results[0]!.again).toEqual(results[0]!.pixels);
  });
});

it("frees every tensor", async () => {
  const { fixture, extractor } = await extractorOf("preact-final-norm", { batchSize: 2 });
  const gradient = fixture.value("feature_gradient");
  const before = tf.memory().numTensors;
  await extractor.features(fixture.images);
  await extractor.pullback(fixture.images, gradient);
  await (await extractor.linearise(fixture.images)).pullback(gradient);
  await (await extractor.linearise(fixture.images)).dispose();
  expect(tf.memory().numTensors).toBe(before);
  await extractor.linearise(fixture.images);
  expect(tf.memory().numTensors).toBeGreaterThan(before);
  const own = sliceBatch(fixture.images, 0, 1);
  const count = before - tf.memory().numTensors;
  expect(count).toBeLessThan(0);
  await extractor.features(own);
  await extractor.close();
});
