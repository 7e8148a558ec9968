// The losses of program.ts at given scores, as terms with multipliers, and their conjugates.
//   a term is l(u) of one linear form of the scores of a sample: hinge max(0, 1 - m), logistic log(1 + exp(-m)), squared (f - t)^2 / 2
//   with m = y f (two classes) or m = f_y - f_c (pairs). Slopes with respect to the scores: v_io = sum of +-alpha over its terms, or f - t.
//   alpha in [0, 1]; hinge: 1 for m < 1, 0 for m > 1, free at the kink m = 1; logistic 1 / (1 + exp(m))
//   dual value at s v:  hinge s alpha;  logistic H(s alpha), H the entropy in nats;  squared -s v t - s^2 v^2 / 2.   Then for any scores g
//   l(g) >= dual value + s v'g, so a network with sum_i s v_io relu(u'x_i) / n bounded by beta for all unit u has at least the mean dual value.
// scores f: [n, outputs]   slopes v: [n, outputs]   alpha: [terms]

import type { ReluProgram } from "../program/program.js";

export interface LossTerms {
  /** Mean loss. */
  readonly loss: number;
  /** Sample of each term, `[terms]`. */
  readonly sample: Int32Array;
  /** Outputs whose score enters with + and with -: margin = plus - minus; -1 for none. */
  readonly plus: Int32Array;
  readonly minus: Int32Array;
  /** Multipliers alpha (margin losses) or f - t (squared), `[terms]`. */
  readonly multipliers: Float64Array;
  /** Terms whose multiplier is free in [0, 1]. */
  readonly kinks: readonly number[];
}

/** Terms at scores f; hinge terms with |1 - margin| <= `kinkWidth` are free, starting from 1/2. */
export function lossTerms(program: ReluProgram, scores: Float64Array, kinkWidth: number): LossTerms {
  const { samples, outputs, task, loss, labels, targets } = program;
  const sample: number[] = [];
  const plus: number[] = [];
  const minus: number[] = [];
  const multipliers: number[] = [];
  const kinks: number[] = [];
  let total = 0;
  for (let i = 0; i < samples; i++) {
    for (let o = 0; o < outputs; o++) {
      const score = scores[i * outputs + o];
      const target = targets[i * outputs + o];
      if (loss === "squared") {
        sample.push(i);
        plus.push(o);
        minus.push(-1);
        multipliers.push(score - target);
        total += (score - target) ** 2 / 2;
        continue;
      }
      if (task === "multi-class" && o === labels[i]) continue;
      const own = task === "multi-class" ? labels[i] : target > 0 ? 0 : -1;
      const other = task === "multi-class" ? o : target > 0 ? -1 : 0;
      const margin = (own < 0 ? 0 : scores[i * outputs + own]) - (other < 0 ? 0 : scores[i * outputs + other]);
      sample.push(i);
      plus.push(own);
      minus.push(other);
      if (loss === "logistic") {
        multipliers.push(1 / (1 + Math.exp(margin)));
        total += margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
      } else {
        const short = 1 - margin;
        total += Math.max(0, short);
        if (Math.abs(short) <= kinkWidth) kinks.push(multipliers.length);
        multipliers.push(Math.abs(short) <= kinkWidth ? 0.5 : short > 0 ? 1 : 0);
      }
    }
  }
  return {
    loss: total / samples,
    sample: Int32Array.from(sample),
    plus: Int32Array.from(plus),
    minus: Int32Array.from(minus),
    multipliers: Float64Array.from(multipliers),
    kinks,
  };
}

/** Slopes v `[n, outputs]` of the terms. */
export function slopesOf(program: ReluProgram, terms: LossTerms): Float64Array {
  const { outputs, loss } = program;
  const slopes = new Float64Array(program.samples * outputs);
  terms.multipliers.forEach((value, t) => {
    const from = terms.sample[t] * outputs;
    const sign = loss === "squared" ? 1 : -1;
    if (terms.plus[t] >= 0) slopes[from + terms.plus[t]] += sign * value;
    if (terms.minus[t] >= 0) slopes[from + terms.minus[t]] -= sign * value;
  });
  return slopes;
}

/** Mean dual value at s times the multipliers, the largest one over 0 <= s <= most. */
export function bestDualValue(program: ReluProgram, terms: LossTerms, most: number): number {
  const { samples, loss, targets, outputs } = program;
  const { multipliers, sample, plus } = terms;
  const value = (s: number): number => {
    let total = 0;
    for (let t = 0; t < multipliers.length; t++) {
      const a = s * multipliers[t];
      if (loss === "hinge") total += a;
      else if (loss === "logistic") total += entropy(a);
      else total -= a * targets[sample[t] * outputs + plus[t]] + (a * a) / 2;
    }
    return total / samples;
  };
  let [low, high] = [0, most]; // the value is concave in s
  for (let step = 0; step < 100; step++) {
    const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
    if (value(a) < value(b)) low = a;
    else high = b;
  }
  return Math.max(value(most), value((low + high) / 2), 0);
}

function entropy(a: number): number {
  return a <= 0 || a >= 1 ? 0 : -a * Math.log(a) - (1 - a) * Math.log1p(-a);
}
