// What a gate outside the program could add (math.md 13.4): violation(g) = max_o ||h_o(g)||_* / beta, h_o = -1/n sum_i d_i(g) G_io, at a
// dual point G scaled to be feasible for the present gates. A gate with violation <= 1 cannot improve the optimum; one above 1 cuts the
// dual point off. Bounds over ALL patterns, sampled or not:
//   group   ||h_o|| <= (||sum_i G_io|| + sqrt(n) sigma_max(G_o)) / (2 n)   (d = (1 + e)/2, e in {-1, 1}^n)   and   <= ||m_o||, see below
//   l1      largest |h_ok| = m_ok = max(sum of positive, sum of negative entries of column k of G_o) / n, exact over all bit columns
// slopes G: [n, outputs, D]   gates: [count, d (+1)]

import { DataError, type NumericBatch } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import type { ReluProgram } from "../program/program.js";
import { GateEvaluator } from "./packedPatterns.js";

export interface ScoredGate {
  readonly gate: Float64Array;
  readonly violation: number;
}

export class CandidateScores {
  private readonly evaluator: GateEvaluator;
  private readonly sums: Float64Array;
  private readonly row: number;

  constructor(
    private readonly program: ReluProgram,
    private readonly features: NumericBatch,
    /** Scaled to be feasible. */
    private readonly slopes: Float64Array,
  ) {
    this.evaluator = new GateEvaluator(features, program.gates.bias);
    this.row = program.outputs * program.width;
    this.sums = new Float64Array(this.row);
  }

  /** Violations of gates `[count, width]`. */
  violations(gates: Float64Array, count: number): Float64Array {
    const { row, slopes } = this;
    const h = new Float64Array(count * row);
    this.evaluator.forEach(gates, count, (p, i, opening) => {
      if (opening < 0) return;
      for (let k = 0; k < row; k++) h[p * row + k] -= slopes[i * row + k];
    });
    return Float64Array.from({ length: count }, (_, p) => this.largest(h.subarray(p * row, (p + 1) * row)).violation);
  }

  private largest(h: Float64Array): { violation: number; output: number } {
    const { outputs, width, samples, beta, regulariser } = this.program;
    let best = { violation: 0, output: 0 };
    for (let o = 0; o < outputs; o++) {
      let size = 0;
      for (let k = o * width; k < (o + 1) * width; k++) {
        size = regulariser === "l1" ? Math.max(size, Math.abs(h[k])) : size + h[k] * h[k];
      }
      const violation = (regulariser === "l1" ? size : Math.sqrt(size)) / (samples * beta);
      if (violation > best.violation) best = { violation, output: o };
    }
    return best;
  }

  /**
   * Local ascent on the violation: gates turn along sum_i sigma'(g'x_i / tau) q_i x_i with q_i = -G_io's, s the direction of h_o; h_o itself is
   * tried as a gate as well. The best gate seen is returned, never worse than the one given.
   */
  improve(start: Float64Array, steps: number): ScoredGate {
    const { program, features, sums, row, slopes } = this;
    const { outputs, width, samples, gates, featureCount } = program;
    const gateWidth = featureCount + (gates.bias ? 1 : 0);
    const openings = new Float64Array(samples);
    const gate = start.slice();
    let best: ScoredGate = { gate: start.slice(), violation: -1 };
    const look = (candidate: Float64Array): number => {
      sums.fill(0);
      let square = 0;
      this.evaluator.forEach(candidate, 1, (_, i, opening) => {
        openings[i] = opening;
        square += opening * opening;
        if (opening >= 0) for (let k = 0; k < row; k++) sums[k] -= slopes[i * row + k];
      });
      const { violation } = this.largest(sums);
      if (violation > best.violation) best = { gate: candidate.slice(), violation };
      return Math.sqrt(square / samples);
    };
    const own = new Float64Array(gateWidth);
    for (let step = 0; step < steps; step++) {
      const scale = look(gate);
      const { output, violation } = this.largest(sums);
      if (violation === 0 || scale === 0) break;
      const h = sums.slice(output * width, (output + 1) * width);
      if (step === 0) {
        own.set(h.subarray(0, Math.min(width, gateWidth)));
        const kept = openings.slice();
        look(own);
        openings.set(kept);
      }
      const tau = scale * Math.max(0.05, 0.5 * 0.7 ** step);
      const turn = new Float64Array(gateWidth);
      for (let i = 0; i < samples; i++) {
        const t = openings[i] / tau;
        if (Math.abs(t) > 30) continue;
        let q = 0;
        for (let k = 0; k < width; k++) q -= slopes[(i * outputs + output) * width + k] * h[k];
        const weight = (q * Math.exp(-Math.abs(t))) / (1 + Math.exp(-Math.abs(t))) ** 2;
        for (let k = 0; k < featureCount; k++) turn[k] += weight * features.data[i * featureCount + k];
        if (gates.bias) turn[featureCount] += weight;
      }
      const size = Math.hypot(...turn);
      if (size === 0) break;
      const length = Math.hypot(...gate);
      for (let k = 0; k < gateWidth; k++) gate[k] += (0.5 * 0.8 ** step * length * turn[k]) / size;
    }
    look(gate);
    return best;
  }
}

/** Upper bound of the violation over every bit column in {0, 1}^n, for slopes scaled to be feasible. */
export function largestViolationOfAnyPattern(program: ReluProgram, slopes: Float64Array): number {
  const { samples, outputs, width, beta, regulariser } = program;
  let largest = 0;
  for (let o = 0; o < outputs; o++) {
    const positive = new Float64Array(width);
    const negative = new Float64Array(width);
    const block = new Float64Array(samples * width);
    for (let i = 0; i < samples; i++) {
      const from = (i * outputs + o) * width;
      for (let k = 0; k < width; k++) {
        const value = slopes[from + k];
        block[i * width + k] = value;
        if (value > 0) positive[k] += value;
        else negative[k] -= value;
      }
    }
    let most = 0;
    let box = 0;
    let total = 0;
    for (let k = 0; k < width; k++) {
      const m = Math.max(positive[k], negative[k]);
      most = Math.max(most, m);
      box += m * m;
      total += (positive[k] - negative[k]) ** 2;
    }
    if (regulariser === "l1") largest = Math.max(largest, most);
    else {
      const sigma = largestSingularValue(block, samples, width);
      largest = Math.max(largest, Math.min(Math.sqrt(box), (Math.sqrt(total) + Math.sqrt(samples) * sigma) / 2));
    }
  }
  return largest / (samples * beta);
}

// A hair above the largest singular value of A [n, D], from the eigenvalues of A'A.
function largestSingularValue(block: Float64Array, samples: number, width: number): number {
  const workspace = chooseKernels().workspace(workspaceSize(samples * width, width * width, width));
  const a = workspace.float64(samples * width);
  const gram = workspace.float64(width * width);
  const values = workspace.float64(width);
  a.set(block);
  workspace.syrk(true, width, samples, 1, a, width, 0, gram, width);
  if (workspace.syevd(width, gram, width, values) > 0) {
    throw new DataError({ argument: "slopes", expected: "finite numbers", received: block });
  }
  return Math.sqrt(Math.max(0, values[width - 1])) * (1 + 1e-8);
}
