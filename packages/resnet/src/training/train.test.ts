import { createRng, isWorstcaseError, type LabelledBatch } from "@worstcase/core";
import { tf, useBackend } from "@worstcase/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { detectArchitecture } from "../detect.js";
import { fixtureNormalisation as normalisation, readFixture, relativeError } from "../testData.js";
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
