import { execFile } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { tf, useBackend } from "@worstcase/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { fixtureNormalisation as normalisation, readFixture, relativeError } from "../test/testData.js";
import { detectArchitecture } from "./detect.js";
import { LocalEngine } from "./engine.js";
import { createExtractor, type ResNetExtractor } from "./extractor.js";
import { foldNetwork } from "./fold.js";
import { WorkerEngine } from "./workerEngine.js";

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

it("frees every tensor, also of forward passes that were never asked for", async () => {
  await useBackend("wasm");
  const start = tf.memory().numTensors;
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
  await extractor.close();
  expect(tf.memory().numTensors).toBe(start);
});

it("gives the same bits when the backend was switched in between, and whatever else is computed meanwhile", async () => {
  const { fixture, extractor } = await extractorOf("resnet20", { batchSize: 1 });
  const { data: expected } = await extractor.features(fixture.images);
  await useBackend("cpu");
  expect((await extractor.features(fixture.images)).data).toEqual(expected);
  const both = await Promise.all([extractor.features(fixture.images), extractor.features(fixture.images)]);
  expect(both.map(({ data }) => data)).toEqual([expected, expected]);
});

it("repeats the forward pass when more is linearised than may be kept", async () => {
  const { fixture } = await extractorOf("preact-plain");
  const folded = foldNetwork(detectArchitecture(fixture.weights), fixture.weights, normalisation);
  const gradient = fixture.value("feature_gradient").data;
  const results = [];
  for (const limit of [undefined, 1]) {
    const engine = await LocalEngine.create(folded, "wasm", limit);
    const { data } = fixture.images;
    await engine.linearise(1, data.slice(), 2);
    const kept = tf.memory().numTensors;
    await engine.linearise(2, data.slice(), 2);
    if (limit) expect(tf.memory().numTensors).toBe(kept);
    results.push(await engine.pullbackKept(2, gradient));
    await engine.close();
  }
  expect(results[1]).toEqual(results[0]);
});

it("computes nothing from float64 input that float32 input would not give, and changes no argument", async () => {
  const { fixture, extractor } = await extractorOf("preact-plain", { workers: 1 });
  const wide = { data: Float64Array.from(fixture.images.data), shape: fixture.images.shape };
  const copy = fixture.images.data.slice();
  expect((await extractor.features(wide)).data).toEqual((await extractor.features(fixture.images)).data);
  expect(fixture.images.data).toEqual(copy);
});

describe("the fingerprint", () => {
  it("depends on weights and normalisation, not on the head, the backend or the workers", async () => {
    const { fixture, extractor } = await extractorOf("resnet20");
    const { extractor: threaded } = await extractorOf("resnet20", { workers: 1, backend: "cpu" });
    expect(threaded.fingerprint).toBe(extractor.fingerprint);
    const other = { ...normalisation, mean: [0.5, 0.5, 0.5] as const };
    expect((await extractorOf("resnet20", { normalisation: other })).extractor.fingerprint).not.toBe(
      extractor.fingerprint,
    );
    const changed = (name: string) => {
      const weights = new Map(fixture.weights);
      const { shape, data } = weights.get(name)!;
      return weights.set(name, { shape, data: data.map((value, i) => (i === 0 ? value + 1 : value)) });
    };
    const body = await extractorOf("resnet20", { weights: changed("layer1.0.conv1.weight") });
    expect(body.extractor.fingerprint).not.toBe(extractor.fingerprint);
    const head = await extractorOf("resnet20", { weights: changed("linear.bias") });
    expect(head.extractor.fingerprint).toBe(extractor.fingerprint);
  });
});

describe("bad input", () => {
  const batch = (count: number, fill = 0.5, sample = [32, 32, 3]) => {
    const size = sample.reduce((product, length) => product * length, 1);
    return { data: new Float32Array(count * size).fill(fill), shape: [count, ...sample] };
  };
  const gradient = (count: number, features: number) => ({
    data: new Float32Array(count * features),
    shape: [count, features],
  });

  it.each([0, 1])("is refused before work starts, with %i workers", async (workers) => {
    const { extractor } = await extractorOf("preact-plain", { workers });
    await expect(extractor.features(batch(0))).rejects.toMatchObject({ code: "data" });
    await expect(extractor.features(batch(1, 0.5, [3, 32, 32]))).rejects.toMatchObject({ code: "shape" });
    await expect(extractor.features({ ...batch(2), shape: [3, 32, 32, 3] })).rejects.toMatchObject({ code: "shape" });
    await expect(extractor.features(batch(1, Number.NaN))).rejects.toMatchObject({ code: "data" });
    await expect(extractor.features(batch(1, Number.POSITIVE_INFINITY))).rejects.toMatchObject({ code: "data" });
    await expect(extractor.features(batch(1, 255))).rejects.toThrow(/divide bytes by 255/);
    await expect(extractor.pullback(batch(2), gradient(1, 16))).rejects.toMatchObject({ code: "shape" });
    await expect(extractor.pullback(batch(2), gradient(2, 15))).rejects.toMatchObject({ code: "shape" });
    await expect(extractor.pullback(batch(1), { data: Float32Array.of(Number.NaN), shape: [1, 1] })).rejects.toThrow();
    const linearised = await extractor.linearise(batch(1));
    await expect(linearised.pullback(gradient(2, 16))).rejects.toMatchObject({ code: "shape" });
    await linearised.pullback(gradient(1, 16));
    await expect(linearised.pullback(gradient(1, 16))).rejects.toMatchObject({ code: "setting" });
    const left = await extractor.linearise(batch(1));
    await extractor.close();
    await extractor.close();
    await left.dispose();
    await expect(left.pullback(gradient(1, 16))).rejects.toMatchObject({ code: "setting" });
    await expect(extractor.features(batch(1))).rejects.toMatchObject({ code: "setting" });
  });

  it("black and white images are fine", async () => {
    const { extractor } = await extractorOf("preact-plain");
    const { data } = await extractor.features({ ...batch(2, 0), data: batch(2, 0).data.fill(1, 3072) });
    expect(data.every(Number.isFinite)).toBe(true);
  });

  it("is refused in the options", async () => {
    const { weights } = readFixture("preact-plain");
    const attempt = (options: object) =>
      createExtractor({ weights, normalisation, backend: "wasm", workers: 0, ...options } as never);
    await expect(attempt({ weights: {} })).rejects.toMatchObject({ code: "setting" });
    await expect(attempt({ weights: new Map() })).rejects.toMatchObject({ code: "format" });
    await expect(attempt({ architecture: "resnet20" })).rejects.toThrow(/weights of preact-resnet18/);
    await expect(attempt({ normalisation: { mean: [0, 0], std: [1, 1, 1] } })).rejects.toMatchObject({
      code: "setting",
    });
    await expect(attempt({ normalisation: undefined })).rejects.toMatchObject({ code: "setting" });
    await expect(attempt({ batchSize: 0 })).rejects.toMatchObject({ code: "setting" });
    await expect(attempt({ workers: -1 })).rejects.toMatchObject({ code: "setting" });
    await expect(attempt({ backend: "quantum" })).rejects.toMatchObject({ code: "setting" });
  });
});

describe("worker threads", () => {
  it("hand typed errors over and fail every request once they are gone", async () => {
    const { weights, images, value } = readFixture("preact-plain");
    const network = foldNetwork(detectArchitecture(weights), weights, normalisation);
    await expect(WorkerEngine.start({ network, backend: "quantum" as never })).rejects.toMatchObject({
      code: "setting",
    });
    const engine = await WorkerEngine.start({ network, backend: "wasm" });
    const forgotten = engine.pullbackKept(99, value("feature_gradient").data);
    await expect(forgotten).rejects.toMatchObject({ code: "setting", details: { argument: "id" } });
    const pending = engine.features(images.data.slice(), 2);
    const closing = engine.close();
    await expect(pending).rejects.toMatchObject({ code: "resource" });
    await closing;
    await expect(engine.features(images.data.slice(), 2)).rejects.toMatchObject({ code: "resource" });
  });

  it("let the process end when close was forgotten, in ESM and in CommonJS", async () => {
    const fixture = fileURLToPath(new URL("../fixtures/preact-plain.safetensors", import.meta.url));
    const body = `
      const weights = loadWeights(readFileSync(${JSON.stringify(fixture)}));
      const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
      createExtractor({ weights, normalisation, backend: "wasm", workers: 2 }).then(async (extractor) => {
        const { shape } = await extractor.features({ data: new Float32Array(3 * 3072), shape: [3, 32, 32, 3] });
        await extractor.linearise({ data: new Float32Array(3072), shape: [1, 32, 32, 3] });
        process.stdout.write(shape.join(" ") + " " + extractor.workers);
      });`;
    const built = (name: string) => fileURLToPath(new URL(`../dist/${name}`, import.meta.url));
    const names = "createExtractor, loadWeights";
    const esm = `import { readFileSync } from "node:fs"; import { ${names} } from ${JSON.stringify(pathToFileURL(built("index.js")).href)};${body}`;
    const cjs = `const { readFileSync } = require("node:fs"); const { ${names} } = require(${JSON.stringify(built("index.cjs"))});${body}`;
    for (const parameters of [
      ["--input-type=module", "-e", esm],
      ["--input-type=commonjs", "-e", cjs],
    ]) {
      const { stdout } = await promisify(execFile)(process.execPath, parameters, { timeout: 60_000 });
      expect(stdout).toBe("3 16 2");
    }
  });
});
