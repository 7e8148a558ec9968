import { createRng, isWorstcaseError, type LabelledBatch } from "@worstcase/core";
import { tf, useBackend } from "@worstcase/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { fixtureNormalisation as normalisation, readFixture, relativeError } from "../../test/testData.js";
import { detectArchitecture } from "../detect.js";
import { gatherImages } from "./augment.js";
import { loadTrainingState, saveTrainingState, type TrainingState } from "./state.js";
import { type TrainingEvent, type TrainingOptions, trainResNet } from "./train.js";
import { Trainer } from "./trainer.js";

beforeAll(() => useBackend("wasm"));

const sgd = { momentum: 0.9, nesterov: true, weightDecay: 5e-3, decayed: "weights", labelSmoothing: 0.1 } as const;

describe.each([
  ["preact-final-norm", "sgd", 0],
  ["preact-final-norm", "sam", 0.1],
  ["resnet20", "sgd", 0],
] as const)("two training steps of %s with %s against PyTorch", (name, key, rho) => {
  it("gives the same losses, weights and running statistics", async () => {
    const { weights, images, value } = readFixture(name);
    const before = tf.memory().numTensors;
    const trainer = new Trainer(detectArchitecture(weights), weights, new Map());
    const pixels = gatherImages(images.data, [0, 1, 2], normalisation, null, createRng(0));
    const losses = [];
    for (let step = 0; step < 2; step++) {
      losses.push((await trainer.step(pixels, Int32Array.of(0, 2, 1), 0.05, { ...sgd, rho })).loss);
    }
    expect(relativeError(losses, value(`${key}.losses`).data)).toBeLessThan(1e-5);
    const after = await trainer.export();
    const names = [...after.weights.keys()].sort();
    const expected = value(`${key}.state`).data;
    let offset = 0;
    for (const part of names) {
      const { data } = after.weights.get(part)!;
      const reference = expected.subarray(offset, offset + data.length);
      offset += data.length;
      const scale = Math.max(1, ...reference.map(Math.abs));
      const error = Math.max(...data.map((number, i) => Math.abs(number - reference[i]!))) / scale;
      expect(error, part).toBeLessThan(1e-4);
    }
    expect(offset).toBe(expected.length);
    trainer.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** Images whose class shows in their colour, so that a few steps learn something. */
function colourImages(count: number, seed: number): LabelledBatch {
  const rng = createRng(seed);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 3);
  const data = new Float32Array(count * 3072);
  for (let i = 0; i < data.length; i++) {
    const bright = i % 3 === labels[Math.floor(i / 3072)];
    data[i] = 0.6 * rng.uniform() + (bright ? 0.4 : 0);
  }
  return { inputs: { data, shape: [count, 32, 32, 3] }, labels, indices: labels.map((_, i) => i) };
}

const tiny = (change: Partial<TrainingOptions> = {}): TrainingOptions => ({
  architecture: "preact-resnet18",
  width: 1 / 32,
  finalNorm: true,
  classCount: 3,
  train: colourImages(26, 1),
  validation: colourImages(9, 2),
  normalisation,
  epochs: 3,
  batchSize: 8,
  schedule: { kind: "one-cycle", peak: 0.1 },
  labelSmoothing: 0.1,
  rho: 0.02,
  rng: createRng(7),
  backend: "wasm",
  ...change,
});

describe("trainResNet", () => {
  it("learns, reports every step and epoch, and frees every tensor", async () => {
    const before = tf.memory().numTensors;
    const events: TrainingEvent[] = [];
    const result = await trainResNet(tiny({ epochs: 6 }), (event) => events.push(event));
    expect(tf.memory().numTensors).toBe(before);
    expect(result.status).toBe("finished");
    expect(result.epochs).toHaveLength(6);
    expect(result.epochs.at(-1)!.loss).toBeLessThan(result.epochs[0]!.loss);
    expect(result.epochs.at(-1)!.validationAccuracy).toBeGreaterThan(0.6);
    expect(events.filter(({ type }) => type === "progress")).toHaveLength(6 * 4);
    expect(events.filter(({ type }) => type === "epoch")).toHaveLength(6);
    expect(detectArchitecture(result.weights)).toEqual(result.architecture);
  });

  it("resumes with the same bits", async () => {
    const states: TrainingState[] = [];
    const whole = await trainResNet(tiny({ onCheckpoint: (state) => void states.push(state) }));
    const stored = loadTrainingState(saveTrainingState(states[0]!));
    expect(stored).toEqual(states[0]);
    const resumed = await trainResNet(tiny({ resumeFrom: stored }));
    expect(resumed.weights).toEqual(whole.weights);
    expect(resumed.epochs).toHaveLength(3);
    await expect(trainResNet(tiny({ resumeFrom: stored, epochs: 5 }))).rejects.toThrow(/options.epochs: expected 3/);
    await expect(trainResNet(tiny({ resumeFrom: stored, rng: createRng(8) }))).rejects.toThrow(/options.rng/);
  });

  it("returns the last good weights when the loss diverges", async () => {
    const before = tf.memory().numTensors;
    const schedule = { kind: "constant", rate: 1e30 } as const;
    const result = await trainResNet(tiny({ schedule, weightDecay: 1, rho: 0 }));
    expect(result.status).toBe("diverged");
    expect([...result.weights.values()].every(({ data }) => data.every(Number.isFinite))).toBe(true);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("stops at an abort between steps", async () => {
    const controller = new AbortController();
    const before = tf.memory().numTensors;
    const run = trainResNet(tiny({ signal: controller.signal }), () => controller.abort());
    await expect(run).rejects.toMatchObject({ code: "aborted" });
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each<[string, Partial<TrainingOptions>, string]>([
    ["a width without whole channels", { width: 0.1 }, "setting"],
    ["a final norm after post-activation blocks", { architecture: "resnet20", width: 1 }, "setting"],
    ["no epochs", { epochs: 0 }, "setting"],
    ["a batch of one", { batchSize: 1 }, "setting"],
    ["a negative rate", { schedule: { kind: "constant", rate: -1 } }, "setting"],
    ["smoothing of one", { labelSmoothing: 1 }, "setting"],
    ["a label out of range", { classCount: 2 }, "data"],
    ["a zero deviation", { normalisation: { mean: [0, 0, 0], std: [1, 0, 1] } }, "setting"],
    ["a NaN in rho", { rho: Number.NaN }, "setting"],
    [
      "images of another size",
      { train: { ...colourImages(4, 1), inputs: { data: new Float32Array(40), shape: [4, 10] } } },
      "shape",
    ],
    [
      "a NaN pixel",
      {
        train: {
          ...colourImages(4, 1),
          inputs: { data: new Float32Array(4 * 3072).fill(Number.NaN), shape: [4, 32, 32, 3] },
        },
      },
      "data",
    ],
  ])("refuses %s", async (_, change, code) => {
    const error = await trainResNet(tiny(change)).catch((failure: unknown) => failure);
    expect(isWorstcaseError(error) && error.code).toBe(code);
  });
});
