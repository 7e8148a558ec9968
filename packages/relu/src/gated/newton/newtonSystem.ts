// Newton's equations of the smoothed gated program on a working set of gates.
//   F(T) = 1/n sum terms(A) + beta sum_g tau_g,  tau_g = sqrt(||t_g||^2 + mu^2) per group (per coordinate for l1)
//   gradient  1/n sum_i d_i kron slopes_i + beta t/tau
//   Hessian   1/n sum_i (d_i d_i') kron (curvature of the terms of sample i) + beta/tau (I - (rho t' + t rho')/(2 tau)),
// rho, ||rho|| <= 1: the lagged dual of the group norm (smoothNorm.ts says why).
// point, step, gradient: [N], N = gates outputs D   sums, slopes: [n, outputs D]   bits: [n, gates]

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { ReluProgram } from "../../program/program.js";
import { DenseHessian } from "./denseHessian.js";
import type { HessianSolver } from "./hessianSolver.js";
import { LowRankHessian } from "./lowRankHessian.js";
import type { SmoothTerms, TermSums } from "./smoothTerms.js";

/** Largest order of a dense Hessian, and most columns of a structured one. */
const LARGEST_ORDER = 3000;
const MOST_COLUMNS = 5000;

export class NewtonSystem {
  /** N */
  size = 0;
  gates: Int32Array = new Int32Array(0);
  point!: Float64Array;
  step!: Float64Array;
  gradient!: Float64Array;
  sums!: Float64Array;
  slopes!: Float64Array;
  readonly out: TermSums = { smooth: 0, loss: 0, linear: 0, quadratic: 0 };
  private readonly row: number;
  private workspace!: Workspace;
  private capacity = 0;
  private start = 0;
  private bits!: Float64Array;
  private stepSums!: Float64Array;
  private trialSums!: Float64Array;
  private hessian!: HessianSolver;
  private tau = new Float64Array(0);
  private rho = new Float64Array(0);

  /** Whether a working set of this many gates is within memory and reasonable time. */
  static fits(program: ReluProgram, gates: number): boolean {
    if (LowRankHessian.suits(program, gates)) return program.samples + gates <= MOST_COLUMNS;
    return gates * program.outputs * program.width <= LARGEST_ORDER;
  }

  constructor(
    private readonly program: ReluProgram,
    private readonly terms: SmoothTerms,
    private readonly kernels: Kernels,
  ) {
    this.row = program.outputs * program.width;
  }

  /** Takes `gates` as the working set, with `pieces` `[P, outputs, D]` as the point; keeps the duals of gates that stay. */
  setGates(gates: Int32Array, pieces: Float64Array, mu: number): void {
    const { row, program } = this;
    const { samples, gateCount } = program;
    const kept = new Map<number, Float64Array>();
    this.gates.forEach((p, slot) => {
      kept.set(p, this.rho.slice(slot * row, (slot + 1) * row));
    });
    this.gates = gates;
    this.size = gates.length * row;
    const size = this.size;
    const lengths = [size, size, size, samples * gates.length];
    const sampleLengths = [samples * row, samples * row, samples * row, samples * row];
    const needed = workspaceSize(...lengths, ...sampleLengths);
    if (needed > this.capacity) {
      this.capacity = Math.ceil(needed * (this.capacity > 0 ? 1.5 : 1));
      this.workspace = this.kernels.workspace(this.capacity);
      this.start = this.workspace.mark();
    } else this.workspace.release(this.start);
    const take = (length: number) => this.workspace.float64(length);
    [this.point, this.step, this.gradient] = [take(size), take(size), take(size)];
    this.bits = take(samples * gates.length);
    this.hessian = LowRankHessian.suits(program, gates.length)
      ? new LowRankHessian(program, gates, this.kernels)
      : new DenseHessian(program, gates, this.kernels);
    this.tau = new Float64Array(size / this.groupLength);
    [this.sums, this.slopes, this.stepSums, this.trialSums] = sampleLengths.map(take) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    this.rho = new Float64Array(size);
    gates.forEach((p, slot) => {
      this.point.set(pieces.subarray(p * row, (p + 1) * row), slot * row);
      const old = kept.get(p);
      if (old) this.rho.set(old, slot * row);
      for (let i = 0; i < samples; i++) this.bits[i * gates.length + slot] = program.bits[i * gateCount + p];
    });
    for (let from = 0; from < size; from += this.groupLength) {
      const tau = this.tauOf(this.point, from, mu);
      if (kept.has(gates[Math.floor(from / row)])) continue;
      for (let k = from; k < from + this.groupLength; k++) this.rho[k] = this.point[k] / tau;
    }
    this.product(this.point, this.sums);
  }

  /** Length of a regularised group: D, or 1 for l1. */
  get groupLength(): number {
    return this.program.regulariser === "l1" ? 1 : this.program.width;
  }

  /** F at the point; fills slopes, gradient and `out`. */
  evaluate(mu: number): number {
    const { samples, beta } = this.program;
    const { gates, row, slopes, gradient, point } = this;
    this.terms.evaluate(this.sums, mu, slopes, this.out);
    this.workspace.gemm(
      true,
      false,
      gates.length,
      row,
      samples,
      1 / samples,
      this.bits,
      gates.length,
      slopes,
      row,
      0,
      gradient,
      row,
    );
    let penalty = 0;
    for (let from = 0; from < this.size; from += this.groupLength) {
      const tau = this.tauOf(point, from, mu);
      penalty += tau;
      for (let k = from; k < from + this.groupLength; k++) gradient[k] += (beta * point[k]) / tau;
    }
    return this.out.smooth + beta * penalty;
  }

  /**
   * One damped Newton step from the point, whose F is `value`. Returns the decrease of F that the quadratic model promises
   * (g'H^-1 g / 2) and the step length taken, 0 when no decrease was found.
   */
  newtonStep(value: number, mu: number): { decrement: number; length: number } {
    const { size, step, gradient, point, sums } = this;
    const { groupLength, tau, rho } = this;
    for (let g = 0; g < tau.length; g++) tau[g] = this.tauOf(point, g * groupLength, mu);
    const factorised = this.hessian.factorise({ groupLength, point, rho, tau }, (sink) =>
      this.terms.curvatures(sums, mu, sink),
    );
    if (!factorised) return { decrement: 0, length: 0 };
    for (let k = 0; k < size; k++) step[k] = -gradient[k];
    this.hessian.solve(step);
    let slope = 0;
    for (let k = 0; k < size; k++) slope += gradient[k] * step[k];
    if (!(slope < 0)) return { decrement: 0, length: 0 };
    this.product(step, this.stepSums);
    const trial: TermSums = { smooth: 0, loss: 0, linear: 0, quadratic: 0 };
    let length = 1;
    for (let attempt = 0; attempt < 30; attempt++) {
      for (let k = 0; k < sums.length; k++) this.trialSums[k] = sums[k] + length * this.stepSums[k];
      this.terms.evaluate(this.trialSums, mu, null, trial);
      const next = trial.smooth + this.program.beta * this.penaltyAlong(length, mu);
      if (next <= value + 1e-4 * length * slope + 1e-14 * Math.abs(value)) {
        this.terms.moveLags(sums, this.stepSums, mu, length);
        this.moveDuals(mu, length);
        for (let k = 0; k < size; k++) point[k] += length * step[k];
        this.product(point, sums);
        return { decrement: -slope / 2, length };
      }
      length /= 2;
    }
    this.terms.reset();
    return { decrement: -slope / 2, length: 0 };
  }

  /** Largest group norm (l1: entry) of the gradient, divided by beta: by so much a group may exceed what the dual allows. */
  residual(): number {
    let largest = 0;
    for (let from = 0; from < this.size; from += this.groupLength) {
      let square = 0;
      for (let k = from; k < from + this.groupLength; k++) square += this.gradient[k] * this.gradient[k];
      largest = Math.max(largest, square);
    }
    return Math.sqrt(largest) / this.program.beta;
  }

  /** Writes the point into `pieces` `[P, outputs, D]`. */
  writePieces(pieces: Float64Array): void {
    pieces.fill(0);
    this.gates.forEach((p, slot) => {
      pieces.set(this.point.subarray(slot * this.row, (slot + 1) * this.row), p * this.row);
    });
  }

  private product(point: Float64Array, sums: Float64Array): void {
    const { gates, row } = this;
    const { samples } = this.program;
    this.workspace.gemm(false, false, samples, row, gates.length, 1, this.bits, gates.length, point, row, 0, sums, row);
  }

  private tauOf(point: Float64Array, from: number, mu: number): number {
    let square = mu * mu;
    for (let k = from; k < from + this.groupLength; k++) square += point[k] * point[k];
    return Math.sqrt(square);
  }

  private penaltyAlong(length: number, mu: number): number {
    const { point, step } = this;
    let penalty = 0;
    for (let from = 0; from < this.size; from += this.groupLength) {
      let square = mu * mu;
      for (let k = from; k < from + this.groupLength; k++) square += (point[k] + length * step[k]) ** 2;
      penalty += Math.sqrt(square);
    }
    return penalty;
  }

  // rho + d rho, d rho = t/tau - rho + (I - rho t'/tau) dt/tau, pulled back into the unit ball
  private moveDuals(mu: number, length: number): void {
    const { point, step, rho, groupLength } = this;
    for (let from = 0; from < this.size; from += groupLength) {
      const tau = this.tauOf(point, from, mu);
      let along = 0;
      for (let k = from; k < from + groupLength; k++) along += point[k] * step[k];
      along *= length / tau;
      let square = 0;
      for (let k = from; k < from + groupLength; k++) {
        rho[k] = (point[k] + length * step[k] - rho[k] * along) / tau;
        square += rho[k] * rho[k];
      }
      if (square > 1) for (let k = from; k < from + groupLength; k++) rho[k] /= Math.sqrt(square);
    }
  }
}
