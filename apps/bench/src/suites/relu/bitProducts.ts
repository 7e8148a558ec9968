// Packed patterns times pieces, the product that dominates a step: 768 samples, 500 gates, ten classes of 513 coordinates. The float32 kernels of
// fitGatedLarge, gemmBits of linalg in float64, and a dense float32 product on native TensorFlow, where it is installed, and on the wasm backend.

import { createRng } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { tf, useBackend } from "@worstcase/tensor";
// not public: these kernels serve one trainer
import { Kernel32, padded } from "../../../../../packages/relu/src/large/kernel32.js";
import { type Case, compare } from "../../harness/compare.js";
import { type SuiteContext, unit } from "../../harness/suite.js";

const [samples, gates, columns] = [768, 500, 5130];

export async function measureBitProducts(context: SuiteContext): Promise<void> {
  const rng = createRng(1);
  const open = Uint8Array.from({ length: samples * gates }, () => (rng.uniform() < 0.5 ? 1 : 0));
  const pieces = Float32Array.from({ length: gates * columns }, () => rng.normal());
  const step = 8 * Math.ceil(gates / 64);
  const packed = new Uint8Array(samples * step);
  for (let k = 0; k < open.length; k++) {
    const [i, p] = [Math.floor(k / gates), k % gates];
    if (open[k]) packed[i * step + (p >> 3)] |= 1 << (p & 7);
  }
  const cases: Case[] = [];
  const units = 2 * samples * gates * columns;

  const stride = padded(columns);
  const kernel = new Kernel32(4 * stride * (gates + samples) + samples * step + 4096, 0);
  const [b, c, bits] = [
    kernel.take(4 * stride * gates),
    kernel.take(4 * stride * samples),
    kernel.take(samples * step),
  ];
  kernel.bytes(bits, samples * step).set(packed);
  const right = kernel.floats(b, gates * stride);
  for (let p = 0; p < gates; p++) right.set(pieces.subarray(p * columns, (p + 1) * columns), p * stride);
  const ours = () => kernel.run.forward(samples, stride, gates, bits, step, b, 4 * stride, c, 4 * stride);
  cases.push({ name: "float32 kernels, 1 thread", units, run: ours });

  const kernels = chooseKernels();
  const sizes = [(samples * step) / 8, gates * columns, samples * columns];
  const workspace = kernels.workspace(workspaceSize(...sizes));
  const [d, w, out] = sizes.map((size) => workspace.float64(size));
  new Uint8Array(d.buffer, d.byteOffset, d.byteLength).set(packed);
  w.set(pieces);
  const float64 = () => workspace.gemmBits(false, samples, columns, gates, 1, d, step / 8, w, columns, 0, out, columns);
  cases.push({ name: `gemmBits, float64, ${kernels.name}, 1 thread`, units, run: float64 });

  for (const name of ["tfjs-node", "wasm"] as const) {
    try {
      await useBackend(name);
    } catch (error) {
      context.skip(name, (error as Error).message);
      continue;
    }
    const left = tf.tensor2d(Float32Array.from(open), [samples, gates]);
    const dense = tf.tensor2d(pieces, [gates, columns]);
    cases.push({
      name: `tf.matMul, ${name}${name === "wasm" ? ", 1 thread" : ", all threads"}`,
      units,
      run: async () => {
        await useBackend(name);
        const product = tf.matMul(left, dense);
        await product.data();
        product.dispose();
      },
    });
  }
  const rows = await compare(cases, { repeats: context.quick ? 1 : 9, leastSeconds: 0, budgetSeconds: 30 });
  ours();
  float64();
  let difference = 0;
  const found = kernel.floats(c, samples * stride);
  for (let i = 0; i < samples; i++) {
    for (let j = 0; j < columns; j++)
      difference = Math.max(difference, Math.abs(found[i * stride + j] - out[i * columns + j]));
  }
  context.report({
    title: `${samples} x ${gates} bits times ${gates} x ${columns}, as if each bit were a multiplication and an addition`,
    unit: unit.gigaflops,
    rows,
    notes: { "largest difference of float32 and float64": difference },
  });
}
