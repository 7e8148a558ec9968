// Robust Weston-Watkins hinge of a gated model with the gates held fixed on the ball (math.md 13.3), value and gradient.
//   B_ic = sum_p d_pi t_pc,  A_ic = B_iy - B_ic,  u_ic = 1 - x_i'A_ic + radius ||A_ic||_{q*}
//   loss = kappa sum_i sum_{c != y_i} max(0, u_ic),  kappa = 1/n
// Smoothed from below: the norm by N_mu of ballSupport.ts; the hinge, with w the smoothing width and a centre abar in [0, 1], by
//   max_{0 <= a <= 1} a u - w/2 (a - abar)^2,  a = clip(abar + u/w, 0, 1),
// which for abar = 0 is the Huber hinge. Moving the centres to the latest a (`recentre`) is the method of multipliers: the smoothing
// error at the solution then vanishes although w stays. For l1 and linf the norm gets centres in the same way. The gradient defines dual weights alpha_ic = kappa a_ic and z_ic in the ball; with G_ic = alpha_ic (x_i - z_ic) for c != y and
// G_iy = -sum_c G_ic the gradient is D'G, computed over rows in chunks that stay in cache; rows without a positive hinge are skipped.
// Both products have a factor of zeros and ones, kept as packed bits: about half the work of products of numbers (`gemmBits`).
// weights T: [P, C, D]   D = d, or d+1 with an immutable constant coordinate   bits d: [n, P]   B, G: [rows, C D]

import type { NumericBatch } from "@worstcase/core";
import type { Workspace } from "@worstcase/linalg";
import {
  dualExponentOf,
  lengthOf,
  normExponent,
  type PerturbationNorm,
  smoothedSupport,
  squaredReach,
} from "../ballSupport.js";
import { type ReluProgram, withConstant } from "../program/program.js";
import { PairScreen, type ScreenState } from "./pairScreen.js";

export interface HingeData {
  readonly features: NumericBatch;
  readonly labels: Int32Array;
  readonly classCount: number;
  readonly bits: Uint8Array;
  readonly gateCount: number;
  /** Whether a constant 1 is appended to the features; perturbations do not move it. */
  readonly bias: boolean;
  readonly norm: PerturbationNorm;
  readonly radius: number;
}

/** The data of a program; two classes become two columns. */
export function hingeDataOf(program: ReluProgram): HingeData {
  const { samples, featureCount, width, labels, classCount, bits, gateCount, bias, norm, radius } = program;
  const data = new Float64Array(samples * featureCount);
  for (let i = 0; i < samples; i++) {
    data.set(program.inputs.subarray(i * width, i * width + featureCount), i * featureCount);
  }
  return {
    features: { data, shape: [samples, featureCount] },
    labels,
    classCount,
    bits,
    gateCount,
    bias,
    norm,
    radius,
  };
}

export interface HingeValue {
  /** Smoothed mean loss. */
  smooth: number;
  /** Mean loss without smoothing. */
  loss: number;
  /** Sum of the dual weights alpha that belong to the gradient. */
  dualSum: number;
}

export interface HingeState {
  readonly centres: Float64Array;
  readonly ballCentres: Float32Array | null;
  readonly screen: ScreenState;
}

/** What the gated problem needs of an evaluator, in one thread or several. */
export interface HingeEvaluator {
  readonly width: number;
  readonly hasBallCentres: boolean;
  evaluate(
    weights: Float64Array,
    smoothing: number,
    normSmoothing: number,
    gradient: Float64Array | null,
    value: HingeValue,
  ): void;
  recentre(weights: Float64Array, smoothing: number, normSmoothing: number): void;
  state(): unknown;
  restore(state: never): void;
}

export class RobustHinge implements HingeEvaluator {
  readonly width: number;
  readonly pieces: number;
  readonly samples: number;
  private readonly rows: number;
  private readonly moved: number;
  private readonly reach: number;
  private readonly inputs: Float64Array;
  /** Words of 64 bits in a row of patterns. */
  private readonly words: number;
  private readonly patterns: Uint32Array;
  private readonly gateChunk: Float64Array;
  private readonly gateHalves: Uint32Array;
  private readonly productChunk: Float64Array;
  private readonly attack: Float64Array;
  private readonly centres: Float64Array;
  private readonly ballCentres: Float32Array | null;
  private readonly shifted: Float64Array;
  private recentring = false;
  private refreshing = false;
  private readonly screen: PairScreen;
  private readonly largestNorm: boolean;
  private readonly sumNorm: boolean;
  private readonly dualExponent: number;

  /** Share of the samples that the last evaluation had to visit. */
  get evaluatedShare(): number {
    return this.screen.count / this.samples;
  }

  get hasBallCentres(): boolean {
    return this.ballCentres !== null;
  }

  /** Numbers this evaluator takes from the workspace, at most; `rowLength` is C D. */
  static sizes(samples: number, gateCount: number, rowLength: number): number[] {
    const rows = chunkRows(samples, rowLength);
    return [rows * wordsOf(gateCount), rows * rowLength, gateCount * rowLength];
  }

  constructor(
    private readonly data: HingeData,
    private readonly workspace: Workspace,
  ) {
    const featureCount = data.features.shape[1];
    this.samples = data.features.shape[0];
    this.moved = featureCount;
    this.width = featureCount + (data.bias ? 1 : 0);
    this.pieces = data.classCount * this.width;
    this.rows = chunkRows(this.samples, this.pieces);
    this.inputs = withConstant(data.features, data.bias);
    this.words = wordsOf(data.gateCount);
    this.patterns = packedRows(data.bits, this.samples, data.gateCount);
    this.gateChunk = workspace.float64(this.rows * this.words);
    this.gateHalves = new Uint32Array(this.gateChunk.buffer, this.gateChunk.byteOffset, 2 * this.gateChunk.length);
    this.productChunk = workspace.float64(this.rows * this.pieces);
    const shifts = workspace.float64(data.gateCount * data.classCount);
    this.screen = new PairScreen(data, this.width, {
      chunk: this.rows,
      sums: (rows, from, count, found) => {
        shifts.set(found);
        this.gatherPatterns(rows, from, count);
        this.multiply(count, data.classCount, shifts);
        return this.productChunk;
      },
    });
    this.centres = new Float64Array(this.samples * data.classCount);
    const directions = this.samples * data.classCount * featureCount;
    const centred = normExponent(data.norm) !== 2 && data.radius > 0 && directions <= MOST_CENTRES;
    this.ballCentres = centred ? new Float32Array(directions) : null;
    this.shifted = new Float64Array(featureCount);
    this.attack = new Float64Array(featureCount);
    this.reach = squaredReach(data.norm, data.radius, featureCount);
    const q = normExponent(data.norm);
    this.largestNorm = q === 1;
    this.sumNorm = q === Number.POSITIVE_INFINITY;
    this.dualExponent = dualExponentOf(data.norm);
  }

  /**
   * Value at `weights` [P, C D] (a workspace array) and, when `gradient` [P, C D] is given, its gradient there.
   * `smoothing` > 0 is the width of the smoothed hinge; the norm is smoothed so that it errs by at most half of `normSmoothing`.
   */
  evaluate(
    weights: Float64Array,
    smoothing: number,
    normSmoothing: number,
    gradient: Float64Array | null,
    value: HingeValue,
  ): void {
    const { gateCount } = this.data;
    const mu = this.reach > 0 ? normSmoothing / this.reach : 1;
    value.smooth = 0;
    value.loss = 0;
    value.dualSum = 0;
    gradient?.fill(0);
    this.refreshing = this.screen.select(weights, this.centres, smoothing, gradient !== null);
    // Pairs left out have multiplier 0 and contribute the constant -w/2 abar^2.
    const { needed } = this.screen;
    for (let pair = 0; pair < needed.length; pair++) {
      if (needed[pair] !== 0) continue;
      value.smooth -= (smoothing / 2) * this.centres[pair] * this.centres[pair];
      if (this.recentring) this.centres[pair] = 0;
    }
    for (let from = 0; from < this.screen.count; from += this.rows) {
      const count = Math.min(this.rows, this.screen.count - from);
      const { words, pieces, gateChunk, productChunk } = this;
      this.gatherPatterns(this.screen.rows, from, count);
      this.multiply(count, pieces, weights);
      const active = this.hingeRows(from, count, smoothing, mu, gradient !== null, value);
      if (gradient !== null && active > 0) {
        this.workspace.gemmBits(
          ...([true, gateCount, pieces, active, 1 / this.samples] as const),
          ...([gateChunk, words, productChunk, pieces, 1, gradient, pieces] as const),
        );
      }
    }
    value.smooth /= this.samples;
    value.loss /= this.samples;
    value.dualSum /= this.samples;
  }

  /** Moves the centres of hinges (and, for l1 and linf, of the balls) to the maximisers at `weights`. */
  recentre(weights: Float64Array, smoothing: number, normSmoothing: number): void {
    this.recentring = true;
    this.evaluate(weights, smoothing, normSmoothing, null, { smooth: 0, loss: 0, dualSum: 0 });
    this.recentring = false;
  }

  /** Everything that later evaluations depend on besides their arguments. */
  state(): HingeState {
    const { centres, ballCentres, screen } = this;
    return { centres: centres.slice(), ballCentres: ballCentres?.slice() ?? null, screen: screen.state() };
  }

  restore(state: HingeState): void {
    this.centres.set(state.centres);
    if (state.ballCentres !== null) this.ballCentres?.set(state.ballCentres);
    this.screen.restore(state.screen);
  }

  // N_mu of -A at B[rival ..], with the quadratic taken around the pair's own centre zbar: z'a - mu/2 ||z - zbar||^2.
  private support(rival: number, pair: number, mu: number): number {
    const { norm, radius } = this.data;
    const { productChunk: B, ballCentres, moved, attack, shifted } = this;
    if (ballCentres === null) return smoothedSupport(B, rival, moved, norm, radius, mu, attack);
    const from = pair * moved;
    let square = 0;
    for (let k = 0; k < moved; k++) {
      const centre = ballCentres[from + k];
      shifted[k] = B[rival + k] + mu * centre;
      square += centre * centre;
    }
    const value = smoothedSupport(shifted, 0, moved, norm, radius, mu, attack) - (mu / 2) * square;
    if (this.recentring) ballCentres.set(attack, from);
    return value;
  }

  // productChunk = patterns of the chunk times `right` [P, columns].
  private multiply(count: number, columns: number, right: Float64Array): void {
    const { words, gateChunk, productChunk, workspace } = this;
    workspace.gemmBits(
      ...([false, count, columns, this.data.gateCount, 1] as const),
      ...([gateChunk, words, right, columns, 0, productChunk, columns] as const),
    );
  }

  private gatherPatterns(rows: Int32Array, from: number, count: number): void {
    const { patterns, gateHalves } = this;
    const length = 2 * this.words;
    for (let row = 0; row < count; row++) {
      const start = rows[from + row] * length;
      const to = row * length;
      for (let k = 0; k < length; k++) gateHalves[to + k] = patterns[start + k];
    }
  }

  // Turns rows of B into rows of G in place and moves those that are not zero to the front; returns their number.
  private hingeRows(
    from: number,
    count: number,
    smoothing: number,
    mu: number,
    wanted: boolean,
    value: HingeValue,
  ): number {
    const { classCount, labels } = this.data;
    const { width, pieces, moved, inputs, attack, screen, productChunk: B } = this;
    const length = 2 * this.words;
    let active = 0;
    for (let row = 0; row < count; row++) {
      const sample = screen.rows[from + row];
      const label = labels[sample];
      const x = sample * width;
      const own = row * pieces + label * width;
      const out = active * pieces;
      let any = false;
      for (let c = 0; c < classCount; c++) {
        if (c === label) continue;
        const rival = row * pieces + c * width;
        const pair = sample * classCount + c;
        if (screen.needed[pair] === 0) {
          if (wanted) B.fill(0, rival, rival + width);
          continue;
        }
        const centre = this.centres[pair];
        const excess = 1 + this.worstScore(own, rival, x);
        if (this.refreshing) screen.excess[pair] = excess;
        if (excess > 0) value.loss += excess;
        let a = 0;
        let u = 0;
        if (centre + excess / smoothing > 0) {
          // B at `rival` now holds -A; the attack on A is minus the attack on -A.
          u = 1 + this.plainScore + this.support(rival, pair, mu);
          a = Math.max(0, Math.min(1, centre + u / smoothing));
        }
        value.smooth += a * u - (smoothing / 2) * (a - centre) * (a - centre);
        if (this.recentring) this.centres[pair] = a;
        if (a === 0) {
          if (wanted) B.fill(0, rival, rival + width);
          continue;
        }
        value.dualSum += a;
        if (!wanted) continue;
        any = true;
        for (let k = 0; k < moved; k++) B[rival + k] = a * (inputs[x + k] + attack[k]);
        if (width > moved) B[rival + moved] = a * inputs[x + moved];
      }
      if (any) {
        B.fill(0, own, own + width);
        for (let c = 0; c < classCount; c++) {
          if (c === label) continue;
          const rival = row * pieces + c * width;
          for (let k = 0; k < width; k++) B[own + k] -= B[rival + k];
        }
        if (active !== row) {
          B.copyWithin(out, row * pieces, (row + 1) * pieces);
          this.gateHalves.copyWithin(active * length, row * length, (row + 1) * length);
        }
        active++;
      }
    }
    return active;
  }

  private plainScore = 0;

  // Writes -A = B_c - B_y over B_c, leaves x'(-A) in plainScore and returns x'(-A) + radius ||A||_{q*}.
  private worstScore(own: number, rival: number, x: number): number {
    const { productChunk: B, inputs, width, moved } = this;
    let score = 0;
    let size = 0;
    if (this.sumNorm) {
      for (let k = 0; k < moved; k++) {
        const a = B[rival + k] - B[own + k];
        B[rival + k] = a;
        score += a * inputs[x + k];
        size += Math.abs(a);
      }
    } else if (this.largestNorm) {
      for (let k = 0; k < moved; k++) {
        const a = B[rival + k] - B[own + k];
        B[rival + k] = a;
        score += a * inputs[x + k];
        const t = Math.abs(a);
        if (t > size) size = t;
      }
    } else {
      for (let k = 0; k < moved; k++) {
        const a = B[rival + k] - B[own + k];
        B[rival + k] = a;
        score += a * inputs[x + k];
        size += a * a;
      }
      size = this.dualExponent === 2 ? Math.sqrt(size) : lengthOf(B, rival, moved, this.dualExponent);
    }
    if (width > moved) {
      const a = B[rival + moved] - B[own + moved];
      B[rival + moved] = a;
      score += a * inputs[x + moved];
    }
    this.plainScore = score;
    return score + this.data.radius * size;
  }
}

/** Most numbers kept for ball centres (float32: 400 MB); beyond, the norm is smoothed without centres. */
const MOST_CENTRES = 1e8;

/** Rows per chunk: about 2 MiB of products, at most 1024 rows. */
function chunkRows(samples: number, rowLength: number): number {
  return Math.max(1, Math.min(samples, 1024, Math.max(32, Math.floor(262144 / rowLength))));
}

const wordsOf = (gateCount: number) => Math.ceil(gateCount / 64);

/** Bits `[n, P]`, 64 to a word, column by column from the lowest bit of the lowest byte (`gemmBits`); words as two halves. */
function packedRows(bits: Uint8Array, samples: number, gateCount: number): Uint32Array {
  const length = 8 * wordsOf(gateCount);
  const bytes = new Uint8Array(samples * length);
  for (let i = 0; i < samples; i++) {
    for (let p = 0; p < gateCount; p++) {
      if (bits[i * gateCount + p] !== 0) bytes[i * length + (p >> 3)] |= 1 << (p & 7);
    }
  }
  return new Uint32Array(bytes.buffer);
}
