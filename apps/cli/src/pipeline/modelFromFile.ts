// A whole model from a file, for `worstcase attack --model KIND:PATH`: TensorFlow.js (model.json of a layers or graph model, with gradients)
// or ONNX (black box, through onnxruntime-node, which is optional). Images [height, width, channels] in [0, 1] go in, logits come out;
//   normalisation: (x - mean) / std for each channel, before the model

import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fromOnnx, fromTensorFlow, type OnnxLike, type OnnxSession } from "@worstcase/attacks";
import {
  type Classifier,
  DataError,
  type DifferentiableClassifier,
  FormatError,
  fingerprint,
  isWorstcaseError,
  SettingError,
  UnsupportedError,
} from "@worstcase/core";
import type { AttackConfig } from "../config/attack.js";

export interface ModelFromFile {
  readonly kind: "tfjs" | "onnx";
  readonly path: string;
  readonly model: Classifier | DifferentiableClassifier;
  /** Hash of all its files, with the normalisation. */
  readonly fingerprint: string;
  readonly backend: string;
  close(): void;
}

type ModelRequest = Pick<AttackConfig, "backend" | "mean" | "std" | "layout">;

const bounds = { lower: 0, upper: 1 } as const;

/**
 * Opens `tfjs:PATH` or `onnx:PATH` for images of `inputShape` [height, width, channels]. Throws SettingError on another prefix, DataError on missing files,
 * FormatError on damaged ones or other shapes, UnsupportedError when onnxruntime-node is not installed.
 */
export async function openModelFile(
  name: string,
  inputShape: readonly number[],
  request: ModelRequest,
): Promise<ModelFromFile> {
  const [, kind, path] = /^(tfjs|onnx):(.+)$/.exec(name) ?? [];
  if (!kind || !path) {
    const expected = "tfjs:PATH/model.json or onnx:PATH";
    throw new SettingError({ argument: "--model", expected, received: name });
  }
  const channels = inputShape.at(-1)!;
  const { mean = new Array<number>(channels).fill(0), std = new Array<number>(channels).fill(1) } = request;
  for (const [argument, values] of [
    ["--mean", mean],
    ["--std", std],
  ] as const) {
    if (values.length === channels) continue;
    const expected = `${channels} numbers, one for each channel of the images`;
    throw new SettingError({ argument, expected, received: values.join(",") });
  }
  const open = { path, inputShape, mean, std };
  return kind === "tfjs" ? openTensorFlow(open, request) : openOnnx(open, request);
}

interface Open {
  readonly path: string;
  readonly inputShape: readonly number[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

async function openTensorFlow({ path, inputShape, mean, std }: Open, request: ModelRequest): Promise<ModelFromFile> {
  const { tf, useBackend } = await import("@worstcase/tensor");
  const { name: backend } = await useBackend(request.backend ?? "auto");
  const { artifacts, print } = await readTensorFlow(path);
  const handler = { load: async () => artifacts };
  let apply: (x: InstanceType<typeof tf.Tensor>) => unknown;
  let dispose: () => void;
  try {
    if (artifacts.format === "graph-model") {
      const { loadGraphModel } = await import("@tensorflow/tfjs-converter");
      const graph = await loadGraphModel(handler as never);
      apply = (x) => graph.predict(x as never);
      dispose = () => graph.dispose();
    } else {
      const { loadLayersModel } = await import("@tensorflow/tfjs-layers");
      const layers = await loadLayersModel(handler as never);
      apply = (x) => layers.apply(x as never, { training: false });
      dispose = () => void layers.dispose();
    }
  } catch (error) {
    throw unreadable(path, "a TensorFlow.js model", error);
  }
  const centre = tf.tensor1d([...mean]);
  const scale = tf.tensor1d([...std]);
  const logits = (x: InstanceType<typeof tf.Tensor>) => apply(tf.div(tf.sub(x, centre), scale)) as typeof x;
  const classCount = await tryOut(path, async () => {
    const result = tf.tidy(() => logits(tf.zeros([1, ...inputShape])));
    const { shape } = result;
    tf.dispose(result);
    return shape;
  });
  const model = fromTensorFlow(tf as never, { id: path, inputShape, classCount, bounds, logits: logits as never });
  const all = fingerprint(print, JSON.stringify({ mean, std }));
  const close = () => {
    tf.dispose([centre, scale]);
    dispose();
  };
  return { kind: "tfjs", path, model, fingerprint: all, backend, close };
}

async function openOnnx({ path, inputShape, mean, std }: Open, { layout }: ModelRequest): Promise<ModelFromFile> {
  const bytes = await readBytes(path);
  const runtime = await onnxRuntime();
  let session: OnnxSession<never> & { release?(): unknown };
  try {
    session = await runtime.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  } catch (error) {
    throw unreadable(path, "an ONNX model", error);
  }
  const firstChannels = layout === "channels-first";
  const describe = {
    id: path,
    inputShape,
    bounds,
    layout: firstChannels ? ("channels-first" as const) : ("as-is" as const),
  };
  const classCount = await tryOut(path, async () => {
    const [height, width, channels] = inputShape as [number, number, number];
    const sample = firstChannels ? [channels, height, width] : inputShape;
    const zeros = new runtime.Tensor("float32", new Float32Array(height * width * channels), [1, ...sample]);
    const results = await session.run({ [session.inputNames[0]!]: zeros });
    return results[session.outputNames[0]!]!.dims;
  });
  const inner = fromOnnx(runtime, session, { ...describe, classCount });
  const model: Classifier = {
    ...inner,
    logits: (inputs) => {
      const data = Float32Array.from(inputs.data, (v, k) => (v - mean[k % mean.length]!) / std[k % std.length]!);
      return inner.logits({ data, shape: inputs.shape });
    },
  };
  const print = fingerprint(bytes, JSON.stringify({ mean, std, layout }));
  const close = () => void session.release?.();
  return { kind: "onnx", path, model, fingerprint: print, backend: "onnxruntime-node", close };
}

interface OnnxRuntime extends OnnxLike<never> {
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<OnnxSession<never>> };
}

async function onnxRuntime(): Promise<OnnxRuntime> {
  // a name that bundlers and type checks cannot see: the package need not be there
  const name = "onnxruntime-node";
  try {
    const loaded = (await import(name)) as { default?: OnnxRuntime } & OnnxRuntime;
    return loaded.InferenceSession ? loaded : loaded.default!;
  } catch (error) {
    const hint = `npm install onnxruntime-node (${(error as Error).message.split("\n")[0]})`;
    const expected = "onnxruntime-node to be installed";
    throw new UnsupportedError({ argument: "--model", expected, received: "no onnxruntime-node", hint });
  }
}

/** Classes by the shape [1, classes] that one image of zeros gives. */
async function tryOut(path: string, shapeOf: () => Promise<readonly number[]>): Promise<number> {
  let shape: readonly number[];
  try {
    shape = await shapeOf();
  } catch (error) {
    throw unreadable(path, "a model that takes the images of the data set", error);
  }
  if (shape.length === 2 && shape[0] === 1 && shape[1]! >= 2) return shape[1]!;
  throw new FormatError({
    argument: "--model",
    expected: "logits of shape [images, classes]",
    received: [...shape],
    hint: path,
  });
}

function unreadable(path: string, expected: string, error: unknown): Error {
  if (isWorstcaseError(error)) return error;
  const message = error instanceof Error ? error.message.split("\n")[0]! : String(error);
  return new FormatError({ argument: "--model", expected, received: path, hint: message }, { cause: error });
}

interface ModelJson {
  readonly format?: string;
  readonly modelTopology?: unknown;
  readonly weightsManifest?: readonly { readonly paths: readonly string[]; readonly weights: readonly unknown[] }[];
}

/** The artifacts that both loaders of TensorFlow.js take: topology, weight specifications, all weights in one buffer. */
async function readTensorFlow(path: string) {
  const bytes = await readBytes(path);
  let json: ModelJson;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes)) as ModelJson;
  } catch (error) {
    throw new FormatError({ argument: "--model", expected: "JSON", received: path, hint: (error as Error).message });
  }
  const { modelTopology, weightsManifest } = json ?? {};
  if (typeof modelTopology !== "object" || !Array.isArray(weightsManifest)) {
    const expected = "model.json of TensorFlow.js, with modelTopology and weightsManifest";
    throw new FormatError({ argument: "--model", expected, received: path });
  }
  const files: Uint8Array[] = [];
  for (const { paths } of weightsManifest)
    for (const name of paths) files.push(await readBytes(join(dirname(path), name)));
  const weightData = new Uint8Array(files.reduce((sum, file) => sum + file.length, 0));
  let at = 0;
  for (const file of files) {
    weightData.set(file, at);
    at += file.length;
  }
  const artifacts = {
    ...json,
    modelTopology,
    weightSpecs: weightsManifest.flatMap(({ weights }) => weights),
    weightData: weightData.buffer,
  };
  return { artifacts, print: fingerprint(bytes, weightData) };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const hint = (error as NodeJS.ErrnoException).code ?? "";
    throw new DataError({ argument: "--model", expected: "a readable file", received: path, hint });
  }
}
