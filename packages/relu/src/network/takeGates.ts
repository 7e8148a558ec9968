// A program over some of its gates.

import type { ReluProgram } from "../program/program.js";

/** The same program over the gates at `picked`. */
export function takeGates(program: ReluProgram, picked: Int32Array): ReluProgram {
  const { samples, gateCount, bits, gates } = program;
  const count = picked.length;
  const width = gates.featureCount + (gates.bias ? 1 : 0);
  const kept = new Uint8Array(samples * count);
  const vectors = new Float64Array(count * width);
  const scales = new Float64Array(count);
  picked.forEach((p, k) => {
    for (let i = 0; i < samples; i++) kept[i * count + k] = bits[i * gateCount + p];
    vectors.set(gates.gates.subarray(p * width, (p + 1) * width), k * width);
    scales[k] = gates.scales[p];
  });
  return { ...program, gateCount: count, bits: kept, gates: { ...gates, gates: vectors, count, scales } };
}
