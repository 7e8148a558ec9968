// ONNX models as black boxes, by structure: hand over the namespace of onnxruntime-node (or onnxruntime-web) and an open session. The
// runtime gives no gradients, so Square, HopSkipJump, transfer and the random baseline can attack such a model, or gradient attacks
// through a surrogate.

import {
  type Bounds,
  type Classifier,
  type NumericBatch,
  SettingError,
  ShapeError,
  sampleCount,
} from "@worstcase/core";

/** What is used of the namespace of onnxruntime. */
export interface OnnxLike<T> {
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => T;
}

/** What is used of an inference session. */
export interface OnnxSession<T> {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, T>): Promise<Record<string, { readonly data: unknown; readonly dims: readonly number[] }>>;
}

export interface OnnxModel {
  readonly id: string;
  /** Shape of one sample as attacks see it, `[height, width, channels]` for images. */
  readonly inputShape: readonly number[];
  readonly classCount: number;
  readonly bounds: Bounds;
  /** How the session takes images: `channels-first` turns `[h, w, c]` into `[c, h, w]`. Default `as-is`. */
  readonly layout?: "as-is" | "channels-first" | undefined;
  /** Name of the input. Default: the only one. */
  readonly input?: string | undefined;
  /** Name of the output with the logits. Default: the only one. */
  readonly output?: string | undefined;
}

/** The session as a classifier without gradients. Throws SettingError on malformed descriptions and unknown names. */
export function fromOnnx<T>(ort: OnnxLike<T>, session: OnnxSession<T>, model: OnnxModel): Classifier {
  const { id, inputShape, classCount, bounds, layout = "as-is" } = model;
  if (!Number.isInteger(classCount) || classCount < 2) {
    throw new SettingError({ argument: "model.classCount", expected: "an integer >= 2", received: classCount });
  }
  if (layout === "channels-first" && inputShape.length !== 3) {
    const expected = "[height, width, channels] with the layout channels-first";
    throw new SettingError({ argument: "model.inputShape", expected, received: [...inputShape] });
  }
  const input = chosenName("model.input", model.input, session.inputNames);
  const output = chosenName("model.output", model.output, session.outputNames);
  return {
    id,
    inputShape,
    classCount,
    bounds,
    async logits(inputs) {
      const samples = sampleCount(inputs);
      const first = layout === "channels-first";
      const data = first ? channelsFirst(inputs, inputShape) : Float32Array.from(inputs.data);
      const sample = first ? [inputShape[2], inputShape[0], inputShape[1]] : inputShape;
      const results = await session.run({ [input]: new ort.Tensor("float32", data, [samples, ...sample]) });
      const { data: values, dims } = results[output];
      if (dims.length !== 2 || dims[0] !== samples || dims[1] !== classCount) {
        const expected = `shape [${samples}, ${classCount}]`;
        throw new ShapeError({ argument: `output ${output} of ${id}`, expected, received: [...dims] });
      }
      return { data: Float32Array.from(values as ArrayLike<number>), shape: [samples, classCount] };
    },
  };
}

function chosenName(argument: string, wanted: string | undefined, names: readonly string[]): string {
  const name = wanted ?? (names.length === 1 ? names[0] : undefined);
  if (name !== undefined && names.includes(name)) return name;
  throw new SettingError({ argument, expected: `one of ${names.join(", ")}`, received: wanted ?? "nothing" });
}

/** `[samples, h, w, c]` to `[samples, c, h, w]`. */
function channelsFirst(inputs: NumericBatch, [height, width, channels]: readonly number[]): Float32Array {
  const pixels = height * width;
  const out = new Float32Array(inputs.data.length);
  for (let i = 0; i < sampleCount(inputs); i++) {
    const base = i * pixels * channels;
    for (let p = 0; p < pixels; p++) {
      for (let c = 0; c < channels; c++) out[base + c * pixels + p] = inputs.data[base + p * channels + c];
    }
  }
  return out;
}
