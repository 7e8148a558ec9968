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

/** Pieces of the picked gates `[2, picked, outputs, D]` to their places among all gates in `to`; the rest become zero. */
export function putGates(
  { gateCount, outputs, width }: ReluProgram,
  from: Float64Array,
  picked: Int32Array,
  to: Float64Array,
): void {
  const row = outputs * width;
  to.fill(0);
  for (let side = 0; side < 2; side++) {
    picked.forEach((p, k) => {
      const at = (side * picked.length + k) * row;
      to.set(from.subarray(at, at + row), (side * gateCount + p) * row);
    });
  }
}

/** The reverse: pieces of the picked gates from those of all. */
export function piecesOf(
  { gateCount, outputs, width }: ReluProgram,
  from: Float64Array,
  picked: Int32Array,
): Float64Array {
  const row = outputs * width;
  const to = new Float64Array(2 * picked.length * row);
  for (let side = 0; side < 2; side++) {
    picked.forEach((p, k) => {
      const at = (side * gateCount + p) * row;
      to.set(from.subarray(at, at + row), (side * picked.length + k) * row);
    });
  }
  return to;
}
