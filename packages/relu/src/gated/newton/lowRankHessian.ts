// The Hessian of the smoothed gated program for one output, factorised through its structure: a matrix that couples gates but not
// coordinates, plus few columns of either sign.
//   H = M + U U' - W W',   M = blocks over coordinates k:  M_k = 1/n sum_i spread_i delta_ik d_i d_i' + Diag(beta / tau_p)
//   U: d_i kron w_i sqrt(weight_i/n), d_i kron x_i sqrt(bend_i/n), and e_p kron (rho_p - t_p/tau_p)/2 sqrt(beta/tau_p)
//   W: d_i kron v_i sqrt(spread_i c_i/n), and e_p kron (rho_p + t_p/tau_p)/2 sqrt(beta/tau_p)
//   (l1: beta/tau (1 - rho t/tau) goes to the diagonal of M_k, no columns)
// With G = [U W]' M^-1 [U W], A = I + G_UU and C = I - G_WW + G_WU A^-1 G_UW are positive definite exactly when H is, and
//   H^-1 b = y + M^-1 (W c - U A^-1 (U'y + G_UW c)),   y = M^-1 b,  c = C^-1 (W'y - G_WU A^-1 U'y).
// Cost: columns^2 (gates D + columns) instead of (gates D)^3. Refined by the residual.
// gates: P   vectors: [P, D]   columns: bits [columns, P] times vectors [columns, D]

import { type Kernels, type Workspace, workspaceSize } from "@worstcase/linalg";
import type { ReluProgram } from "../../program/program.js";
import { Columns } from "./columns.js";
import { type GroupCurvature, type HessianSolver, NEGLIGIBLE } from "./hessianSolver.js";
import type { CurvatureSink, SmoothTerms } from "./smoothTerms.js";

/** Below this order, and below this multiple of the samples (which bound the columns), one dense factor is cheaper. */
const DENSE_ORDER = 250;
const DENSE_RATIO = 1.3;

export class LowRankHessian implements HessianSolver {
  static suits(program: ReluProgram, gates: number): boolean {
    return program.outputs === 1 && gates * program.width > Math.max(DENSE_ORDER, DENSE_RATIO * program.samples);
  }

  private readonly width: number;
  private readonly count: number;
  /** M_k and its factor, `[blocks, P, P]`; block of coordinate k is `blockOf(k)`. */
  private readonly blocks: number;
  private readonly matrix: Float64Array;
  private readonly plus: Columns;
  private readonly minus: Columns;
  private readonly bits: Float64Array;
  private readonly scaled: Float64Array;
  private readonly kernels: Kernels;
  private workspace!: Workspace;
  private factors!: Float64Array;
  private a!: Float64Array;
  private c!: Float64Array;
  private mixed!: Float64Array;
  private plusRight!: Float64Array;
  private minusRight!: Float64Array;
  private spare!: Float64Array;
  private weighted!: Float64Array;
  private vector!: Float64Array;
  private product!: Float64Array;
  private spareBlock!: Float64Array;
  private vectors!: Float64Array;
  private gram!: Float64Array;
  private spareGram!: Float64Array;
  private plusRoom = 0;
  private minusRoom = 0;
  private readonly image: Float64Array;
  private readonly residual: Float64Array;
  private readonly uniform: boolean;

  constructor(
    private readonly program: ReluProgram,
    gates: Int32Array,
    kernels: Kernels,
  ) {
    const { samples, width, gateCount, dualExponent, regulariser, radius, bias } = program;
    this.kernels = kernels;
    this.width = width;
    this.count = gates.length;
    this.uniform = regulariser === "group" && (dualExponent === 2 || radius === 0);
    this.blocks = this.uniform ? (bias ? 2 : 1) : width;
    this.matrix = new Float64Array(this.blocks * this.count * this.count);
    this.bits = new Float64Array(samples * this.count);
    for (let i = 0; i < samples; i++) {
      for (let slot = 0; slot < this.count; slot++) {
        this.bits[i * this.count + slot] = program.bits[i * gateCount + gates[slot]];
      }
    }
    this.plus = new Columns(2 * samples + this.count, width, this.bits, this.count);
    this.minus = new Columns(samples + this.count, width, this.bits, this.count);
    this.scaled = new Float64Array(this.blocks * samples);
    this.image = new Float64Array(this.count * width);
    this.residual = new Float64Array(this.count * width);
  }

  factorise(groups: GroupCurvature, forEachTerm: (sink: CurvatureSink) => void): boolean {
    this.plus.count = 0;
    this.minus.count = 0;
    this.scaled.fill(0);
    forEachTerm((sample, _plus, _minus, term) => this.addTerm(sample, term));
    this.addGroupColumns(groups);
    this.takeMemory();
    this.buildBlocks(groups);
    const { count, blocks, matrix, factors, workspace } = this;
    for (let block = 0; block < blocks; block++) {
      const view = factors.subarray(block * count * count, (block + 1) * count * count);
      view.set(matrix.subarray(block * count * count, (block + 1) * count * count));
      if (workspace.potrf(count, view, count) !== 0) return false;
    }
    return this.buildSmall();
  }

  solve(right: Float64Array): void {
    const { image, residual } = this;
    const given = right.slice();
    this.applyInverse(right);
    let last = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 4; round++) {
      this.apply(right, image);
      let square = 0;
      let size = 0;
      for (let k = 0; k < given.length; k++) {
        residual[k] = given[k] - image[k];
        square += residual[k] * residual[k];
        size += given[k] * given[k];
      }
      if (!(square < 0.25 * last) || square <= 1e-20 * size) return;
      last = square;
      this.applyInverse(residual);
      for (let k = 0; k < given.length; k++) right[k] += residual[k];
    }
  }

  private blockOf(k: number): number {
    return this.uniform ? (k < this.program.featureCount ? 0 : 1) : k;
  }

  private addTerm(i: number, term: SmoothTerms): void {
    const { inputs, width, featureCount, samples, beta } = this.program;
    const { norm } = term;
    if (term.weight > NEGLIGIBLE * beta) this.plus.add(i, Math.sqrt(term.weight / samples), term.w, 0, width);
    if (term.bend > NEGLIGIBLE * beta) this.plus.add(i, Math.sqrt(term.bend / samples), inputs, i * width, width);
    if (!(term.spread > NEGLIGIBLE * beta)) return;
    if (norm.c > 0) this.minus.add(i, Math.sqrt((term.spread * norm.c) / samples), norm.v, 0, featureCount);
    for (let block = 0; block < this.blocks; block++) {
      if (block < featureCount && !(this.uniform && block === 1)) {
        this.scaled[block * samples + i] = (term.spread * norm.delta[block]) / samples;
      }
    }
  }

  private addGroupColumns({ groupLength, point, rho, tau }: GroupCurvature): void {
    if (groupLength === 1) return;
    const { width, count } = this;
    const half = new Float64Array(width);
    for (let p = 0; p < count; p++) {
      const factor = Math.sqrt(this.program.beta / tau[p]) / 2;
      let difference = 0;
      for (let k = 0; k < width; k++) {
        half[k] = rho[p * width + k] - point[p * width + k] / tau[p];
        difference = Math.max(difference, Math.abs(half[k]));
      }
      if (difference > 1e-8) this.plus.add(-1 - p, factor, half, 0, width);
      for (let k = 0; k < width; k++) half[k] = rho[p * width + k] + point[p * width + k] / tau[p];
      this.minus.add(-1 - p, factor, half, 0, width);
    }
  }

  // Memory for this number of columns; grown with room to spare.
  private takeMemory(): void {
    const { count, blocks, plus, minus } = this;
    if (this.workspace !== undefined && plus.count <= this.plusRoom && minus.count <= this.minusRoom) return;
    this.plusRoom = Math.max(this.plusRoom, Math.ceil(1.2 * plus.count));
    this.minusRoom = Math.max(this.minusRoom, Math.ceil(1.2 * minus.count));
    const [u, w] = [this.plusRoom, this.minusRoom];
    const order = Math.max(1, u + w);
    const needed = workspaceSize(
      ...[blocks * count * count, u * u, w * w, order * order, u, w, order * count, this.program.samples * count],
      ...[count, count, count * count],
      ...(this.uniform ? [order * this.width, order * order, order * order] : []),
    );
    this.workspace = this.kernels.workspace(needed);
    const take = (length: number) => this.workspace.float64(length);
    this.factors = take(blocks * count * count);
    this.a = take(u * u);
    this.c = take(w * w);
    this.mixed = take(order * order);
    this.plusRight = take(u);
    this.minusRight = take(w);
    this.spare = take(order * count);
    this.weighted = take(this.program.samples * count);
    this.vector = take(count);
    this.product = take(count);
    this.spareBlock = take(count * count);
    if (!this.uniform) return;
    this.vectors = take(order * this.width);
    this.gram = take(order * order);
    this.spareGram = take(order * order);
  }

  private buildBlocks({ groupLength, point, rho, tau }: GroupCurvature): void {
    const { count, blocks, matrix, bits, scaled, width, workspace, factors } = this;
    const { samples, beta, featureCount } = this.program;
    for (let block = 0; block < blocks; block++) {
      const out = factors.subarray(block * count * count, (block + 1) * count * count);
      const moved = this.program.radius > 0 && block < featureCount && !(this.uniform && block === 1);
      if (moved) {
        let used = 0;
        for (let i = 0; i < samples; i++) {
          const factor = Math.sqrt(scaled[block * samples + i]);
          if (factor === 0) continue;
          for (let p = 0; p < count; p++) this.weighted[used * count + p] = factor * bits[i * count + p];
          used++;
        }
        workspace.syrk(true, count, used, 1, this.weighted, count, 0, out, count);
      } else out.fill(0);
      for (let p = 0; p < count; p++) {
        const k = p * width + block;
        const own = groupLength === 1 ? (beta / tau[k]) * (1 - (rho[k] * point[k]) / tau[k]) : beta / tau[p];
        out[p * (count + 1)] += own;
      }
      for (let p = 0; p < count; p++) out[p * (count + 1)] *= 1 + 1e-14;
      matrix.set(out, block * count * count);
    }
  }

  // G over all columns (plus first), then the factors of A and C.
  private buildSmall(): boolean {
    const { plus, minus, mixed, a, c, workspace } = this;
    const total = plus.count + minus.count;
    if (total === 0) return true;
    this.buildGram(total);
    const [u, w] = [plus.count, minus.count];
    for (let j = 0; j < u; j++) {
      for (let k = 0; k < u; k++) a[j * u + k] = mixed[j * total + k] + (j === k ? 1 : 0);
    }
    if (u > 0 && workspace.potrf(u, a, u) !== 0) return false;
    if (w === 0) return true;
    // mixed[0 .. u, u .. total] <- L^-1 G_UW
    const cross = mixed.subarray(u);
    if (u > 0) workspace.trsm("left", false, u, w, a, u, cross, total);
    for (let shift = 1e-14; shift < 1e-3; shift *= 100) {
      for (let j = 0; j < w; j++) {
        for (let k = 0; k < w; k++) c[j * w + k] = -mixed[(u + j) * total + u + k] + (j === k ? 1 + shift : 0);
      }
      if (u > 0) workspace.gemm(true, false, w, w, u, 1, cross, total, cross, total, 1, c, w);
      if (workspace.potrf(w, c, w) === 0) return true;
    }
    return false;
  }

  private buildGram(total: number): void {
    const { plus, minus, mixed, spare, count, width, workspace } = this;
    if (this.uniform) {
      this.hadamardGram(total);
      return;
    }
    mixed.fill(0);
    for (let k = 0; k < width; k++) {
      plus.fill(spare, 0, k);
      minus.fill(spare, plus.count, k);
      this.halfSolve(this.blockOf(k), total);
      workspace.syrk(false, total, count, 1, spare, count, 1, mixed, total);
    }
  }

  // M_k equal for all moved coordinates: G = (bits M^-1 bits') o (vectors vectors'), and the same for the constant coordinate.
  private hadamardGram(total: number): void {
    const { plus, minus, mixed, spare, count, width, workspace, vectors, gram } = this;
    const moved = this.program.featureCount;
    for (let block = 0; block < this.blocks; block++) {
      plus.fill(spare, 0, -1);
      minus.fill(spare, plus.count, -1);
      this.halfSolve(block, total);
      vectors.set(plus.vectors.subarray(0, plus.count * width));
      vectors.set(minus.vectors.subarray(0, minus.count * width), plus.count * width);
      const length = block === 0 ? moved : 1;
      workspace.syrk(false, total, length, 1, block === 0 ? vectors : vectors.subarray(moved), width, 0, gram, total);
      const target = block === 0 ? mixed : this.spareGram;
      workspace.syrk(false, total, count, 1, spare, count, 0, target, total);
      if (block === 0) for (let k = 0; k < total * total; k++) mixed[k] *= gram[k];
      else for (let k = 0; k < total * total; k++) mixed[k] += gram[k] * target[k];
    }
  }

  // rows of spare [total, P] <- rows times L^-T
  private halfSolve(block: number, total: number): void {
    const { count, factors, spare, workspace } = this;
    const l = factors.subarray(block * count * count, (block + 1) * count * count);
    workspace.trsm("right", true, total, count, l, count, spare, count);
  }

  // right <- M^-1 right
  private applyBlocks(right: Float64Array): void {
    const { count, width, factors, workspace, vector } = this;
    for (let k = 0; k < width; k++) {
      const block = this.blockOf(k);
      const l = factors.subarray(block * count * count, (block + 1) * count * count);
      for (let p = 0; p < count; p++) vector[p] = right[p * width + k];
      workspace.trsv(false, count, l, count, vector);
      workspace.trsv(true, count, l, count, vector);
      for (let p = 0; p < count; p++) right[p * width + k] = vector[p];
    }
  }

  private applyInverse(right: Float64Array): void {
    const { plus, minus, plusRight, minusRight, mixed, a, c, workspace } = this;
    const [u, w] = [plus.count, minus.count];
    const total = u + w;
    this.applyBlocks(right);
    if (total === 0) return;
    const correction = new Float64Array(right.length);
    plus.correlate(right, plusRight);
    minus.correlate(right, minusRight);
    // with E = L^-1 G_UW in `mixed`: A^-1 = L^-T L^-1
    if (u > 0) workspace.trsv(false, u, a, u, plusRight);
    if (w > 0) {
      for (let j = 0; j < w; j++) {
        let sum = minusRight[j];
        for (let i = 0; i < u; i++) sum -= mixed[i * total + u + j] * plusRight[i];
        minusRight[j] = sum;
      }
      workspace.trsv(false, w, c, w, minusRight);
      workspace.trsv(true, w, c, w, minusRight);
      for (let i = 0; i < u; i++) {
        let sum = plusRight[i];
        for (let j = 0; j < w; j++) sum += mixed[i * total + u + j] * minusRight[j];
        plusRight[i] = sum;
      }
      minus.combine(minusRight, 1, correction);
    }
    if (u > 0) {
      workspace.trsv(true, u, a, u, plusRight);
      plus.combine(plusRight, -1, correction);
    }
    this.applyBlocks(correction);
    for (let k = 0; k < right.length; k++) right[k] += correction[k];
  }

  // out = H x
  private apply(x: Float64Array, out: Float64Array): void {
    const { count, width, matrix, plus, minus, plusRight, minusRight } = this;
    const { vector, product, workspace, spareBlock } = this;
    let loaded = -1;
    for (let k = 0; k < width; k++) {
      const block = this.blockOf(k);
      if (block !== loaded) spareBlock.set(matrix.subarray(block * count * count, (block + 1) * count * count));
      loaded = block;
      for (let p = 0; p < count; p++) vector[p] = x[p * width + k];
      workspace.symv(count, 1, spareBlock, count, vector, 0, product);
      for (let p = 0; p < count; p++) out[p * width + k] = product[p];
    }
    plus.correlate(x, plusRight);
    minus.correlate(x, minusRight);
    plus.combine(plusRight, 1, out);
    minus.combine(minusRight, -1, out);
  }
}
