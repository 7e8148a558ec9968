// Newton's equations of the interior-point method in the pieces theta (pieces.ts and lossTerms.ts have eliminated everything else).
//   (B_v + C) dv - C dw = b_v + r,  -C dv + (B_w + C) dw = b_w - r     B block-diagonal, C the loss's Hessian in T, r its right-hand side
// One of three systems is built:
//   pieces       the equations as they are, of order 2 P outputs D: the most exact
//   differences  of half that order: with S = B_v^-1 + B_w^-1 = F F' and u = B_v^-1 b_v - B_w^-1 b_w the difference dT = dv - dw is
//                F y,  (I + F'C F) y = F^-1 u + F'r,   and then  B_v dv = b_v + q,  B_w dw = b_w - q,  q = r - C dT = F^-T (y - F^-1 u)
//   terms        without a ball C = Z'Z with one row of Z = h^(1/2) G per term:  (I + Z S Z') q = Z (u + S r),  q = Z dT,
//                B dtheta = b +- (r - Z'q)
// With a ball a term is scoreForm (y'A)^2 + (a remainder), y = x + (mixed / scoreForm) v. The system over terms of the first part, with the
// diagonal blocks of the remainder added to B, is then only a preconditioner, taken where the dense system would be large.
// Every solution is completed by preconditioned conjugate gradients on the unreduced equations: a step or two where the system is exact.

import type { Workspace } from "@worstcase/linalg";
import type { ReluProgram } from "../program/program.js";
import type { GateSums } from "./gateSums.js";
import { addRemainders, formMatrix, patternClasses } from "./lossHessian.js";
import type { LossTerms } from "./lossTerms.js";
import { ParallelBlocks } from "./parallelBlocks.js";
import type { Pieces } from "./pieces.js";

/** Columns of Z built at a time, or rows. */
const CHUNK = 1024;
/** Order 2 P outputs D up to which the system over pieces is built although one over terms would be smaller, with a ball. */
export const DENSE_ORDER = 900;
/** The same order up to which it is taken rather than that over differences. */
const MOST_PIECES = 1800;
/** Terms beyond which the system over differences is taken rather than a larger one over terms, which is more exact. */
const MANY_TERMS = 4000;
const EXACT_STEPS = 12;
const NEARBY_STEPS = 150;
const ACCURACY = 1e-10;

export type SystemKind = "pieces" | "differences" | "terms";

export class NewtonSystem {
  private readonly blocks: number;
  /** P outputs D */
  private readonly order: number;
  private readonly kind: SystemKind;
  private readonly matrix: Float64Array;
  private readonly chunk: Float64Array;
  private readonly piecesStep: Float64Array;
  private readonly force: Float64Array;
  private readonly reaction: Float64Array;
  private readonly direction: Float64Array;
  private readonly image: Float64Array;
  private readonly residual: Float64Array;
  private readonly guess: Float64Array;
  private readonly spare: Float64Array;
  private readonly termVector: Float64Array;
  /** Diagonal blocks of the remainder, `[P outputs, D, D]`, where the system is a preconditioner. */
  private readonly remainder: Float64Array;
  /** C, where the system is the one over pieces. */
  private readonly hessian: Float64Array;
  private readonly rows: Float64Array;
  /** F, where the system is the one over differences. */
  private readonly parallel: ParallelBlocks | null;
  private readonly sumsStep: Float64Array;
  private readonly scoreStep: Float64Array;
  private readonly onScore: Float64Array;
  private readonly onA: Float64Array;
  private readonly classes: Int32Array;

  /** Which system is built; `dense` as DENSE_ORDER. */
  static kind(program: ReluProgram, terms: number, dense: number): SystemKind {
    const order = NewtonSystem.order(program);
    if (terms < order && (program.radius === 0 || order > dense)) {
      return program.radius === 0 && order > MOST_PIECES && terms > Math.max(order / 2, MANY_TERMS)
        ? "differences"
        : "terms";
    }
    return order <= Math.max(MOST_PIECES, dense) ? "pieces" : "differences";
  }

  /** 2 P outputs D */
  static order({ gateCount, outputs, width }: ReluProgram): number {
    return 2 * gateCount * outputs * width;
  }

  static sizes(program: ReluProgram, terms: number, dense: number): number[] {
    const { gateCount, outputs, width, radius } = program;
    const group = NewtonSystem.order(program);
    const order = group / 2;
    const kind = NewtonSystem.kind(program, terms, dense);
    const size = { terms, pieces: group, differences: order }[kind];
    const rows = radius > 0 ? 0 : Math.min(terms, CHUNK) * order;
    const chunk = kind === "terms" ? terms * chunkBlocks(width) * width : rows;
    const blocks = radius > 0 && kind === "terms" ? order * width : 0;
    const hessian = kind === "pieces" ? order * order : 0;
    const parallel = kind === "differences" ? ParallelBlocks.sizes(gateCount * outputs, width) : [];
    const spare = kind === "differences" ? width * Math.max(order, Math.min(terms, CHUNK)) : 0;
    const vectors = [order, order, order, group, group, group, group, group, terms];
    return [size * size, chunk, ...vectors, blocks, hessian, spare, ...parallel];
  }

  constructor(
    private readonly program: ReluProgram,
    private readonly pieces: Pieces,
    private readonly terms: LossTerms,
    private readonly sums: GateSums,
    private readonly workspace: Workspace,
    dense: number,
  ) {
    const { gateCount, outputs, width, radius, featureCount } = program;
    this.blocks = gateCount * outputs;
    this.order = this.blocks * width;
    this.kind = NewtonSystem.kind(program, terms.count, dense);
    const sizes = NewtonSystem.sizes(program, terms.count, dense).slice(0, 14);
    const [matrix, chunk, ...vectors] = sizes.map((size) => workspace.float64(size));
    this.parallel = this.kind === "differences" ? new ParallelBlocks(this.blocks, width, workspace) : null;
    this.matrix = matrix;
    this.chunk = chunk;
    [this.piecesStep, this.force, this.reaction, this.direction, this.image] = vectors;
    [this.residual, this.guess, this.spare, this.termVector, this.remainder, this.hessian, this.rows] =
      vectors.slice(5);
    this.sumsStep = new Float64Array(terms.count * width);
    this.scoreStep = new Float64Array(terms.count);
    this.onScore = new Float64Array(terms.count);
    this.onA = new Float64Array(radius > 0 ? terms.count * featureCount : 0);
    this.classes = radius > 0 && this.kind !== "terms" ? patternClasses(program, terms) : new Int32Array(0);
  }

  /** Builds and factors the system at the present scaling. Returns false when rounding makes that impossible. */
  factor(): boolean {
    const { pieces, terms, workspace, matrix, program } = this;
    terms.scale();
    pieces.form();
    const { order, kind } = this;
    if (kind === "pieces") {
      this.formOverPieces();
      return workspace.potrf(2 * order, matrix, 2 * order) === 0;
    }
    if (this.remainder.length > 0) addRemainders(program, terms, this.remainder);
    if (!pieces.factorBlocks(this.remainder)) return false;
    if (this.parallel === null) {
      this.formOverTerms();
      return workspace.potrf(terms.count, matrix, terms.count) === 0;
    }
    this.parallel.form(pieces.factors);
    this.formHessian(matrix, this.parallel.roots);
    for (let k = 0; k < order; k++) matrix[k * order + k] += 1;
    return workspace.potrf(order, matrix, order) === 0;
  }

  // [B_v + C, -C; -C, B_w + C], lower triangle
  private formOverPieces(): void {
    const { matrix, order, hessian, pieces, program } = this;
    this.formHessian(hessian, null);
    for (let k = 0; k < order; k++) {
      const [above, below] = [2 * k * order, 2 * (order + k) * order];
      for (let j = 0; j < order; j++) {
        const value = hessian[k * order + j];
        matrix[above + j] = value;
        matrix[below + j] = -value;
        matrix[below + order + j] = value;
      }
    }
    addBlocks(pieces.matrices, pieces.groups, program.width, matrix);
  }

  // C, or F'C F with the roots F, `[order, order]`
  private formHessian(out: Float64Array, roots: Float64Array | null): void {
    const { program, terms, workspace, chunk, order, sums, blocks, rows } = this;
    const { width, outputs, gateCount, inputs, radius } = program;
    if (radius > 0) {
      formMatrix(program, terms, this.classes, out, order);
      if (roots !== null) this.scaleBySides(out, roots);
    }
    for (let start = 0; radius === 0 && start < terms.count; start += CHUNK) {
      const count = Math.min(CHUNK, terms.count - start);
      for (let block = 0; block < blocks; block++) {
        const to = chunk.subarray(block * width);
        for (let row = 0; row < count; row++) {
          const k = start + row;
          const i = terms.sample[k];
          const factor = sums.open[i * gateCount + Math.floor(block / outputs)] * this.heightOf(k, block % outputs);
          const [into, stride] = roots === null ? [to, order] : [rows, width];
          for (let j = 0; j < width; j++) into[row * stride + j] = factor * inputs[i * width + j];
        }
        if (roots === null) continue;
        const root = roots.subarray(block * width * width, (block + 1) * width * width);
        workspace.gemm(false, false, count, width, width, 1, rows, width, root, width, 0, to, order);
      }
      workspace.syrk(true, order, count, 1, chunk, order, start === 0 ? 0 : 1, out, order);
    }
  }

  // matrix <- F' matrix F, block row by block row and block column by block column
  private scaleBySides(matrix: Float64Array, roots: Float64Array): void {
    const { workspace, order, blocks, rows, program } = this;
    const { width } = program;
    for (let block = 0; block < blocks; block++) {
      const root = roots.subarray(block * width * width, (block + 1) * width * width);
      const part = matrix.subarray(block * width * order, (block + 1) * width * order);
      rows.set(part);
      workspace.gemm(true, false, width, order, width, 1, root, width, rows, order, 0, part, order);
    }
    for (let block = 0; block < blocks; block++) {
      const root = roots.subarray(block * width * width, (block + 1) * width * width);
      const part = matrix.subarray(block * width);
      for (let row = 0; row < order; row++) {
        for (let j = 0; j < width; j++) rows[row * width + j] = part[row * order + j];
      }
      workspace.gemm(false, false, order, width, width, 1, rows, width, root, width, 0, part, order);
    }
  }

  // I + Z S Z' by column chunks of Z L^-T, B_g = L L'.
  private formOverTerms(): void {
    const { workspace, matrix, chunk, program, terms, sums, pieces } = this;
    const { width, outputs, gateCount, inputs, featureCount: d } = program;
    const perChunk = chunkBlocks(width);
    for (let from = 0; from < pieces.groups; from += perChunk) {
      const count = Math.min(perChunk, pieces.groups - from);
      const columns = count * width;
      for (let k = 0; k < terms.count; k++) {
        const i = terms.sample[k];
        for (let b = 0; b < count; b++) {
          const block = (from + b) % this.blocks;
          const at = k * columns + b * width;
          const factor = sums.open[i * gateCount + Math.floor(block / outputs)] * this.heightOf(k, block % outputs);
          for (let j = 0; j < width; j++) chunk[at + j] = factor * inputs[i * width + j];
          if (terms.cones === null || factor === 0) continue;
          const ratio = (factor * terms.mixed[k]) / terms.scoreForm[k];
          for (let j = 0; j < d; j++) chunk[at + j] += ratio * terms.cones.vector[k * d + j];
        }
      }
      for (let b = 0; b < count; b++) {
        const factor = pieces.factors.subarray((from + b) * width * width, (from + b + 1) * width * width);
        workspace.trsm("right", true, terms.count, width, factor, width, chunk.subarray(b * width), columns);
      }
      workspace.syrk(false, terms.count, columns, 1, chunk, columns, from === 0 ? 0 : 1, matrix, terms.count);
    }
    for (let k = 0; k < terms.count; k++) matrix[k * terms.count + k] += 1;
  }

  // h_k^(1/2) times the coefficient of an output in term k
  private heightOf(k: number, output: number): number {
    const { terms } = this;
    if (output === terms.first[k]) return Math.sqrt(terms.scoreForm[k]) * terms.plus[k];
    return output === terms.second[k] ? -Math.sqrt(terms.scoreForm[k]) : 0;
  }

  /** Solves for the steps of theta (left in pieces.thetaStep), then of everything else, after `aimAt` of both parts. */
  solve(): void {
    const { pieces, terms, sums, order, program, force, piecesStep, direction, image, residual, guess } = this;
    const step = pieces.thetaStep;
    sums.transpose(terms.sideScore, program.radius > 0 ? terms.sideA : null, force);
    for (let k = 0; k < step.length; k++) residual[k] = pieces.side[k] + (k < order ? force[k] : -force[k - order]);
    const whole = Math.sqrt(dot(residual, residual));
    const most = this.kind === "terms" && program.radius > 0 ? NEARBY_STEPS : EXACT_STEPS;
    step.fill(0);
    let before = 0;
    let smallest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < most; round++) {
      const size = Math.sqrt(dot(residual, residual));
      if (!(size > ACCURACY * whole) || size > 1e3 * smallest) break;
      smallest = Math.min(smallest, size);
      guess.set(residual);
      this.precondition(guess);
      const along = dot(guess, residual);
      if (!(along > 0)) break;
      for (let k = 0; k < step.length; k++) direction[k] = guess[k] + (round > 0 ? (along / before) * direction[k] : 0);
      this.apply(direction, image);
      const curvature = dot(direction, image);
      if (!(curvature > 0)) break;
      const length = along / curvature;
      for (let k = 0; k < step.length; k++) {
        step[k] += length * direction[k];
        residual[k] -= length * image[k];
      }
      before = along;
    }
    this.difference(step, piecesStep);
    pieces.step();
    sums.apply(piecesStep, this.sumsStep, this.scoreStep);
    terms.step(this.sumsStep, this.scoreStep);
  }

  // out = the unreduced matrix times theta
  private apply(theta: Float64Array, out: Float64Array): void {
    const { pieces, order, piecesStep, reaction } = this;
    this.difference(theta, piecesStep);
    this.applyHessian(piecesStep, reaction);
    pieces.applyBlocks(theta, out);
    for (let k = 0; k < out.length; k++) out[k] += k < order ? reaction[k] : -reaction[k - order];
  }

  // side <- solution of the built system with right-hand side `side`, `[G, D]`
  private precondition(side: Float64Array): void {
    const { workspace, matrix, pieces, order, terms, piecesStep, termVector, sums, onScore, scoreStep, reaction } =
      this;
    const { parallel, image } = this;
    if (this.kind === "pieces") {
      workspace.trsv(false, 2 * order, matrix, 2 * order, side);
      workspace.trsv(true, 2 * order, matrix, 2 * order, side);
      return;
    }
    if (parallel !== null) {
      pieces.solveBlocks(side);
      this.difference(side, piecesStep);
      parallel.solve(false, piecesStep);
      reaction.set(piecesStep);
      workspace.trsv(false, order, matrix, order, reaction);
      workspace.trsv(true, order, matrix, order, reaction);
      for (let k = 0; k < order; k++) reaction[k] -= piecesStep[k];
      parallel.solve(true, reaction);
      for (let k = 0; k < side.length; k++) image[k] = k < order ? reaction[k] : -reaction[k - order];
      pieces.solveBlocks(image);
      for (let k = 0; k < side.length; k++) side[k] += image[k];
      return;
    }
    const { spare, sumsStep, program, onA } = this;
    const { width, featureCount: d } = program;
    pieces.solveBlocks(side);
    this.difference(side, piecesStep);
    sums.apply(piecesStep, sumsStep, scoreStep);
    for (let k = 0; k < terms.count; k++) {
      if (terms.cones !== null) {
        const ratio = terms.mixed[k] / terms.scoreForm[k];
        for (let j = 0; j < d; j++) scoreStep[k] += ratio * terms.cones.vector[k * d + j] * sumsStep[k * width + j];
      }
      termVector[k] = Math.sqrt(terms.scoreForm[k]) * scoreStep[k];
    }
    workspace.trsv(false, terms.count, matrix, terms.count, termVector);
    workspace.trsv(true, terms.count, matrix, terms.count, termVector);
    for (let k = 0; k < terms.count; k++) {
      onScore[k] = Math.sqrt(terms.scoreForm[k]) * termVector[k];
      if (terms.cones === null) continue;
      const ratio = (onScore[k] * terms.mixed[k]) / terms.scoreForm[k];
      for (let j = 0; j < d; j++) onA[k * d + j] = ratio * terms.cones.vector[k * d + j];
    }
    sums.transpose(onScore, terms.cones === null ? null : onA, reaction);
    for (let k = 0; k < spare.length; k++) spare[k] = k < order ? reaction[k] : -reaction[k - order];
    pieces.solveBlocks(spare);
    for (let k = 0; k < side.length; k++) side[k] -= spare[k];
  }

  /** Steps of these lengths for variables and duals; refreshes the sums and scores of the terms. */
  advance(primal: number, dualLength: number): void {
    const { pieces, terms, sums, piecesStep } = this;
    pieces.advance(primal, dualLength);
    terms.advance(primal, dualLength);
    this.difference(pieces.theta, piecesStep);
    sums.apply(piecesStep, terms.sums, terms.score);
  }

  // out = v - w, or theta itself
  private difference(theta: Float64Array, out: Float64Array): void {
    const { order } = this;
    for (let k = 0; k < order; k++) out[k] = theta[k] - theta[order + k];
  }

  // out = C dT
  private applyHessian(pieces: Float64Array, out: Float64Array): void {
    const { terms, sums, program, sumsStep, scoreStep, onScore, onA } = this;
    const { width, featureCount: d, radius } = program;
    sums.apply(pieces, sumsStep, scoreStep);
    for (let k = 0; k < terms.count; k++) {
      onScore[k] = terms.scoreForm[k] * scoreStep[k];
      if (terms.cones === null) continue;
      const { vector, diagonal } = terms.cones;
      let along = 0;
      for (let j = 0; j < d; j++) along += vector[k * d + j] * sumsStep[k * width + j];
      const common = terms.mixed[k] * scoreStep[k] + terms.outer[k] * along;
      onScore[k] += terms.mixed[k] * along;
      for (let j = 0; j < d; j++) {
        onA[k * d + j] = common * vector[k * d + j] + diagonal[k * d + j] * sumsStep[k * width + j];
      }
    }
    sums.transpose(onScore, radius > 0 ? onA : null, out);
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let k = 0; k < a.length; k++) total += a[k] * b[k];
  return total;
}

// Adds the lower triangles of diagonal blocks [count, width, width] to a matrix of order count width.
function addBlocks(from: Float64Array, count: number, width: number, to: Float64Array): void {
  const order = count * width;
  for (let row = 0; row < order; row++) {
    const start = row - (row % width);
    for (let j = 0; j <= row - start; j++) to[row * order + start + j] += from[row * width + j];
  }
}

function chunkBlocks(width: number): number {
  return Math.max(1, Math.floor(CHUNK / width));
}
