// The subsampled convex program seen from a network: the patterns of its neurons, and the largest pull of given slopes on any neuron with
// one of these patterns (math.md 13.1, 13.6).
//   q_p = -1/n sum_i d_pi x_i v_i'   [D, outputs]
//   one output    pull_p = max over u in K_p, ||u|| <= 1, of |q_p'u| = max(||Pi_K(q_p)||, ||Pi_K(-q_p)||), K_p = {u : (2 d_pi - 1) x_i'u >= 0}
//   more outputs  pull_p <= sigma_max(q_p), which drops the cone: an upper bound, so what follows from it stays a lower bound of the optimum
// A network whose pulls stay within beta cannot be improved by any neurons with these patterns.
// inputs: [n, D]   bits: [n, P]   slopes v: [n, outputs]

import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import type { ReluProgram } from "../program/program.js";
import { projectOnPolyhedron } from "../recovery/polyhedronProjection.js";

/** Gradient block q_p, `[outputs, D]`. */
export function pullOf(program: ReluProgram, slopes: Float64Array, p: number): Float64Array {
  const { samples, gateCount, outputs, width, inputs, bits } = program;
  const q = new Float64Array(outputs * width);
  for (let i = 0; i < samples; i++) {
    if (bits[i * gateCount + p] === 0) continue;
    for (let o = 0; o < outputs; o++) {
      const v = slopes[i * outputs + o] / samples;
      if (v !== 0) for (let k = 0; k < width; k++) q[o * width + k] -= v * inputs[i * width + k];
    }
  }
  return q;
}

/** Projection of q on the cone of pattern p. Its length never falls short of that of the true projection (weak duality). */
export function projectOnCone(program: ReluProgram, p: number, q: Float64Array): Float64Array {
  const { samples, gateCount, width, inputs, bits } = program;
  const rows = inputs.slice();
  for (let i = 0; i < samples; i++) {
    if (bits[i * gateCount + p] === 0) for (let k = i * width; k < (i + 1) * width; k++) rows[k] = -rows[k];
  }
  return projectOnPolyhedron(rows, new Float64Array(samples), q).point;
}

/** Upper bound of the pulls of all patterns; exact up to rounding for one output. */
export function largestPull(program: ReluProgram, slopes: Float64Array): number {
  const { gateCount, outputs } = program;
  let largest = 0;
  for (let p = 0; p < gateCount; p++) {
    const q = pullOf(program, slopes, p);
    if (outputs > 1) largest = Math.max(largest, spectralNorm(q, outputs, program.width));
    else if (Math.hypot(...q) > largest) {
      for (const side of [q, q.map((value) => -value)]) {
        largest = Math.max(largest, Math.hypot(...projectOnCone(program, p, side)));
      }
    }
  }
  return largest * (1 + 1e-12);
}

function spectralNorm(q: Float64Array, outputs: number, width: number): number {
  const workspace = chooseKernels().workspace(workspaceSize(outputs * outputs, outputs));
  const gram = workspace.float64(outputs * outputs);
  const values = workspace.float64(outputs);
  for (let a = 0; a < outputs; a++) {
    for (let b = 0; b < outputs; b++) {
      for (let k = 0; k < width; k++) gram[a * outputs + b] += q[a * width + k] * q[b * width + k];
    }
  }
  workspace.syevd(outputs, gram, outputs, values);
  return Math.sqrt(Math.max(0, values[outputs - 1])) * (1 + 1e-8);
}
