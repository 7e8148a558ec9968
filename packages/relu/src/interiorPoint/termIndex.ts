// The terms of the loss of a program: one per sample and output, or per sample and pair of classes (math.md 13.3).
//   A_k = plus_k A_{i, first} - A_{i, second},  m_k = x_i'A_k

import type { ReluProgram } from "../program/program.js";

export interface TermIndex {
  readonly count: number;
  readonly sample: Int32Array;
  readonly first: Int32Array;
  /** -1 for none. */
  readonly second: Int32Array;
  readonly plus: Float64Array;
  /** What m_k should be, squared loss only. */
  readonly target: Float64Array;
  /** Weight of a term, 1/n. */
  readonly kappa: number;
}

export function indexTerms({ samples, outputs, task, loss, labels, targets }: ReluProgram): TermIndex {
  const pairs = task === "multi-class" && loss !== "squared";
  const count = samples * (pairs ? outputs - 1 : outputs);
  const sample = new Int32Array(count);
  const first = new Int32Array(count);
  const second = new Int32Array(count).fill(-1);
  const plus = new Float64Array(count).fill(1);
  const target = new Float64Array(count);
  let k = 0;
  for (let i = 0; i < samples; i++) {
    for (let o = 0; o < outputs; o++) {
      if (pairs && o === labels[i]) continue;
      sample[k] = i;
      first[k] = pairs ? labels[i] : o;
      if (pairs) second[k] = o;
      else if (loss === "squared") target[k] = targets[i * outputs + o];
      else plus[k] = targets[i];
      k++;
    }
  }
  return { count, sample, first, second, plus, target, kappa: 1 / samples };
}
