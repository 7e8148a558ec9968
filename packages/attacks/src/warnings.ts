// Documented warnings about attacks and about what their success says of the model. See docs/warnings.md for each code.

import type { Warning } from "@worstcase/core";

/** More than this fraction of vanishing first gradients is reported. */
const zeroGradientLimit = 0.05;
/** FGSM accuracy above that of a comparable attack without the model's gradients by more than this is reported. */
const singleStepLimit = 0.05;

/** Codes: `over-budget`, `out-of-bounds`. */
export function repairWarnings(attack: string, repaired: { budget: number; bounds: number }): Warning[] {
  const warnings: Warning[] = [];
  if (repaired.budget > 0) {
    const message = `${attack} returned ${repaired.budget} points outside its budget; they were moved into it before measuring`;
    warnings.push({ code: "over-budget", message });
  }
  if (repaired.bounds > 0) {
    const message = `${attack} returned ${repaired.bounds} points outside the model's bounds; they were moved into them before measuring`;
    warnings.push({ code: "out-of-bounds", message });
  }
  return warnings;
}

/** Code `zero-gradient`: more than 5 % of the attacked samples have an input gradient that is exactly zero. */
export function zeroGradientWarning(attack: string, seen: { samples: number; zero: number }): Warning[] {
  if (seen.zero <= zeroGradientLimit * seen.samples) return [];
  const share = percent(seen.zero / seen.samples);
  const message = `${attack}: the input gradient is exactly zero for ${seen.zero} of ${seen.samples} samples (${share}); gradient attacks cannot move them`;
  return [{ code: "zero-gradient", message }];
}

/** What one attack broke at every epsilon. */
export interface AttackVerdicts {
  readonly name: string;
  /** Whether it followed the gradients of the model itself. */
  readonly ownGradients: boolean;
  /** Whether it followed no gradients at all, its own or those of a transfer source. */
  readonly blackBox?: boolean;
  /** `single-step` attacks are compared with single-step ones; transfer counts as what made its examples. */
  readonly strength: "single-step" | "iterative";
  /** Per epsilon, per sample. */
  readonly fooled: readonly (readonly boolean[])[];
}

/**
 * Codes `gradient-masking`, `black-box-stronger`, `single-step-stronger` and `weak-attack`, from what the attacks of one model broke. `epsilons` names the rows of `fooled`.
 * Differences count when a paired sign test says so (more than two standard errors), so that chance is not reported. With `cumulative` verdicts,
 * which include what all earlier attacks broke, an attack is compared with those before it.
 */
export function maskingWarnings(
  attacks: readonly AttackVerdicts[],
  epsilons: readonly number[],
  cumulative = false,
): Warning[] {
  const own = attacks.filter((attack) => attack.ownGradients);
  const ownIterative = own.filter((attack) => attack.strength === "iterative");
  const ownSingle = own.filter((attack) => attack.strength === "single-step");
  const warnings: Warning[] = [];
  for (const attack of attacks.filter(({ ownGradients }) => !ownGradients)) {
    const before = (rival: AttackVerdicts) => !cumulative || attacks.indexOf(rival) < attacks.indexOf(attack);
    warnings.push(...maskedBy(attack, ownSingle.filter(before), ownIterative.filter(before), epsilons));
  }
  if (ownIterative.length > 0) {
    const reason = "one step should not beat many: gradients are misleading or the step size is wrong";
    for (const attack of ownSingle)
      warnings.push(...report("single-step-stronger", attack, ownIterative, epsilons, 0, reason));
  }
  return warnings;
}

/** What the success of one attack without the model's gradients says of those with them. */
function maskedBy(
  attack: AttackVerdicts,
  ownSingle: readonly AttackVerdicts[],
  ownIterative: readonly AttackVerdicts[],
  epsilons: readonly number[],
): Warning[] {
  const alike = attack.strength === "iterative" ? ownIterative : ownSingle;
  const rivals = alike.length > 0 ? alike : ownIterative;
  if (rivals.length > 0) {
    const limit = rivals === ownSingle ? singleStepLimit : 0;
    const code = attack.blackBox ? "black-box-stronger" : "gradient-masking";
    return report(code, attack, rivals, epsilons, limit, "gradients of the model mislead its attacker");
  }
  if (ownSingle.length === 0) return [];
  const advice = "one gradient step overstates robustness: run an iterative attack";
  return report("weak-attack", attack, ownSingle, epsilons, singleStepLimit, advice);
}

/** One warning at the epsilon where `attack` beats the `rivals` together by most, or none. */
function report(
  code: string,
  attack: AttackVerdicts,
  rivals: readonly AttackVerdicts[],
  epsilons: readonly number[],
  limit: number,
  reason: string,
): Warning[] {
  let worst: { lead: number; message: string } | null = null;
  for (let e = 0; e < epsilons.length; e++) {
    const total = attack.fooled[e].length;
    let onlyAttack = 0;
    let onlyRivals = 0;
    let survivors = 0;
    let rivalSurvivors = 0;
    for (let i = 0; i < total; i++) {
      const byAttack = attack.fooled[e][i];
      const byRivals = rivals.some((rival) => rival.fooled[e][i]);
      if (byAttack && !byRivals) onlyAttack++;
      if (byRivals && !byAttack) onlyRivals++;
      if (!byAttack) survivors++;
      if (!byRivals) rivalSurvivors++;
    }
    const lead = onlyAttack - onlyRivals;
    if (lead <= limit * total || lead <= 2 * Math.sqrt(onlyAttack + onlyRivals) || lead <= (worst?.lead ?? 0)) continue;
    const names = rivals.map((rival) => rival.name).join(" and ");
    const message =
      `${attack.name} leaves ${percent(survivors / total)} at epsilon ${shortNumber(epsilons[e])} where ${names} ` +
      `${rivals.length > 1 ? "leave" : "leaves"} ${percent(rivalSurvivors / total)}: ${onlyAttack} samples are broken only by ` +
      `the former, ${onlyRivals} only by the latter; ${reason}`;
    worst = { lead, message };
  }
  return worst ? [{ code, message: worst.message }] : [];
}

/** Codes that speak for masked gradients. */
const maskingCodes: readonly string[] = [
  "gradient-masking",
  "black-box-stronger",
  "single-step-stronger",
  "zero-gradient",
  "constant-loss",
];

export interface MaskingVerdict {
  /** Whether accuracy under gradient attacks should not be believed for this model. */
  readonly suspected: boolean;
  /** The warnings that say so, by code. */
  readonly codes: readonly string[];
}

/** Whether the warnings speak for masked gradients. */
export function maskingVerdict(warnings: readonly Warning[]): MaskingVerdict {
  const codes = [...new Set(warnings.map(({ code }) => code))].filter((code) => maskingCodes.includes(code));
  return { suspected: codes.length > 0, codes };
}

export function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

function shortNumber(value: number): string {
  return String(Number(value.toPrecision(4)));
}
