// What attacks and evaluations need of a model. The type says what can run: a black-box attack takes a Classifier,
// a gradient attack a DifferentiableClassifier.

import type { NumericBatch } from "./batch.js";
import type { Bounds } from "./budget.js";

export interface Classifier {
  readonly id: string;
  /** Shape of one sample, for example `[32, 32, 3]` or `[features]`. */
  readonly inputShape: readonly number[];
  readonly classCount: number;
  readonly bounds: Bounds;
  /** Logits, `[samples, classes]`. Preprocessing belongs to the model. */
  logits(inputs: NumericBatch): Promise<NumericBatch>;
}

/**
 * Losses an attacker maximises. With labels y and, where given, targets t, both `[samples]`:
 * `margin` = max over other classes of (logit - logit of y), or f_t - f_y;
 * `dlr`, the difference of logits ratio, is the margin divided by a spread of the logits, so that their scale does not matter
 * (at least 3 classes; 4 with targets). See {@link evaluateLoss}.
 */
export type Loss =
  | { readonly kind: "cross-entropy"; readonly labels: Int32Array }
  | { readonly kind: "margin" | "dlr"; readonly labels: Int32Array; readonly targets?: Int32Array };

export interface LossGradient {
  /** `[samples]` */
  readonly loss: Float64Array;
  /** `[samples, classes]`, from the same forward pass. */
  readonly logits: NumericBatch;
  /** Gradient of the summed loss with respect to the inputs, shape of the inputs. */
  readonly gradient: NumericBatch;
}

export interface DifferentiableClassifier extends Classifier {
  lossGradient(inputs: NumericBatch, loss: Loss): Promise<LossGradient>;
}
