import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { evaluateAttack } from "../evaluateAttack.js";
import { pgd } from "../pgd/pgd.js";
import { square } from "../square/square.js";
import { fromOnnx, type OnnxSession } from "./onnx.js";

class Tensor {
  constructor(
    readonly type: "float32",
    readonly data: Float32Array,
    readonly dims: readonly number[],
  ) {}
}

/** A session as onnxruntime's, whose two logits are the sums of the first and of the second channel, channels first. */
function session(seen: Tensor[] = []): OnnxSession<Tensor> {
  return {
    inputNames: ["image"],
    outputNames: ["logits", "features"],
    async run({ image }) {
      seen.push(image);
      const [samples, channels, height, width] = image.dims;
      const pixels = height * width;
      const data = new Float32Array(samples * channels);
      for (let k = 0; k < image.data.length; k++) data[Math.floor(k / pixels)] += image.data[k];
      return { logits: new Tensor("float32", data, [samples, channels]), features: image };
    },
  };
}

const description = {
  id: "onnx",
  inputShape: [2, 3, 2],
  classCount: 2,
  bounds: { lower: 0, upper: 1 },
  layout: "channels-first",
  output: "logits",
} as const;
// two samples [2, 3, 2], channels last: the first channel is 0.6, the second 0.4
const data = Float64Array.from({ length: 24 }, (_, k) => (k % 2 === 0 ? 0.6 : 0.4));
const batch = {
  inputs: { data, shape: [2, 2, 3, 2] },
  labels: Int32Array.of(0, 0),
  indices: Int32Array.of(0, 1),
};

describe("fromOnnx", () => {
  it("hands images over channels first, in float32, and reads the logits", async () => {
    const seen: Tensor[] = [];
    const model = fromOnnx({ Tensor }, session(seen), description);
    const logits = await model.logits(batch.inputs);
    expect(seen[0].dims).toEqual([2, 2, 2, 3]);
    expect(Array.from(seen[0].data.subarray(0, 12))).toEqual([
      ...Array(6).fill(Math.fround(0.6)),
      ...Array(6).fill(Math.fround(0.4)),
    ]);
    expect(logits.shape).toEqual([2, 2]);
    expect(logits.data[0]).toBeCloseTo(3.6, 5);
    expect(logits.data[1]).toBeCloseTo(2.4, 5);
  });

  it("is attacked without gradients only", async () => {
    const model = fromOnnx({ Tensor }, session(), description);
    const options = { budget: { norm: "linf", epsilon: 0.2 } as const, rng: createRng(1) };
    const result = await evaluateAttack(model, batch, square({ queries: 100 }), options);
    expect(Array.from(result.fooled)).toEqual([1, 1]);
    await expect(evaluateAttack(model, batch, pgd(), options)).rejects.toMatchObject({ code: "unsupported" });
  });

  it("refuses unknown names, layouts that do not fit and outputs of another shape", async () => {
    const make = (changes: object) => fromOnnx({ Tensor }, session(), { ...description, ...changes });
    expect(() => make({ output: undefined })).toThrow(/one of logits, features/);
    expect(() => make({ output: "probabilities" })).toThrow(/one of logits, features/);
    expect(() => make({ input: "x" })).toThrow(/one of image/);
    expect(() => make({ inputShape: [12] })).toThrow(/channels-first/);
    expect(() => make({ classCount: 1 })).toThrow(/classCount/);
    await expect(make({ classCount: 3 }).logits(batch.inputs)).rejects.toMatchObject({ code: "shape" });
  });
});
