// The gated program of any loss, norm and regulariser as a composite problem for accelerated proximal steps: the smoothed terms of
// newton/smoothTerms.ts, whose width mu shrinks when smoothing makes up the gap.
// T: [P, outputs, D]   sums, slopes: [n, outputs, D]

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import { squaredReach } from "../ballSupport.js";
import { type Objective, regulariserOf } from "../program/objective.js";
import type { ReluProgram } from "../program/program.js";
import type { CompositeProblem } from "../proximal/minimise.js";
import { type Metric, PlainMetric, SharedMetric, sharedMetric } from "../proximal/sharedMetric.js";
import { SmoothTerms, type TermSums } from "./newton/smoothTerms.js";
import { hingeDataOf } from "./robustHinge.js";

const FIRST_MU = 0.1;
const SHRINK = 0.5;

export interface TermsState {
  readonly best: Objective;
  readonly bestWeights: Float64Array;
  readonly numbers: readonly [mu: number, dualSum: number, lastLoss: number, smooth: number, loss: number];
  readonly metric: Float64Array;
}

export class TermsProblem implements CompositeProblem {
  readonly length: number;
  readonly groupLength: number;
  readonly beta: number;
  readonly metric: Metric;
  readonly bestWeights: Float64Array;
  best: Objective;
  dualSum = 0;
  lastLoss = 0;
  private mu = FIRST_MU;
  private readonly terms: SmoothTerms;
  private readonly bits: Float64Array;
  private readonly sums: Float64Array;
  private readonly slopes: Float64Array;
  private readonly row: number;
  private readonly out: TermSums = { smooth: 0, loss: 0, linear: 0, quadratic: 0 };

  static sizes({ samples, gateCount, outputs, width }: ReluProgram): number[] {
    return [
      samples * gateCount,
      samples * outputs * width,
      samples * outputs * width,
      ...SharedMetric.sizes(gateCount, width),
    ];
  }

  static workspaceSize(program: ReluProgram, more: readonly number[]): number {
    return workspaceSize(...TermsProblem.sizes(program), ...more);
  }

  constructor(
    private readonly program: ReluProgram,
    private readonly workspace: Workspace,
  ) {
    const { samples, gateCount, outputs, width, beta, regulariser, norm, radius, featureCount } = program;
    this.row = outputs * width;
    this.length = gateCount * this.row;
    this.groupLength = regulariser === "l1" ? 1 : width;
    this.beta = beta;
    this.terms = new SmoothTerms(program);
    [this.bits, this.sums, this.slopes] = TermsProblem.sizes(program)
      .slice(0, 3)
      .map((size) => workspace.float64(size)) as [Float64Array, Float64Array, Float64Array];
    this.bits.set(program.bits);
    const data = { ...hingeDataOf(program), classCount: outputs };
    this.metric =
      regulariser === "l1"
        ? new PlainMetric(1)
        : sharedMetric(data, squaredReach(norm, radius, featureCount), workspace);
    this.bestWeights = new Float64Array(this.length);
    this.terms.evaluate(new Float64Array(samples * this.row), this.mu, null, this.out);
    this.best = { total: this.out.loss, loss: this.out.loss, regulariser: 0 };
  }

  /** The smaller mu is, the more steps are due: it shrinks only where this is much of the gap, not where l1 duals are slow. */
  get smoothingError(): number {
    return Math.abs(this.out.smooth - this.out.loss);
  }

  value(point: Float64Array): number {
    this.evaluate(point, null);
    return this.out.smooth;
  }

  valueAndGradient(point: Float64Array, gradient: Float64Array): number {
    const { samples, gateCount } = this.program;
    const { row, slopes, bits } = this;
    this.evaluate(point, slopes);
    this.dualSum = this.out.linear - this.out.quadratic;
    this.workspace.gemm(
      true,
      false,
      gateCount,
      row,
      samples,
      1 / samples,
      bits,
      gateCount,
      slopes,
      row,
      0,
      gradient,
      row,
    );
    return this.out.smooth;
  }

  recentre(): void {
    this.mu *= SHRINK;
  }

  keepBest(point: Float64Array): void {
    const { loss } = this.out;
    const regulariser = this.beta * regulariserOf(this.program, point);
    this.lastLoss = loss + regulariser;
    if (this.lastLoss >= this.best.total) return;
    this.best = { total: this.lastLoss, loss, regulariser };
    this.bestWeights.set(point);
  }

  state(): TermsState {
    const numbers = [this.mu, this.dualSum, this.lastLoss, this.out.smooth, this.out.loss] as const;
    return { best: this.best, bestWeights: this.bestWeights.slice(), numbers, metric: this.metric.state() };
  }

  restore(state: TermsState): void {
    this.best = state.best;
    this.bestWeights.set(state.bestWeights);
    [this.mu, this.dualSum, this.lastLoss, this.out.smooth, this.out.loss] = state.numbers;
    this.metric.restore(state.metric);
  }

  private evaluate(point: Float64Array, slopes: Float64Array | null): void {
    const { samples, gateCount } = this.program;
    const { row, sums, bits } = this;
    this.workspace.gemm(false, false, samples, row, gateCount, 1, bits, gateCount, point, row, 0, sums, row);
    this.terms.evaluate(sums, this.mu, slopes, this.out);
  }
}
