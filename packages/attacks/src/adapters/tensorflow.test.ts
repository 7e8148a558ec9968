import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { createRng } from "@worstcase/core";
import { beforeAll, describe, expect, it } from "vitest";
import { evaluateAttack } from "../evaluateAttack.js";
import { pgd } from "../pgd/pgd.js";
import { square } from "../square/square.js";
import { type StoredNetwork, storedImages, storedNetwork } from "../testing/reluNetwork.js";
import { fromTensorFlow } from "./tensorflow.js";

const stored: StoredNetwork = JSON.parse(readFileSync(new URL("../../fixtures/models.json", import.meta.url), "utf8"))
  .models.three;
const reference = storedNetwork("three", stored);
const values = (text: string) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const description = {
  id: "three in tfjs",
  inputShape: [15, 15, 1],
  classCount: 3,
  bounds: { lower: 0, upper: 1 },
};

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function network() {
  const W1 = tf.tensor2d(values(stored.W1), [225, 24]);
  const b1 = tf.tensor1d(values(stored.b1));
  const W2 = tf.tensor2d(values(stored.W2), [24, 3]);
  const b2 = tf.tensor1d(values(stored.b2));
  const logits = (x: tf.Tensor) => {
    const hidden = tf.relu(tf.add(tf.matMul(tf.reshape(x, [x.shape[0], 225]) as tf.Tensor2D, W1), b1)) as tf.Tensor2D;
    return tf.add(tf.matMul(hidden, W2), b2);
  };
  return { ...description, logits };
}

describe("fromTensorFlow", () => {
  it("has the logits, losses and gradients of the same network outside TensorFlow.js, and leaks no tensors", async () => {
    const model = fromTensorFlow(tf, network());
    const { inputs, labels } = storedImages(stored);
    const before = tf.memory().numTensors;
    const ours = await reference.logits(inputs);
    const theirs = await model.logits(inputs);
    for (let k = 0; k < ours.data.length; k++) expect(theirs.data[k]).toBeCloseTo(ours.data[k], 3);
    for (const kind of ["margin", "cross-entropy", "dlr"] as const) {
      const expected = await reference.lossGradient(inputs, { kind, labels });
      const found = await model.lossGradient(inputs, { kind, labels });
      for (let k = 0; k < expected.gradient.data.length; k++) {
        expect(found.gradient.data[k]).toBeCloseTo(expected.gradient.data[k], 4);
      }
      for (let i = 0; i < labels.length; i++) expect(found.loss[i]).toBeCloseTo(expected.loss[i], 3);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it("can be attacked", async () => {
    const batch = storedImages(stored);
    const options = { budget: { norm: "linf", epsilon: 0.1 } as const, rng: createRng(1) };
    const ours = await evaluateAttack(reference, batch, pgd({ steps: 5 }), options);
    const theirs = await evaluateAttack(fromTensorFlow(tf, network()), batch, pgd({ steps: 5 }), options);
    expect(theirs.fooled).toEqual(ours.fooled);
  });

  it("is a black box where asked for", async () => {
    const model = fromTensorFlow(tf, { ...network(), differentiable: false });
    expect("lossGradient" in model).toBe(false);
    const options = { budget: { norm: "linf", epsilon: 0.3 } as const, rng: createRng(1) };
    const result = await evaluateAttack(model, storedImages(stored), square({ queries: 20 }), options);
    expect(result.fooled.some((fooled) => fooled === 1)).toBe(true);
  });

  it("refuses what is no namespace, one class and logits of another shape", async () => {
    expect(() => fromTensorFlow({} as never, network())).toThrow(/tf.tensor/);
    expect(() => fromTensorFlow(tf, { ...network(), classCount: 1 })).toThrow(/classCount/);
    const wrong = fromTensorFlow(tf, { ...network(), classCount: 4 });
    await expect(wrong.logits(storedImages(stored).inputs)).rejects.toMatchObject({ code: "shape" });
  });
});
