// A gated model around one sample: which gates can change inside the ball, and the linear pieces of a pair of classes there (math.md 13.5).
//   gate p:  h_p + g_p'z >= 0 with h_p = g_p'x (constant included);  stable when |h_p| > r ||g_p||_{q*}, with a hair for rounding
//   margin of the pair (y, c) at x + z:   base + form'z + sum over unstable p, open at z, of (score_p + piece_p'z)
//   base, form: the sum over stable open gates;  piece_p = t_py - t_pc, score_p = x'piece_p (constant included)
// For a ReLU network t_pc = second[c, p] g_p, so piece_p = kappa_p g_p with kappa_p = second[y, p] - second[c, p] and the unstable term is the
// continuous kappa_p max(0, h_p + g_p'z).

import { type NumericBatch, sampleCount } from "@worstcase/core";
import { ballSupport, type PerturbationNorm } from "../ballSupport.js";
import type { GatedReluModel } from "../gatedModel.js";
import { gatedModelOfNetwork, type ReluNetwork } from "../network/reluNetwork.js";
import { withConstant } from "../program/program.js";

/**
 * What a certificate speaks of. `gated-as-trained`: the model opens its pieces by the gate vectors stored with it, which move with the
 * input and jump where a gate flips. `true-relu`: a ReLU network, whose neurons are their own gates.
 */
export type Reading = "gated-as-trained" | "true-relu";

export interface UnstableGate {
  /** h */
  readonly opening: number;
  /** g, `[d]` */
  readonly gate: Float64Array;
  /** Value of the piece at x. */
  readonly score: number;
  /** `[d]` */
  readonly piece: Float64Array;
  /** kappa where the piece is kappa times the gate; NaN where it is not. */
  readonly slope: number;
}

export interface LocalPair {
  readonly rival: number;
  readonly base: number;
  readonly form: Float64Array;
  readonly unstable: readonly UnstableGate[];
}

export class LocalPieces {
  readonly reading: Reading;
  readonly model: GatedReluModel;
  readonly samples: number;
  private readonly network: ReluNetwork | null;
  private readonly inputs: Float64Array;
  private readonly gateSize: Float64Array;

  constructor(subject: GatedReluModel | ReluNetwork, features: NumericBatch, norm: PerturbationNorm) {
    this.reading = subject.kind === "gated-relu" ? "gated-as-trained" : "true-relu";
    this.network = subject.kind === "gated-relu" ? null : subject;
    this.model = subject.kind === "gated-relu" ? subject : gatedModelOfNetwork(subject);
    this.samples = sampleCount(features);
    this.inputs = withConstant(features, true);
    const { gates, featureCount } = this.model;
    const gateWidth = featureCount + (gates.bias ? 1 : 0);
    this.gateSize = Float64Array.from({ length: gates.count }, (_, p) =>
      ballSupport(gates.gates, p * gateWidth, featureCount, norm, 1),
    );
  }

  /** The pairs (label, c) for every other class around sample i. */
  around(i: number, label: number, radius: number): LocalPair[] {
    const { gates, featureCount, classCount } = this.model;
    const gateWidth = featureCount + (gates.bias ? 1 : 0);
    const x = this.inputs.subarray(i * (featureCount + 1), (i + 1) * (featureCount + 1));
    const open: number[] = [];
    const unstable: { p: number; opening: number }[] = [];
    for (let p = 0; p < gates.count; p++) {
      let opening = 0;
      for (let k = 0; k < gateWidth; k++) opening += gates.gates[p * gateWidth + k] * x[k];
      const reach = radius * this.gateSize[p];
      const hair = 1e-12 * (Math.abs(opening) + reach);
      if (opening - reach > hair || (reach === 0 && opening >= 0)) open.push(p);
      else if (opening + reach >= -hair) unstable.push({ p, opening });
    }
    const pairs: LocalPair[] = [];
    for (let c = 0; c < classCount; c++) {
      if (c !== label) pairs.push(this.pair(x, label, c, open, unstable));
    }
    return pairs;
  }

  private pair(
    x: Float64Array,
    label: number,
    rival: number,
    open: readonly number[],
    unstable: readonly { p: number; opening: number }[],
  ): LocalPair {
    const { gates, featureCount } = this.model;
    const gateWidth = featureCount + (gates.bias ? 1 : 0);
    const form = new Float64Array(featureCount);
    let base = 0;
    for (const p of open) base += this.addPiece(p, label, rival, x, form);
    const moving: UnstableGate[] = [];
    for (const { p, opening } of unstable) {
      const piece = new Float64Array(featureCount);
      const score = this.addPiece(p, label, rival, x, piece);
      if (score === 0 && piece.every((value) => value === 0)) continue;
      const gate = gates.gates.subarray(p * gateWidth, p * gateWidth + featureCount);
      moving.push({ opening, gate, score, piece, slope: this.slopeOf(p, label, rival) });
    }
    return { rival, base, form, unstable: moving };
  }

  private slopeOf(p: number, label: number, rival: number): number {
    if (!this.network) return Number.NaN;
    const { second, neurons } = this.network;
    return second[label * neurons + p] - second[rival * neurons + p];
  }

  /** Adds the piece of gate p to `sum` [d] and returns its value at x. */
  private addPiece(p: number, label: number, rival: number, x: Float64Array, sum: Float64Array): number {
    const { featureCount, classCount, bias, weights } = this.model;
    const width = featureCount + (bias ? 1 : 0);
    const own = (p * classCount + label) * width;
    const other = (p * classCount + rival) * width;
    let score = 0;
    for (let k = 0; k < featureCount; k++) {
      const difference = weights[own + k] - weights[other + k];
      sum[k] += difference;
      score += difference * x[k];
    }
    return bias ? score + weights[own + featureCount] - weights[other + featureCount] : score;
  }
}

/** The margin of a pair at x + z. With `cautious`, gates that rounding of x + z could flip count as whichever side is larger. */
export function marginAt({ base, form, unstable }: LocalPair, z: Float64Array, cautious = false): number {
  let margin = base;
  for (let k = 0; k < form.length; k++) margin += form[k] * z[k];
  for (const { opening, gate, score, piece } of unstable) {
    let open = opening;
    let value = score;
    for (let k = 0; k < gate.length; k++) {
      open += gate[k] * z[k];
      value += piece[k] * z[k];
    }
    if (cautious && Math.abs(open) <= 1e-11 * Math.abs(opening)) margin += Math.max(0, value);
    else if (open >= 0) margin += value;
  }
  return margin;
}

/** Size of the numbers that make up the margins of these pairs on the ball: what accuracies are relative to. */
export function marginScale(pairs: readonly LocalPair[], norm: PerturbationNorm, radius: number): number {
  let scale = 0;
  for (const { base, form, unstable } of pairs) {
    scale = Math.max(scale, Math.abs(base) + ballSupport(form, 0, form.length, norm, radius));
    for (const { score, piece } of unstable) {
      scale = Math.max(scale, Math.abs(score) + ballSupport(piece, 0, piece.length, norm, radius));
    }
  }
  return scale;
}
