// Exact feasibility of cone pieces. The margin m(v) = min_i s_pi x_i'v - radius ||v||_{q*} is concave and positively homogeneous, so
// m(v + tau e) >= m(v) + tau m(e): with an interior direction e of the cone (m(e) > 0), tau = -m(v) / m(e) makes v feasible.
// A piece whose cone has no interior direction found is dropped; zero is always feasible.
// Interior directions: the gate itself, then the margin perceptron e <- e + (s_i x_i - z) at the worst sample i with its attack z.
// pieces: [2, P, C, D]   directions: [P, D]

import { normOf } from "@worstcase/core";
import { ballSupport, smoothedSupport } from "../ballSupport.js";
import type { HingeData } from "../gated/robustHinge.js";
import type { GateSet } from "../patterns/gateSet.js";
import { withConstant } from "../program/program.js";
import type { RobustCones } from "./robustCones.js";

export interface Interiors {
  /** Unit vectors, `[P, D]`. */
  readonly directions: Float64Array;
  /** Their margins, `[P]`; <= 0 where no interior direction was found. */
  readonly margins: Float64Array;
}

/** An interior direction of each gate's robust cone, where one is found within a bounded number of perceptron rounds. */
export function interiorDirections(data: HingeData, gates: GateSet): Interiors {
  const samples = data.features.shape[0];
  const moved = data.features.shape[1];
  const width = moved + (data.bias ? 1 : 0);
  const inputs = withConstant(data.features, data.bias);
  const directions = new Float64Array(data.gateCount * width);
  const margins = new Float64Array(data.gateCount).fill(Number.NEGATIVE_INFINITY);
  const rounds = Math.max(5, Math.min(500, Math.floor(1e9 / (samples * width * data.gateCount))));
  const gateWidth = moved + (gates.bias ? 1 : 0);
  const current = new Float64Array(width);
  const attack = new Float64Array(moved);
  for (let p = 0; p < data.gateCount; p++) {
    const seed = gates.gates.subarray(p * gateWidth, (p + 1) * gateWidth);
    for (let k = 0; k < width; k++) current[k] = k < gateWidth ? seed[k] : 0;
    normalise(current);
    for (let round = 0; round < rounds; round++) {
      let worst = Number.POSITIVE_INFINITY;
      let at = 0;
      for (let i = 0; i < samples; i++) {
        let score = 0;
        for (let k = 0; k < width; k++) score += inputs[i * width + k] * current[k];
        if (data.bits[i * data.gateCount + p] === 0) score = -score;
        if (score < worst) {
          worst = score;
          at = i;
        }
      }
      const size = normOf(current, "l2");
      const margin = (worst - ballSupport(current, 0, moved, data.norm, data.radius)) / size;
      if (size > 0 && margin > margins[p]) {
        margins[p] = margin;
        for (let k = 0; k < width; k++) directions[p * width + k] = current[k] / size;
      }
      smoothedSupport(current, 0, moved, data.norm, data.radius, 1e-9, attack);
      const sign = data.bits[at * data.gateCount + p] === 0 ? -1 : 1;
      const length = normOf(inputs, "l2", at * width, (at + 1) * width) || 1;
      for (let k = 0; k < width; k++) {
        current[k] += (sign * inputs[at * width + k] - (k < moved ? attack[k] : 0)) / length;
      }
    }
  }
  return { directions, margins };
}

/** Copies `pieces` to `out` with every violating piece moved into its cone, or dropped when there is no interior or `drop`. */
export function repairPieces(
  pieces: Float64Array,
  cones: RobustCones,
  interiors: Interiors,
  classCount: number,
  drop: boolean,
  out: Float64Array,
): void {
  const gateCount = interiors.margins.length;
  const groups = 2 * gateCount * classCount;
  const width = pieces.length / groups;
  const margins = new Float64Array(groups);
  out.set(pieces);
  for (let attempt = 0; attempt < 3; attempt++) {
    cones.margins(out, margins);
    let clean = true;
    for (let g = 0; g < groups; g++) {
      if (margins[g] >= 0) continue;
      clean = false;
      const gate = Math.floor(g / classCount) % gateCount;
      const room = interiors.margins[gate];
      if (drop || !(room > 0) || attempt === 2) out.fill(0, g * width, (g + 1) * width);
      else {
        const step = (-margins[g] / room) * (1 + 1e-9) + 1e-15;
        for (let k = 0; k < width; k++) out[g * width + k] += step * interiors.directions[gate * width + k];
      }
    }
    if (clean) return;
  }
}

function normalise(vector: Float64Array): void {
  const size = normOf(vector, "l2");
  if (size > 0) for (let k = 0; k < vector.length; k++) vector[k] /= size;
}
