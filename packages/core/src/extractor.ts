// A differentiable map from inputs to features: what a head is trained on and attacked through.

import type { NumericBatch } from "./batch.js";
import type { Bounds } from "./budget.js";

export interface FeatureExtractor {
  readonly id: string;
  /** Hash of weights, architecture and preprocessing. */
  readonly fingerprint: string;
  readonly inputShape: readonly number[];
  readonly featureCount: number;
  readonly bounds: Bounds;
  /** Features, `[samples, features]`. Normalisation of the inputs belongs to the extractor. */
  features(inputs: NumericBatch): Promise<NumericBatch>;
  /** Vector-Jacobian product J' g for each sample: gradient with respect to the inputs, shape of the inputs. */
  pullback(inputs: NumericBatch, featureGradient: NumericBatch): Promise<NumericBatch>;
  /** One forward pass whose pullback can be asked for afterwards, once, without repeating it. */
  linearise(inputs: NumericBatch): Promise<Linearisation>;
  /** Frees workers and tensors. */
  close(): Promise<void>;
}

export interface Linearisation {
  readonly features: NumericBatch;
  /** Vector-Jacobian product at the linearised inputs; may be called once, and frees what the forward pass kept. */
  pullback(featureGradient: NumericBatch): Promise<NumericBatch>;
  /** Frees what the forward pass kept when no pullback is wanted. */
  dispose(): Promise<void>;
}
