// The usual list of gradient attacks. Margin alone is not enough: some heads fall to cross-entropy gradients only, and the other
// way round, so the worst per image over both is reported.

import type { DifferentiableClassifier } from "@worstcase/core";
import type { NamedAttack } from "./attackUnit.js";
import { fgsm } from "./fgsm/fgsm.js";
import { pgd } from "./pgd/pgd.js";

export interface StandardAttackSettings {
  /** Gradient steps of PGD. Default 20. */
  readonly steps?: number;
  /** Random restarts of PGD. Default 1. */
  readonly restarts?: number;
  /** For models with vanishing gradients: PGD runs through this surrogate as well. */
  readonly surrogate?: DifferentiableClassifier;
}

/** FGSM and PGD, each with margin and cross-entropy, and PGD through the surrogate when there is one. */
export function standardAttacks(settings: StandardAttackSettings = {}): NamedAttack[] {
  const { steps = 20, restarts = 1, surrogate } = settings;
  const losses = ["margin", "cross-entropy"] as const;
  const own = losses.flatMap((loss) => [
    { name: `fgsm ${loss}`, attack: fgsm({ loss }) },
    { name: `pgd ${loss}`, attack: pgd({ loss, steps, restarts }) },
  ]);
  if (!surrogate) return own;
  const through = losses.map((loss) => ({
    name: `pgd ${loss}, surrogate`,
    attack: pgd({ loss, steps, restarts }),
    surrogate,
  }));
  return [...own, ...through];
}
