// The classifier around a forward and a backward pass over blocks of rows: checks, blocks, loss. One place for all heads of this package.
// inputs: [n, featureCount]   extended rows: with the constant 1 where `constant` is set   logits: [n, classCount]

import {
  checkLabels,
  type DifferentiableClassifier,
  evaluateLoss,
  type LossGradient,
  type NumericBatch,
} from "@worstcase/core";
import { checkFeatures } from "../checks.js";
import { withConstant } from "../program/program.js";

/** Rows given to a pass at once. */
export const ROWS = 256;

export interface RowPasses {
  readonly id: string;
  readonly featureCount: number;
  readonly classCount: number;
  /** Whether rows are extended by the constant 1. */
  readonly constant: boolean;
  /** Writes the logits of rows from .. from + count - 1 into `out`, and keeps what `backward` needs. */
  forward(extended: Float64Array, from: number, count: number, out: Float64Array): void;
  /** Writes input gradients of the rows of the last `forward` into `out`, from gradients with respect to their logits. */
  backward(logitGradient: Float64Array, from: number, count: number, out: Float64Array): void;
}

/** The methods throw on features of another size or not finite, and on labels out of range. */
export function classifierByRows({
  id,
  featureCount,
  classCount,
  constant,
  forward,
  backward,
}: RowPasses): DifferentiableClassifier {
  return {
    id,
    inputShape: [featureCount],
    classCount,
    bounds: "unbounded",
    async logits(inputs: NumericBatch): Promise<NumericBatch> {
      checkFeatures(inputs, featureCount);
      const samples = inputs.shape[0];
      const extended = withConstant(inputs, constant);
      const data = new Float64Array(samples * classCount);
      for (let from = 0; from < samples; from += ROWS) {
        forward(extended, from, Math.min(ROWS, samples - from), data);
      }
      return { data, shape: [samples, classCount] };
    },
    async lossGradient(inputs, loss): Promise<LossGradient> {
      checkFeatures(inputs, featureCount);
      const samples = inputs.shape[0];
      checkLabels(loss.labels, samples, classCount, "loss.labels");
      const extended = withConstant(inputs, constant);
      const data = new Float64Array(samples * classCount);
      const slope = new Float64Array(samples * featureCount);
      const values = new Float64Array(samples);
      for (let from = 0; from < samples; from += ROWS) {
        const count = Math.min(ROWS, samples - from);
        forward(extended, from, count, data);
        const part = {
          data: data.subarray(from * classCount, (from + count) * classCount),
          shape: [count, classCount],
        };
        const labels = loss.labels.subarray(from, from + count);
        const targets = "targets" in loss ? loss.targets?.subarray(from, from + count) : undefined;
        const outcome = evaluateLoss(part, { ...loss, labels, ...(targets && { targets }) });
        values.set(outcome.loss, from);
        backward(outcome.gradient, from, count, slope);
      }
      const gradient = { data: slope, shape: [samples, featureCount] };
      return { loss: values, logits: { data, shape: [samples, classCount] }, gradient };
    },
  };
}
