// Which robust cones {v : s_i x_i'v >= radius ||v||_{q*} for all i} (s_i = 2 d_pi - 1) hold more than zero, with proof either way.
//   margin(v) = min_i s_i x_i'v / ||v||_{q*} (the constant coordinate is not counted in the norm)
// open:   a direction with margin > radius lies strictly inside.
// closed: weights gamma >= 0 of sum 1, balanced over the two signs when there is a constant coordinate, give for every v
//   min_i s_i x_i'v <= (sum gamma_i s_i x_i)'v <= ||sum gamma_i s_i x_i||_q ||v||_{q*},   so a length below radius leaves only v = 0 (Gordan).
//   Two samples of opposite sign at a distance below 2 radius are such weights and settle most gates at once.
// The largest margin itself is found by an interior-point method for max t, s_i x_i'v >= t, ||v||_{q*} <= 1, which gives both.

import { type Workspace, workspaceSize } from "@worstcase/linalg";
import { lengthOf } from "../ballSupport.js";
import { createNormCones } from "../interiorPoint/createNormCones.js";
import { longestLinearStep } from "../interiorPoint/normCones.js";
import { Pauses } from "../pauses.js";
import type { ReluProgram } from "../program/program.js";
import { ConeMargins, isClosed, isOpen } from "./coneMargins.js";

type Verdict = "open" | "closed" | "undecided";

export interface OpenCones {
  /** Gates whose cone has an interior. */
  readonly open: Int32Array;
  /** Gates shown to hold only zero. */
  readonly closed: Int32Array;
  /** Gates of which neither could be shown: the radius equals their margin up to rounding. */
  readonly undecided: Int32Array;
  /** Strictly interior directions of unit Euclidean length of the open gates, `[open, D]`. */
  readonly directions: Float64Array;
}

const ROUNDS = 150;
/** Samples above which a gate's own vector is taken as the direction when it lies inside, and the search made only where it does not. */
const MANY_SAMPLES = 3000;
/** Near pairs kept; more would settle few further gates. */
const MOST_PAIRS = 1_000_000;
/** Numbers `findOpenCones` takes from a workspace. */
export function openConesSize({ samples, width }: ReluProgram): number {
  return workspaceSize(samples * width, (width + 1) ** 2, width + 1);
}

/** `rows` are the samples whose cones count (distinctRows). Leaves the workspace as it was. `known` settles gates without a search and learns from those made. */
export async function findOpenCones(
  program: ReluProgram,
  rows: Int32Array,
  workspace: Workspace,
  signal?: AbortSignal,
  known = new ConeMargins(program.gateCount, program.width, rows.length),
): Promise<OpenCones> {
  const { gateCount, width, radius } = program;
  const mark = workspace.mark();
  const search = new MarginSearch(program, rows, workspace);
  const near = nearPairs(program, rows);
  const open: number[] = [];
  const closed: number[] = [];
  const undecided: number[] = [];
  const directions: Float64Array[] = [];
  const pause = new Pauses("the search for open cones", gateCount, { signal });
  for (let p = 0; p < gateCount; p++) {
    await pause.at(p);
    let verdict: Verdict | "unknown" = separates(program, p, near) ? "closed" : known.verdict(p, radius);
    if (verdict === "unknown") {
      verdict = rows.length > MANY_SAMPLES && search.tryGate(p) ? "open" : search.run(p);
      known.found(p, search.lower, search.direction);
      known.excluded(p, search.upper);
    }
    if (verdict === "open") {
      open.push(p);
      directions.push(known.direction(p));
    } else (verdict === "closed" ? closed : undecided).push(p);
  }
  workspace.release(mark);
  const out = new Float64Array(open.length * width);
  directions.forEach((direction, k) => {
    out.set(direction, k * width);
  });
  return {
    open: Int32Array.from(open),
    closed: Int32Array.from(closed),
    undecided: Int32Array.from(undecided),
    directions: out,
  };
}

/** Samples with distinct inputs; without a ball also without those at the origin, whose constraint 0 >= 0 is empty. */
export function distinctRows({ samples, width, inputs, radius }: ReluProgram): Int32Array {
  const known = new Set<string>();
  const kept: number[] = [];
  for (let i = 0; i < samples; i++) {
    const row = inputs.subarray(i * width, (i + 1) * width);
    if (radius === 0 && row.every((x) => x === 0)) continue;
    const key = row.join(" ");
    if (known.has(key)) continue;
    known.add(key);
    kept.push(i);
  }
  return Int32Array.from(kept);
}

// Pairs of samples closer than 2 radius in l_q (with room for rounding), as [i, j, i, j, ...].
function nearPairs(program: ReluProgram, rows: Int32Array): Int32Array {
  const { radius, width, featureCount, inputs, exponent } = program;
  const pairs: number[] = [];
  if (radius === 0) return Int32Array.from(pairs);
  const difference = new Float64Array(featureCount);
  const limit = 2 * radius * (1 - 1e-12);
  for (let a = 0; a < rows.length; a++) {
    for (let b = 0; b < a && pairs.length < 2 * MOST_PAIRS; b++) {
      for (let k = 0; k < featureCount; k++) {
        difference[k] = inputs[rows[a] * width + k] - inputs[rows[b] * width + k];
      }
      if (lengthOf(difference, 0, featureCount, exponent) < limit) pairs.push(rows[a], rows[b]);
    }
  }
  return Int32Array.from(pairs);
}

function separates({ bits, gateCount }: ReluProgram, p: number, pairs: Int32Array): boolean {
  for (let k = 0; k < pairs.length; k += 2) {
    if (bits[pairs[k] * gateCount + p] !== bits[pairs[k + 1] * gateCount + p]) return true;
  }
  return false;
}

// max t over (v, t): rows s_i x_i'v - t >= 0 with duals gamma, norm cone (1; v). The start v = 0, t = -scale is strictly inside.
class MarginSearch {
  /** The best one of the last gate, and its margin; no direction has one above `upper`. */
  readonly direction: Float64Array;
  lower = Number.NEGATIVE_INFINITY;
  upper = Number.POSITIVE_INFINITY;
  private readonly signed: Float64Array;
  private readonly matrix: Float64Array;
  private readonly step: Float64Array;
  private readonly rows: number;
  private readonly scale: number;

  constructor(
    private readonly program: ReluProgram,
    private readonly samples: Int32Array,
    private readonly workspace: Workspace,
  ) {
    const { width, inputs } = program;
    this.rows = samples.length;
    this.direction = new Float64Array(width);
    this.signed = workspace.float64(this.rows * width);
    this.matrix = workspace.float64((width + 1) ** 2);
    this.step = workspace.float64(width + 1);
    let total = 0;
    for (const i of samples) total += lengthOf(inputs, i * width, width, 2);
    this.scale = total / Math.max(1, this.rows) || 1;
  }

  /** Whether the vector of gate p lies strictly inside its cone; it is then the direction. */
  tryGate(p: number): boolean {
    const { program, direction, samples } = this;
    const { gates, width, featureCount, inputs, bits, gateCount, radius, dualExponent } = program;
    const gateWidth = featureCount + (gates.bias ? 1 : 0);
    for (let k = 0; k < width; k++) direction[k] = k < gateWidth ? gates.gates[p * gateWidth + k] : 0;
    const size = lengthOf(direction, 0, width, 2);
    if (!(size > 0)) return false;
    for (let k = 0; k < width; k++) direction[k] /= size;
    const moving = lengthOf(direction, 0, featureCount, dualExponent);
    let least = Number.POSITIVE_INFINITY;
    for (const i of samples) {
      let score = 0;
      for (let k = 0; k < width; k++) score += direction[k] * inputs[i * width + k];
      least = Math.min(least, bits[i * gateCount + p] === 1 ? score : -score);
    }
    this.lower = least / moving;
    this.upper = Number.POSITIVE_INFINITY;
    return least > radius * moving * (1 + 1e-12);
  }

  run(p: number): Verdict {
    const { program, signed, rows } = this;
    const { width, bits, gateCount, inputs, bias, featureCount } = program;
    let positive = 0;
    for (let r = 0; r < rows; r++) {
      const bit = bits[this.samples[r] * gateCount + p];
      positive += bit;
      for (let k = 0; k < width; k++) {
        signed[r * width + k] = (bit === 1 ? 1 : -1) * inputs[this.samples[r] * width + k];
      }
    }
    if (rows === 0 || (bias && (positive === 0 || positive === rows))) {
      this.direction.fill(0);
      this.direction[bias ? featureCount : 0] = positive === 0 && rows > 0 ? -1 : 1;
      this.lower = this.upper = Number.POSITIVE_INFINITY;
      return "open";
    }
    return this.solve();
  }

  private solve(): Verdict {
    const { program, signed, matrix, step, rows, scale, workspace } = this;
    const { width, featureCount, dualExponent, radius } = program;
    const order = width + 1;
    const cone = createNormCones(1, featureCount, dualExponent, 1);
    const v = new Float64Array(width);
    cone.start(0, 1, v, 0, scale / rows);
    const slack = new Float64Array(rows).fill(scale);
    const gamma = new Float64Array(rows).fill(1 / rows);
    const slackStep = new Float64Array(rows);
    const gammaStep = new Float64Array(rows);
    const aim = new Float64Array(rows);
    this.lower = Number.NEGATIVE_INFINITY;
    this.upper = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round++) {
      matrix.fill(0);
      cone.scale(0, v, 0);
      this.addMatrix(slack, gamma, cone.outer[0], cone.vector, cone.diagonal);
      if (workspace.potrf(order, matrix, order) !== 0) break;
      let complementarity = cone.complementarity();
      for (let r = 0; r < rows; r++) complementarity += slack[r] * gamma[r];
      const degree = rows + cone.degree;
      let target = 0;
      for (const corrected of [false, true]) {
        for (let r = 0; r < rows; r++) aim[r] = (target - (corrected ? slackStep[r] * gammaStep[r] : 0)) / slack[r];
        cone.aimAt(0, target, corrected ? 1 : 0, 1, v, 0);
        step.fill(0);
        let sum = 0;
        for (let r = 0; r < rows; r++) {
          sum += aim[r];
          for (let k = 0; k < width; k++) step[k] += aim[r] * signed[r * width + k];
        }
        for (let k = 0; k < featureCount; k++) step[k] += cone.sideA[k];
        step[width] = 1 - sum;
        workspace.trsv(false, order, matrix, order, step);
        workspace.trsv(true, order, matrix, order, step);
        cone.step(0, 0, step, 0);
        for (let r = 0; r < rows; r++) {
          let change = -step[width];
          for (let k = 0; k < width; k++) change += signed[r * width + k] * step[k];
          slackStep[r] = change;
          gammaStep[r] = aim[r] - gamma[r] - (gamma[r] / slack[r]) * change;
        }
        if (corrected) break;
        const affine = cone.longestDualStep(
          cone.longestSlackStep(longestLinearStep(gamma, gammaStep, longestLinearStep(slack, slackStep, 1))),
        );
        let after = cone.complementarityAfter(affine, affine);
        for (let r = 0; r < rows; r++) after += (slack[r] + affine * slackStep[r]) * (gamma[r] + affine * gammaStep[r]);
        target = (complementarity / degree) * Math.max(1e-6, Math.min(1, after / complementarity) ** 3);
      }
      const longest = cone.longestDualStep(
        cone.longestSlackStep(longestLinearStep(gamma, gammaStep, longestLinearStep(slack, slackStep, 2))),
      );
      const length = Math.min(1, 0.99 * longest);
      cone.advance(length, length);
      for (let k = 0; k < width; k++) v[k] += length * step[k];

      for (let r = 0; r < rows; r++) {
        slack[r] += length * slackStep[r];
        gamma[r] += length * gammaStep[r];
      }
      this.keepDirection(v);
      this.upper = Math.min(this.upper, this.distance(gamma));
      if (isOpen(this.lower, this.upper, radius)) return "open";
      if (isClosed(this.upper, radius)) return "closed";
      if (!(length > 1e-10)) break;
    }
    return this.lower > radius + 1e-12 * scale ? "open" : "undecided";
  }

  private addMatrix(
    slack: Float64Array,
    gamma: Float64Array,
    outer: number,
    vector: Float64Array,
    diagonal: Float64Array,
  ): void {
    const { matrix, signed, rows, program } = this;
    const { width, featureCount } = program;
    const order = width + 1;
    for (let r = 0; r < rows; r++) {
      const weight = gamma[r] / slack[r];
      const at = r * width;
      for (let k = 0; k < width; k++) {
        const scaled = weight * signed[at + k];
        for (let j = 0; j <= k; j++) matrix[k * order + j] += scaled * signed[at + j];
        matrix[width * order + k] -= scaled;
      }
      matrix[width * order + width] += weight;
    }
    for (let k = 0; k < featureCount; k++) {
      for (let j = 0; j <= k; j++) matrix[k * order + j] += outer * vector[k] * vector[j];
      matrix[k * order + k] += diagonal[k];
    }
  }

  // Keeps v / ||v||_2 when its margin is the best so far.
  private keepDirection(v: Float64Array): void {
    const { program, signed, rows } = this;
    const { width, featureCount, dualExponent } = program;
    const size = lengthOf(v, 0, featureCount, dualExponent);
    if (!(size > 0)) return;
    let least = Number.POSITIVE_INFINITY;
    for (let r = 0; r < rows; r++) {
      let score = 0;
      for (let k = 0; k < width; k++) score += signed[r * width + k] * v[k];
      least = Math.min(least, score);
    }
    const margin = least / size;
    if (margin <= this.lower) return;
    this.lower = margin;
    const length = lengthOf(v, 0, width, 2);
    for (let k = 0; k < width; k++) this.direction[k] = v[k] / length;
  }

  // ||sum gamma s x||_q with gamma scaled to sum 1, balanced over the signs of the constant coordinate.
  private distance(gamma: Float64Array): number {
    const { program, signed, rows } = this;
    const { width, featureCount, bias, exponent } = program;
    let plus = 0;
    let minus = 0;
    for (let r = 0; r < rows; r++) {
      if (!bias || signed[r * width + featureCount] > 0) plus += gamma[r];
      else minus += gamma[r];
    }
    const total = new Float64Array(featureCount);
    for (let r = 0; r < rows; r++) {
      const positive = !bias || signed[r * width + featureCount] > 0;
      const share = gamma[r] / (bias ? 2 * (positive ? plus : minus) : plus);
      for (let k = 0; k < featureCount; k++) total[k] += share * signed[r * width + k];
    }
    return lengthOf(total, 0, featureCount, exponent);
  }
}
