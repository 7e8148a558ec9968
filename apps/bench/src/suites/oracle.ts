// The exact worst case of a quadratic score (math.md 6): microseconds for one sample, decomposition included, against one
// eigendecomposition per sample and class, which is what a solver does that treats every sample as a problem of its own.

import { createRng } from "@worstcase/core";
import { chooseKernels, symmetricEigen, workspaceSize } from "@worstcase/linalg";
import {
  flipDistances,
  linfAttack,
  linfLowerBounds,
  linfWorstCase,
  type MoveOptions,
  paperActivation,
  prepareWorstCase,
  quadraticFromNeurons,
  worstCase,
} from "@worstcase/polynomial";
import { Matrix } from "ml-matrix";
import { type Case, compare } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

const sizes = [
  { features: 30, neurons: 60, samples: 4000 },
  { features: 64, neurons: 20, samples: 4000 },
  { features: 64, neurons: 130, samples: 4000 },
  { features: 512, neurons: 20, samples: 2000 },
  { features: 512, neurons: 600, samples: 2000 },
];

/** Rows of the product timed alone: as many as the oracle rotates at a time. */
const productRows = 512;

export const oracle: Suite = {
  name: "oracle",
  summary: "exact l2 worst case of a two-layer polynomial network, time per sample",
  async run(context) {
    for (const size of sizes) await measure(context, size);
    await measureMoves(context);
    await measureFlips(context);
    for (const features of context.quick ? [30] : [30, 120, 512]) await measureBoxes(context, features);
  },
};

async function measure(context: SuiteContext, size: (typeof sizes)[number]): Promise<void> {
  const { features, neurons } = size;
  const samples = context.quick ? 100 : size.samples;
  const rng = createRng(1);
  const directions = Float64Array.from({ length: neurons * features }, () => rng.normal() / Math.sqrt(features));
  const weights = Float64Array.from({ length: neurons }, () => rng.normal());
  const quadratic = quadraticFromNeurons({ directions, weights, activation: paperActivation }, features);
  const points = {
    data: Float64Array.from({ length: samples * features }, () => rng.normal()),
    shape: [samples, features],
  };
  const labels = Float64Array.from({ length: samples }, () => (rng.uniform() < 0.5 ? 1 : -1));
  const radius = 0.25 * Math.sqrt(features);

  const matrix = new Matrix(features, features);
  quadratic.Q.forEach((value, i) => {
    matrix.set(Math.floor(i / features), i % features, value);
  });
  const solve = (name: "js" | "wasm", wanted: boolean): Case => {
    const kernels = chooseKernels(name);
    return {
      name: `${kernels.name}, ${wanted ? "with worst points" : "values only"}`,
      units: samples,
      run: () => worstCase(quadratic, points, labels, radius, { kernels, points: wanted }),
    };
  };
  const rows = await compare(
    [
      { name: "one eigendecomposition per sample (wasm)", units: 1, run: () => symmetricEigen(matrix) },
      solve("js", true),
      solve("wasm", false),
      solve("wasm", true),
    ],
    { repeats: context.quick ? 1 : 7 },
  );
  const title = `${features} features, ${neurons} neurons, ${samples} samples`;
  context.report({ title, unit: unit.microseconds, rows });

  // After the shared decomposition; the floor of the dense form is the product with its basis.
  const kernels = chooseKernels("wasm");
  const prepared = prepareWorstCase(quadratic, { kernels });
  const { rank } = prepared.form;
  const lengths = [productRows * features, rank * features, productRows * rank];
  const workspace = kernels.workspace(workspaceSize(...lengths));
  const [block, basis, rotated] = lengths.map((length) => workspace.float64(length));
  basis.set(prepared.form.basis);
  block.set(points.data.subarray(0, Math.min(block.length, points.data.length)));
  const ask = (wanted: boolean): Case => ({
    name: wanted ? "with worst points" : "values only",
    units: samples,
    run: () => prepared.solve(points, labels, radius, { points: wanted }),
  });
  const product: Case = {
    name: "the product with the basis alone",
    units: productRows,
    run: () => {
      const [rows, d] = [productRows, features];
      workspace.gemm(false, true, rows, rank, d, 1, block, d, basis, d, 0, rotated, rank);
    },
  };
  const after = await compare([product, ask(false), ask(true)], { repeats: context.quick ? 1 : 7 });
  const bar = features === 512 ? { notes: { "bar in us, one core": 25 } } : {};
  context.report({
    title: `${title}: after the shared decomposition (wasm, rank ${rank})`,
    unit: unit.microseconds,
    rows: after,
    ...bar,
  });
}

/** The same with a tenth of the features immutable, in an ellipsoid, and both (math.md 12.4, 12.5), after the decomposition. */
async function measureMoves(context: SuiteContext): Promise<void> {
  const [features, samples] = context.quick ? [30, 100] : [512, 2000];
  const rng = createRng(3);
  const half = Float64Array.from({ length: features * features }, () => rng.normal() / Math.sqrt(features));
  const Q = half.map((value, e) => 0.5 * (value + half[(e % features) * features + Math.floor(e / features)]));
  const quadratic = { dimension: features, Q, q: Float64Array.from({ length: features }, () => rng.normal()), s: 1 };
  const data = Float64Array.from({ length: samples * features }, () => rng.normal());
  const points = { data, shape: [samples, features] };
  const labels = Float64Array.from({ length: samples }, () => (rng.uniform() < 0.5 ? 1 : -1));
  const ellipsoid = new Float64Array(features * features);
  for (let k = 0; k < features; k++) {
    for (let l = 0; l < k; l++) ellipsoid[k * features + l] = (0.3 * rng.normal()) / Math.sqrt(features);
    ellipsoid[k * (features + 1)] = 1 + 0.5 * rng.uniform();
  }
  const immutable = Array.from({ length: Math.floor(features / 10) }, (_, k) => 10 * k);
  const kernels = chooseKernels("wasm");
  const ask = (name: string, moves: MoveOptions): Case => {
    const prepared = prepareWorstCase(quadratic, { ...moves, kernels });
    const radius = 0.25 * Math.sqrt(features);
    return { name, units: samples, run: () => prepared.solve(points, labels, radius, { points: false }) };
  };
  const rows = await compare(
    [
      ask("ball", {}),
      ask(`${immutable.length} features immutable`, { immutable }),
      ask("ellipsoid", { ellipsoid }),
      ask("both", { ellipsoid, immutable }),
    ],
    { repeats: context.quick ? 1 : 7 },
  );
  const title = `${features} features, values only, after the shared decomposition (wasm): what may move`;
  context.report({ title, unit: unit.microseconds, rows });
}

/** Exact distances to the decision boundary (solvers.md 6), decomposition included. */
async function measureFlips(context: SuiteContext): Promise<void> {
  const [features, neurons, samples] = [30, 60, context.quick ? 100 : 20_000];
  const rng = createRng(2);
  const directions = Float64Array.from({ length: neurons * features }, () => rng.normal() / Math.sqrt(features));
  const weights = Float64Array.from({ length: neurons }, () => rng.normal());
  const quadratic = quadraticFromNeurons({ directions, weights, activation: paperActivation }, features);
  const data = Float64Array.from({ length: samples * features }, () => rng.normal());
  const points = { data, shape: [samples, features] };
  const kernels = chooseKernels("wasm");
  const ask = (wanted: boolean): Case => ({
    name: wanted ? "with witnesses" : "distances only",
    units: samples,
    run: () => flipDistances(quadratic, points, { kernels, witnesses: wanted }),
  });
  const rows = await compare([ask(true), ask(false)], { repeats: context.quick ? 1 : 7 });
  const title = `flip distances, ${features} features, ${samples} points (wasm)`;
  context.report({ title, unit: unit.microseconds, rows, notes: { "bar in us a point": 10 } });
}

/** Worst cases over l-infinity boxes (math.md 12.1, 12.2): small ones, where most slopes keep their sign, and large ones. */
async function measureBoxes(context: SuiteContext, features: number): Promise<void> {
  const [neurons, samples] = [20, context.quick ? 4 : 20];
  const rng = createRng(5);
  const directions = Float64Array.from({ length: neurons * features }, () => rng.normal() / Math.sqrt(features));
  const weights = Float64Array.from({ length: neurons }, () => rng.normal());
  const quadratic = quadraticFromNeurons({ directions, weights, activation: paperActivation }, features);
  const data = Float64Array.from({ length: samples * features }, () => rng.normal());
  const points = { data, shape: [samples, features] };
  const labels = Float64Array.from({ length: samples }, () => (rng.uniform() < 0.5 ? 1 : -1));
  const kernels = chooseKernels("wasm");
  for (const epsilon of [0.01, 0.1, 1]) {
    const ask = (name: string, run: () => unknown): Case => ({ name, units: samples, run });
    const rows = await compare(
      [
        ask("attack, coordinate descent", () => linfAttack(quadratic, points, labels, epsilon, { kernels })),
        ask("certified bound", () => linfLowerBounds(quadratic, points, labels, epsilon, { kernels })),
        ask("first box of branch and bound", () =>
          linfWorstCase(quadratic, points, labels, epsilon, { kernels, maxNodes: 1 }),
        ),
      ],
      { repeats: context.quick ? 1 : 3 },
    );
    const { statuses } = linfWorstCase(quadratic, points, labels, epsilon, { kernels, maxNodes: 1 });
    const exact = statuses.filter((status) => status === "optimal").length;
    const title = `l-infinity ${epsilon}, ${features} features, ${samples} samples (wasm)`;
    context.report({ title, unit: unit.microseconds, rows, notes: { "rows exact after the first box": exact } });
  }
}
