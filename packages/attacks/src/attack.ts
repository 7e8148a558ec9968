// What an attack is: a function that moves labelled samples inside a budget to raise a loss. It claims nothing about success;
// the harness (evaluateAttack.ts) measures that on the points it returns.

import type {
  Budget,
  Classifier,
  DifferentiableClassifier,
  LabelledBatch,
  Norm,
  NumericBatch,
  Rng,
  WorkOptions,
} from "@worstcase/core";

/** Losses an attack maximises (math.md 16): margin = max over other classes of (logit - logit of the label). */
export type AttackLoss = "margin" | "cross-entropy";

export interface AttackNeeds {
  /** Norms the attack can work in. */
  readonly norms: readonly Norm[];
  /** Whether it calls `lossGradient`; the model (or its surrogate) must then be a DifferentiableClassifier. */
  readonly gradients: boolean;
  /** Fewest classes the loss is defined for. Default 2. */
  readonly minimumClasses?: number | undefined;
}

export interface AttackOptions extends WorkOptions {
  /** Largest perturbation, in input units. */
  readonly budget: Budget;
  /** Source of randomness; see {@link sampleRng} for how it may be used. */
  readonly rng: Rng;
  /** Points worth trying as starts, each of the shape of the inputs; points outside the budget are moved into it first. */
  readonly starts?: readonly NumericBatch[] | undefined;
}

export interface Attack<C extends Classifier = DifferentiableClassifier> {
  /** For example `pgd`. */
  readonly name: string;
  /**
   * How the perturbation is found. Masking warnings compare like with like: one gradient step, many gradient steps, or
   * no gradient of the attacked model at all (transfer and black-box attacks). Exact attacks are not compared.
   */
  readonly kind: "single-step" | "iterative" | "gradient-free" | "exact";
  readonly needs: AttackNeeds;
  /** Everything else that changes the result; part of the fingerprint of saved work. JSON-serialisable. */
  readonly settings: Readonly<Record<string, unknown>>;
  /**
   * Perturbed inputs, same shape, number type and order as `batch.inputs`, inside the budget and the model's bounds.
   * Each sample's result depends on that sample alone, never on the others in the batch. The inputs are not changed.
   * Throws SettingError, ShapeError, DataError or UnsupportedError on misuse, AbortedError when the signal fires.
   */
  run(model: C, batch: LabelledBatch, options: AttackOptions): Promise<NumericBatch>;
}

/**
 * The random stream of one sample. Streams depend on the position of the sample in its data set, so results do not change with
 * the batch size or with the samples that are attacked beside it.
 */
export function sampleRng(rng: Rng, index: number): Rng {
  return rng.fork(`sample ${index}`);
}
