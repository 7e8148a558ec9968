// What an evaluation runs: its attacks and transfer sources as entries, and the units (one entry at one epsilon) in the order they are made.

import { type Classifier, type Norm, SettingError } from "@worstcase/core";
import type { Attack } from "./attack.js";
import type { NamedAttack } from "./attackUnit.js";
import { checkAttack } from "./checks.js";
import { withSurrogateGradients } from "./surrogate.js";
import type { SourceExamples } from "./transfer/sourceExamples.js";
import type { AttackVerdicts } from "./warnings.js";

export interface Entry extends NamedAttack {
  readonly strength: AttackVerdicts["strength"];
  /** Whether its points come from another model. */
  readonly transferred: boolean;
  /** Makes the attack when it is first needed: transfer examples cost gradients of another model. */
  prepare(epsilon: number): Promise<Attack | Attack<Classifier>>;
}

/** One attack at one epsilon, and the unit whose broken samples it does not meet again. */
export interface PlannedUnit {
  readonly entry: Entry;
  readonly k: number;
  readonly e: number;
  readonly before: PlannedUnit | null;
}

/** The units in the order they are made: attack by attack, or with `survivors` epsilon by epsilon. */
export function planUnits(
  entries: readonly Entry[],
  epsilons: readonly number[],
  order: "independent" | "survivors",
): PlannedUnit[] {
  const plan: PlannedUnit[] = [];
  const last = () => plan[plan.length - 1] ?? null;
  if (order === "survivors") {
    for (const e of epsilons.keys()) {
      for (const [k, entry] of entries.entries()) plan.push({ entry, k, e, before: last() });
    }
    return plan;
  }
  for (const [k, entry] of entries.entries()) {
    for (const e of epsilons.keys()) plan.push({ entry, k, e, before: e > 0 ? last() : null });
  }
  return plan;
}

/** The attack under its name in the evaluation, for events and warnings. */
export function renamed(attack: Attack | Attack<Classifier>, name: string): Attack {
  const { kind, needs, settings } = attack;
  return { name, kind, needs, settings, run: (model, batch, options) => attack.run(model, batch, options) };
}

export function ownEntry(named: NamedAttack): Entry {
  const strength = named.attack.kind === "single-step" ? "single-step" : "iterative";
  return { ...named, strength, transferred: false, prepare: async () => named.attack };
}

export function transferEntry(source: SourceExamples): Entry {
  const { attack } = source;
  const strength = source.madeBy === "single-step" ? "single-step" : "iterative";
  return { name: attack.name, attack, strength, transferred: true, prepare: (epsilon) => source.attackAt(epsilon) };
}

/** Throws unless there are entries, with unique names, that can run on the model within the budget. */
export function checkEntries(
  model: Classifier,
  entries: readonly Entry[],
  budget: { norm: Norm; epsilon: number },
): void {
  if (entries.length === 0) {
    throw new SettingError({
      argument: "options.attacks",
      expected: "at least one attack or source",
      received: "none",
    });
  }
  const names = new Set<string>();
  for (const { name, attack, surrogate } of entries) {
    if (names.has(name))
      throw new SettingError({ argument: "options.attacks", expected: "unique names", received: name });
    names.add(name);
    checkAttack(surrogate ? withSurrogateGradients(model, surrogate) : model, attack, budget);
  }
}
