// A trained robust head over backbone features, with the evidence of its optimality and its robustness in feature space.

import type { DifferentiableClassifier, NumericBatch, Radius, Warning } from "@worstcase/core";
import type { FeatureScaling } from "./featureScaling.js";
import type { GatedTraining } from "./gatedHead.js";
import type { PolynomialTraining } from "./polynomialTraining.js";

export type TrainedParameters =
  | { readonly kind: "polynomial"; readonly training: PolynomialTraining }
  | { readonly kind: "gated-relu"; readonly training: GatedTraining };

export interface Evidence {
  /** Training objective of the head, recomputed exactly in float64. */
  readonly objective: number;
  /** No head of its family has a smaller objective. */
  readonly lowerBound: number;
  /** Largest relative gap (objective - lower bound) / objective over the certified problems (one per class for one-vs-all, else one). */
  readonly gap: number;
  /** How training ended, one status per certified problem. */
  readonly statuses: readonly string[];
  /** Whether every certified problem reached its tolerance. */
  readonly solved: boolean;
  readonly seconds: number;
}

/** Accuracy of the argmax under l2 perturbations of the features; `exact` is the true value, `certified` a lower bound. */
export interface FeatureRobustness {
  readonly kind: "exact" | "certified";
  /** Whether each sample is classified correctly on its whole ball, `[samples]`. */
  readonly robust: Uint8Array;
}

export interface RobustHead {
  readonly name: string;
  readonly kind: "polynomial" | "gated-relu";
  /** What training returned, as plain JSON; {@link saveHead} writes it. */
  readonly trained: TrainedParameters;
  readonly scaling: FeatureScaling;
  /** Training radius in the scaled coordinates of the head; value 0 for a non-robust head. */
  readonly radius: Radius;
  readonly beta: number;
  /** Over raw features `[samples, features]`. */
  readonly classifier: DifferentiableClassifier;
  /** The same head with gradients that see through its gates; null where the gradients are true already. */
  readonly surrogate: DifferentiableClassifier | null;
  readonly evidence: Evidence;
  readonly warnings: readonly Warning[];
  /**
   * Robustness of the argmax on l2 balls of `radius` around raw features `[samples, features]`; the ball is measured in the coordinates
   * of `metric`, which must be isotropic or the head's own scaling.
   */
  robustness(features: NumericBatch, labels: Int32Array, radius: number, metric: FeatureScaling): FeatureRobustness;
}

/** Runs a computation whose JSON-serialisable result may be kept and read again; the plain form just computes. */
export type Remember = <T>(name: string, compute: () => Promise<T>) => Promise<T>;
export const forget: Remember = (_name, compute) => compute();
