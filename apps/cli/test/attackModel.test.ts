// `worstcase attack --model` on whole models from files: TensorFlow.js layers and graph models, ONNX without its runtime, misuse.

import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tfl from "@tensorflow/tfjs-layers";
import { createRng } from "@worstcase/core";
import { generateShapes } from "@worstcase/datasets";
import { tf, useBackend } from "@worstcase/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./commandLine.js";

const pixels = 32 * 32 * 3;
const images = 12;
const quick = ["--preset", "quick", "--epsilon", "1/255,8/255", "--limit", String(images), "--backend", "wasm"];

describe("worstcase attack --model", () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const attack = (...args: string[]) => run(["attack", ...args]);
  const rng = createRng(5);
  const bias = Float32Array.from({ length: 10 }, () => rng.normal() / 10);
  /** The sum of each class's test images, centred: most of them are recognised. */
  const kernel = new Float32Array(pixels * 10);

  /** A linear model of `classes` classes as the converter of TensorFlow.js writes it. */
  async function saveLayers(name: string, classes: number, weights: Float32Array, inputShape = [32, 32, 3]) {
    const model = tfl.sequential();
    model.add(tfl.layers.flatten({ inputShape }));
    model.add(tfl.layers.dense({ units: classes }));
    const size = inputShape.reduce((a, b) => a * b, 1);
    model.setWeights([tf.tensor2d(weights, [size, classes]), tf.tensor1d(bias.slice(0, classes))]);
    const handler = {
      save: async ({
        weightData,
        weightSpecs,
        modelTopology,
      }: {
        weightData?: unknown;
        weightSpecs?: unknown;
        modelTopology?: unknown;
      }) => {
        await writeFile(at(`${name}.bin`), new Uint8Array(weightData as ArrayBuffer));
        const weightsManifest = [{ paths: [`${name}.bin`], weights: weightSpecs }];
        await writeFile(at(`${name}.json`), JSON.stringify({ format: "layers-model", modelTopology, weightsManifest }));
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" as const } };
      },
    };
    await model.save(handler as never);
    model.dispose();
  }

  /** The same linear map as a graph model: Reshape, MatMul, Add. */
  async function saveGraph(name: string) {
    const size = (...sides: number[]) => ({ dim: sides.map((side) => ({ size: String(side) })) });
    const float = { dtype: { type: "DT_FLOAT" } };
    const node = [
      { name: "x", op: "Placeholder", attr: { ...float, shape: { shape: size(-1, 32, 32, 3) } } },
      {
        name: "flat",
        op: "Const",
        attr: { dtype: { type: "DT_INT32" }, value: { tensor: { dtype: "DT_INT32", tensorShape: size(2) } } },
      },
      ...["w", "b"].map((constant) => ({
        name: constant,
        op: "Const",
        attr: { ...float, value: { tensor: { dtype: "DT_FLOAT", tensorShape: size() } } },
      })),
      { name: "row", op: "Reshape", input: ["x", "flat"], attr: { T: { type: "DT_FLOAT" } } },
      {
        name: "product",
        op: "MatMul",
        input: ["row", "w"],
        attr: { T: { type: "DT_FLOAT" }, transpose_a: { b: false }, transpose_b: { b: false } },
      },
      { name: "logits", op: "AddV2", input: ["product", "b"], attr: { T: { type: "DT_FLOAT" } } },
    ];
    const weights = [
      { name: "flat", shape: [2], dtype: "int32" },
      { name: "w", shape: [pixels, 10], dtype: "float32" },
      { name: "b", shape: [10], dtype: "float32" },
    ];
    const bytes = Buffer.concat([Int32Array.of(-1, pixels), kernel, bias].map((v) => Buffer.from(v.buffer)));
    await writeFile(at(`${name}.bin`), bytes);
    const weightsManifest = [{ paths: [`${name}.bin`], weights }];
    const modelTopology = { node, library: {}, versions: {} };
    await writeFile(at(`${name}.json`), JSON.stringify({ format: "graph-model", modelTopology, weightsManifest }));
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-model-"));
    await useBackend("cpu");
    const { inputs, labels } = await (await generateShapes({ split: "test", count: images })).all();
    for (const [k, value] of inputs.data.entries())
      kernel[(k % pixels) * 10 + labels[Math.floor(k / pixels)]!]! += (value - 0.5) / 50;
    await saveLayers("layers", 10, kernel);
    await saveLayers("three", 3, kernel.slice(0, pixels * 3));
    await saveLayers("small", 10, kernel.slice(0, 28 * 28 * 10), [28, 28, 1]);
    await saveLayers(
      "nan",
      10,
      kernel.map((v, k) => (k === 7 ? Number.NaN : v)),
    );
    await saveGraph("graph");
    await writeFile(at("broken.json"), "{");
    await writeFile(at("other.json"), "{}");
    await writeFile(at("model.onnx"), "not a model");
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("attacks layers and graph models alike, with their gradients, and draws what it found", {
    timeout: 120_000,
  }, async () => {
    const normalisation = ["--mean", "0.5,0.4,0.3", "--std", "0.2,0.3,0.4"];
    const results = [];
    for (const name of ["layers", "graph"]) {
      const flags = [
        "--model",
        `tfjs:${at(`${name}.json`)}`,
        ...normalisation,
        ...quick,
        "--out",
        at(`out-${name}`),
        "--json",
      ];
      const { code, stdout, stderr } = await attack(...flags);
      expect(code, stderr).toBe(0);
      results.push(JSON.parse(stdout).rows[0]);
    }
    // the linear map in float64 on the images themselves
    const set = await (await generateShapes({ split: "test", count: images })).all();
    const [mean, std] = [
      [0.5, 0.4, 0.3],
      [0.2, 0.3, 0.4],
    ] as const;
    const correct = Array.from(set.labels).filter((label, i) => {
      const scores = Array.from(bias);
      for (let k = 0; k < pixels; k++) {
        const x = (set.inputs.data[i * pixels + k]! - mean[k % 3]!) / std[k % 3]!;
        for (let c = 0; c < 10; c++) scores[c]! += x * kernel[k * 10 + c]!;
      }
      return scores.indexOf(Math.max(...scores)) === label;
    }).length;
    for (const row of results) {
      expect(row).toMatchObject({
        kind: "tfjs",
        dataset: "embedded",
        images,
        norm: "linf",
        head: expect.stringContaining(row.model),
      });
      expect(row.clean.correct).toBe(correct);
      const counts = row.suite.accuracy.map((a: { correct: number }) => a.correct);
      expect(counts[1]).toBeLessThanOrEqual(counts[0]);
      expect(row.compared.map(({ name }: { name: string }) => name)).toEqual(["fgsm", "pgd 20"]);
    }
    const [layers, graph] = results.map(({ suite, clean }) => [
      clean.correct,
      ...suite.accuracy.map((a: { correct: number }) => a.correct),
    ]);
    expect(graph).toEqual(layers);
    const written = readdirSync(at("out-layers"));
    expect(await readFile(join(at("out-layers"), "curve.svg"), "utf8")).toMatch(
      /<svg[\s\S]*suite \(quick\)[\s\S]*pgd 20/,
    );
    const pictures = written.filter((name) => name.startsWith("examples-"));
    expect(pictures).toHaveLength(correct > 0 ? 1 : 0);
    expect(correct).toBeGreaterThan(0);
    expect(await readFile(join(at("out-layers"), pictures[0]!), "utf8")).toMatch(
      /original[\s\S]*perturbed[\s\S]*base64/,
    );
  });

  const cases: [string, () => string[], RegExp][] = [
    ["another prefix", () => [`keras:${at("layers.json")}`], /--model: expected tfjs:PATH/],
    ["a missing file", () => [`tfjs:${at("absent.json")}`], /--model: expected a readable file.*ENOENT/],
    ["damaged JSON", () => [`tfjs:${at("broken.json")}`], /--model: expected JSON/],
    ["JSON of something else", () => [`tfjs:${at("other.json")}`], /weightsManifest/],
    ["a model of other images", () => [`tfjs:${at("small.json")}`], /--model: expected a model that takes the images/],
    [
      "too few classes for the labels",
      () => [`tfjs:${at("three.json")}`],
      /--model: expected logits of 10 classes, as embedded has, got 3/,
    ],
    [
      "logits that are not numbers",
      () => [`tfjs:${at("nan.json")}`],
      /logits of .* for sample 0.*expected a finite number, got NaN/,
    ],
    ["a mean of two channels", () => [`tfjs:${at("layers.json")}`, "--mean", "0.5,0.5"], /--mean: expected 3 numbers/],
    [
      "a head beside the model",
      () => [`tfjs:${at("layers.json")}`, "--head", "x"],
      /--head: expected none together with --model/,
    ],
    ["epsilon 8", () => [`tfjs:${at("layers.json")}`, "--epsilon", "8"], /--epsilon.*8\/255/],
    [
      "ONNX without its runtime or a damaged file",
      () => [`onnx:${at("model.onnx")}`],
      /npm install onnxruntime-node|an ONNX model/,
    ],
  ];
  it.each(cases)("%s: one line, exit code 1, nothing written", { timeout: 60_000 }, async (_, flags, message) => {
    const { code, stdout, stderr } = await attack(
      "--out",
      at("out"),
      ...quick.filter((_f, k) => k < 2 || k > 3),
      "--model",
      ...flags(),
    );
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr.split("\n").filter((line) => line.startsWith("worstcase: "))).toHaveLength(1);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(existsSync(at("out"))).toBe(false);
  });
});
