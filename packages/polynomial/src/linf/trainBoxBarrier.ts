// Barrier trainer of l-infinity certificates (math.md 24 A and F, appendix A), for sizes whose Newton systems are small:
//   min  t (sum kappa slack + beta (z4 + z4')) - logdet Z - logdet Z' - (barriers of the samples, boxBlocks)
//   over Z, Z' > 0 with <G, Z> = <G, Z'> = 0, along growing t.  S = Z - Z' has the score Sc(S).
// Every iterate is a network whose certified objective is at most `upper`; near the path the inverses of the sample blocks are
// attacks, and with the bound of math.md 7 they certify `lower`. Where the optimum is nearly constant the best attacks are
// mixtures of many, which the descent of trainJoint, with one attack a sample, does not find; the path does.
// q = d + 1, N = q (q + 1) / 2; a Newton step costs about n N^2 d + 3 N^3 operations.

import { type NumericBatch, throwIfAborted } from "@worstcase/core";
import { type Kernels, workspaceSize } from "@worstcase/linalg";
import type { Activation } from "../activation.js";
import { extractNeurons, spectrumOf } from "../exact/extractNeurons.js";
import type { JointHooks, JointOutcome, JointSettings, JointStatus } from "../multiclass/trainJoint.js";
import type { Quadratic } from "../quadratic.js";
import { createSphereSolver } from "../sphere.js";
import { unitRoundoff } from "../worstCase/rotatedForm.js";
import { bestStep } from "./bestStep.js";
import { createBoxBlocks } from "./boxBlocks.js";
import type { BoxAdversary } from "./boxProblem.js";

export interface BoxProgram {
  readonly points: NumericBatch;
  /** +1 / -1, `[samples]` */
  readonly labels: Float64Array;
  /** kappa_i >= 0 with a positive sum, `[samples]` */
  readonly kappa: Float64Array;
  readonly beta: number;
  readonly activation: Activation;
  readonly boxes: BoxAdversary;
  readonly kernels: Kernels;
}

/** Growth of t: the next centre is reached in about these many steps. */
const firstGrowth = 3;
const [fewSteps, manySteps, mostSteps] = [8, 20, 200];
const mostBlind = 10;

/** Of a Newton step. */
export function barrierOperations(samples: number, features: number): number {
  const entries = ((features + 1) * (features + 2)) / 2;
  return samples * entries * entries * (features + 3) + 3 * entries ** 3;
}

export function trainBoxBarrier(problem: BoxProgram, settings: JointSettings, hooks: JointHooks): JointOutcome {
  const { points, labels, kappa, beta, activation, boxes, kernels } = problem;
  const [n, d] = points.shape as [number, number];
  const q = d + 1;
  const corner = q * q - 1;
  const N = (q * (q + 1)) / 2;
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const blocks = createBoxBlocks(points, labels, kappa, boxes, kernels);
  const sphere = createSphereSolver(d, kernels);
  const workspace = kernels.workspace(workspaceSize(4 * N * N, 2 * N * 3, q * q, q * q));
  const system = workspace.float64(4 * N * N);
  const solution = workspace.float64(2 * N * 3);
  const factor = workspace.float64(q * q);
  const unit = workspace.float64(q * q);

  // Entries of symmetric matrices, and the factor that Sc and the two halves give each.
  const pairs = new Int32Array(2 * N);
  const scale = new Float64Array(N);
  const traces = new Float64Array(N);
  for (let k = 0, e = 0; k < q; k++) {
    for (let l = 0; l <= k; l++, e++) {
      pairs[2 * e] = k;
      pairs[2 * e + 1] = l;
      const weight = k < d ? activation.a : l < d ? activation.b / 2 : activation.c;
      scale[e] = weight * (k === l ? 1 : 2);
      if (k === l) traces[e] = k < d ? 1 : -1;
    }
  }
  const raw = new Float64Array(N);
  const gradient = new Float64Array(2 * N);
  const curvature = new Float64Array(N * N);
  const moment = new Float64Array(q * q);
  const matrices = [new Float64Array(q * q), new Float64Array(q * q)];
  const changes = [new Float64Array(q * q), new Float64Array(q * q)];
  const trial = [new Float64Array(q * q), new Float64Array(q * q)];
  const inverses = [new Float64Array(q * q), new Float64Array(q * q)];

  const total = kappa.reduce((sum, weight) => sum + weight, 0);
  let upper = total;
  let lower = 0;
  let best: readonly Float64Array[] | null = null;
  const gapNow = () => (upper - lower) / Math.max(upper, Number.MIN_VALUE);

  let t = blocks.degree / total;
  let growth = firstGrowth;
  const startSize = q / (t * beta * d);
  for (const matrix of matrices) for (let k = 0; k < q; k++) matrix[k * q + k] = startSize * (k < d ? 1 : d);
  blocks.start(t);

  let status: JointStatus = "round-limit";
  let round = 0;
  let evaluations = 0;
  while (round < settings.maxRounds) {
    round++;
    const before = evaluations;
    const ended = centre();
    const steps = evaluations - before;
    if (steps > manySteps) growth = Math.max(1.5, 0.7 * growth);
    else if (steps < fewSteps) growth = Math.min(10, 1.5 * growth);
    hooks.onRound({
      ...{ round, upper, lower, gap: gapNow(), neurons: 2 * q, activeRows: n, evaluations },
      seconds: seconds(),
    });
    if (gapNow() <= settings.tolerance) status = "optimal";
    else if (ended !== null) status = ended;
    else {
      t *= growth;
      continue;
    }
    break;
  }
  if (best === null && status === "optimal") status = "zero-optimal";
  return { status, network: networkOf(best), upper, lower, rounds: round, evaluations };

  /** Newton steps towards the centre for t; null when it is reached, or why training ends. */
  function centre(): JointStatus | null {
    let blind = 0;
    for (let step = 0; step < mostSteps; step++) {
      throwIfAborted(hooks.signal, "l-infinity training");
      if (evaluations >= settings.maxEvaluations) return "evaluation-limit";
      if (seconds() > settings.timeLimitSeconds) return "time-limit";
      evaluations++;
      if (!centrePair() || !blocks.setPoint(t, scoreOf(matrices))) return "stalled";
      const decrement = newton();
      if (!(decrement < Number.POSITIVE_INFINITY)) return "stalled";
      keepIfBetter();
      if (decrement < 0.5) certify();
      if (gapNow() <= settings.tolerance) return null;
      if (decrement < 0.05) return null;
      let length = decrement < 0.25 ? 1 : bestStep(valueAt, decrement);
      if (length === 0) {
        // Near the end rounding hides the decrease of the barrier: the damped step, which needs no value, a few times.
        length = 1 / (1 + decrement);
        if (++blind > mostBlind || valueAt(length) === Number.POSITIVE_INFINITY) return "stalled";
      }
      move(length);
      blocks.advance(length);
    }
    return "stalled";
  }

  /** Inverse of Z or Z' beside it; false when it is not positive definite. */
  function invert(matrix: Float64Array, side: number): boolean {
    factor.set(matrix);
    if (workspace.potrf(q, factor, q) !== 0) return false;
    unit.fill(0);
    for (let k = 0; k < q; k++) unit[k * q + k] = 1;
    workspace.trsm("left", false, q, q, factor, q, unit, q);
    workspace.syrk(true, q, q, 1, unit, q, 0, factor, q);
    inverses[side].set(factor);
    return true;
  }

  /**
   * Moves Z and Z' together, which changes no score, to where their barriers are least, and leaves their inverses: from next to the
   * boundary of the cones Newton steps of all variables at once would creep along it.
   */
  function centrePair(): boolean {
    const size = N + 1;
    for (let step = 0; step < mostSteps; step++) {
      if (!matrices.every(invert)) return false;
      for (let e = 0; e < N; e++) {
        gradient[e] = (e === N - 1 ? 2 * t * beta : 0) - coneGradient(0, e) - coneGradient(1, e);
        for (let g = 0; g <= e; g++) system[e * size + g] = coneCurvature(0, e, g) + coneCurvature(1, e, g);
        solution[2 * e] = -gradient[e];
        solution[2 * e + 1] = traces[e];
      }
      if (workspace.potrf(N, system, size) !== 0) return false;
      workspace.trsm("left", false, N, 2, system, size, solution, 2);
      workspace.trsm("left", true, N, 2, system, size, solution, 2);
      let [defect, square] = [0, 0];
      for (let e = 0; e < N; e++) {
        defect += traces[e] * solution[2 * e];
        square += traces[e] * solution[2 * e + 1];
      }
      let along = 0;
      for (let e = 0; e < N; e++) {
        const value = solution[2 * e] - (defect / square) * solution[2 * e + 1];
        along += gradient[e] * value;
        const [k, l] = [pairs[2 * e], pairs[2 * e + 1]];
        for (const change of changes) {
          change[k * q + l] = value;
          change[l * q + k] = value;
        }
      }
      const decrement = Math.sqrt(Math.max(0, -along));
      if (decrement < 0.02) return true;
      const length = decrement < 0.25 ? 1 : bestStep(pairBarrier, decrement);
      if (length === 0) return true;
      move(length);
    }
    return true;
  }

  /** Derivative of logdet along entry e, and the second one of -logdet along entries e and g. */
  function coneGradient(side: number, e: number): number {
    const [k, l] = [pairs[2 * e], pairs[2 * e + 1]];
    return (k === l ? 1 : 2) * inverses[side][k * q + l];
  }

  function coneCurvature(side: number, e: number, g: number): number {
    const P = inverses[side];
    const [k, l, r, s] = [pairs[2 * e], pairs[2 * e + 1], pairs[2 * g], pairs[2 * g + 1]];
    const weight = 0.5 * (k === l ? 1 : 2) * (r === s ? 1 : 2);
    return weight * (P[k * q + r] * P[l * q + s] + P[k * q + s] * P[l * q + r]);
  }

  function move(length: number): void {
    matrices.forEach((matrix, side) => {
      for (let e = 0; e < q * q; e++) matrix[e] += length * changes[side][e];
    });
  }

  /** The Newton direction into `changes` and the blocks; returns its length in the barrier's norm. */
  function newton(): number {
    raw.fill(0);
    curvature.fill(0);
    blocks.addDerivatives(t, pairs, raw, curvature);
    // In (S, Z'), with Z = S + Z', nothing large cancels.
    const size = 2 * N;
    for (let e = 0; e < N; e++) {
      const price = e === N - 1 ? t * beta : 0;
      gradient[e] = scale[e] * raw[e] + price - coneGradient(0, e);
      gradient[N + e] = 2 * price - coneGradient(0, e) - coneGradient(1, e);
      for (let g = 0; g <= e; g++) {
        const one = coneCurvature(0, e, g);
        system[e * size + g] = scale[e] * scale[g] * curvature[e * N + g] + one;
        system[(N + e) * size + g] = one;
        system[(N + g) * size + e] = one;
        system[(N + e) * size + N + g] = one + coneCurvature(1, e, g);
      }
    }
    if (workspace.potrf(size, system, size) !== 0) return Number.NaN;
    // Columns: -gradient and the two trace conditions.
    for (let e = 0; e < size; e++) {
      solution[3 * e] = -gradient[e];
      solution[3 * e + 1] = e < N ? traces[e] : 0;
      solution[3 * e + 2] = e < N ? 0 : traces[e - N];
    }
    workspace.trsm("left", false, size, 3, system, size, solution, 3);
    workspace.trsm("left", true, size, 3, system, size, solution, 3);
    const products = [0, 0, 0, 0, 0, 0];
    for (let e = 0; e < N; e++) {
      for (let c = 0; c < 3; c++) {
        products[c] += traces[e] * solution[3 * e + c];
        products[3 + c] += traces[e] * solution[3 * (N + e) + c];
      }
    }
    const [r1, a11, a12, r2, a21, a22] = products;
    const determinant = a11 * a22 - a12 * a21;
    const first = (r1 * a22 - r2 * a12) / determinant;
    const second = (r2 * a11 - r1 * a21) / determinant;
    let along = 0;
    for (let e = 0; e < N; e++) {
      const [k, l] = [pairs[2 * e], pairs[2 * e + 1]];
      const score = solution[3 * e] - first * solution[3 * e + 1] - second * solution[3 * e + 2];
      const f = 3 * (N + e);
      const negative = solution[f] - first * solution[f + 1] - second * solution[f + 2];
      [score + negative, negative].forEach((value, side) => {
        changes[side][k * q + l] = value;
        changes[side][l * q + k] = value;
        if (e === N - 1) along += t * beta * value;
        along -= (k === l ? 1 : 2) * inverses[side][k * q + l] * value;
      });
    }
    along += blocks.setDirection(t, scoreOf(changes));
    return Math.sqrt(Math.max(0, -along));
  }

  function valueAt(length: number): number {
    const value = pairBarrier(length);
    if (value === Number.POSITIVE_INFINITY) return value;
    return value + blocks.barrier(t, scoreOf(trial), length);
  }

  /** t beta (z4 + z4') - logdet Z - logdet Z' after a step, which stays in `trial`. */
  function pairBarrier(length: number): number {
    let value = 0;
    for (let side = 0; side < 2; side++) {
      for (let e = 0; e < q * q; e++) trial[side][e] = matrices[side][e] + length * changes[side][e];
      factor.set(trial[side]);
      if (workspace.potrf(q, factor, q) !== 0) return Number.POSITIVE_INFINITY;
      for (let k = 0; k < q; k++) value -= 2 * Math.log(factor[k * q + k]);
      value += t * beta * trial[side][corner];
    }
    return value;
  }

  function keepIfBetter(): void {
    const value = blocks.loss() + beta * (matrices[0][corner] + matrices[1][corner]);
    if (!(value < upper)) return;
    upper = value;
    best = matrices.map((matrix) => matrix.slice());
  }

  /** The bound of math.md 7 for the attacks of the present point. */
  function certify(): void {
    const { mass, squares } = blocks.moments(t, moment);
    const { a, b, c } = activation;
    const square = new Float64Array(d * d);
    const linear = new Float64Array(d);
    for (let k = 0; k < d; k++) {
      for (let l = 0; l < d; l++) square[k * d + l] = 0.5 * a * (moment[k * q + l] + moment[l * q + k]);
      linear[k] = b * moment[d * q + k];
    }
    const { maximum, minimum } = sphere.solve(square, linear, c * moment[corner]);
    const sizes = a * squares + Math.abs(b) * Math.sqrt(squares * mass) + Math.abs(c) * mass;
    const error = 4 * (n + 4 * d + 32) * unitRoundoff * sizes;
    const norm = Math.max(maximum.bound, -minimum.bound) + error;
    const bound = (norm <= beta ? 1 : beta / norm) * mass * (1 - 4 * (n + 8) * unitRoundoff);
    if (Number.isFinite(bound) && bound > lower) lower = bound;
  }

  /** Sc(Z - Z') as a score. */
  function scoreOf([positive, negative]: readonly Float64Array[]): Quadratic {
    const { a, b, c } = activation;
    const Q = new Float64Array(d * d);
    const slope = new Float64Array(d);
    for (let k = 0; k < d; k++) {
      for (let l = 0; l < d; l++) Q[k * d + l] = a * (positive[k * q + l] - negative[k * q + l]);
      slope[k] = b * (positive[d * q + k] - negative[d * q + k]);
    }
    return { dimension: d, Q, q: slope, s: c * (positive[corner] - negative[corner]) };
  }

  function networkOf(pair: readonly Float64Array[] | null): JointOutcome["network"] {
    const vectors: number[] = [];
    const signs: number[] = [];
    pair?.forEach((matrix, side) => {
      const { directions, sizes } = extractNeurons(spectrumOf(matrix, q, kernels), 0);
      sizes.forEach((size, j) => {
        for (let l = 0; l < d; l++) vectors.push(Math.sqrt(size) * directions[j * d + l]);
        signs.push(side === 0 ? 1 : -1);
      });
    });
    return {
      vectors: Float64Array.from(vectors),
      signs: Float64Array.from(signs),
      blocks: new Int32Array(signs.length),
      count: signs.length,
    };
  }
}
