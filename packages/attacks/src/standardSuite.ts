// The standard suite: the ensemble AutoAttack (Croce and Hein 2020, arXiv 2003.01690; l1: 2103.01208) with its published settings, adapted
// to the number of classes where a loss is not defined. Attacks run in order, each on the samples that survived the earlier ones.
//   standard: APGD cross-entropy, APGD towards 9 targets, FAB towards 9 targets, Square with 5,000 queries
//   plus:     APGD cross-entropy and dlr with 5 restarts, FAB with 5 restarts, Square, APGD and FAB towards 9 targets
//   rand:     APGD cross-entropy and dlr with 20 gradients averaged at each step, for randomised models
// A model with hidden gradients gets one more pair of members: the APGD members of its preset along the gradients of a surrogate.
//   quick:    ours, for a first look: APGD cross-entropy with 30 steps, towards 3 targets with 30 steps, Square with 500 queries

import type { Classifier, DifferentiableClassifier, LabelledBatch, Norm, Warning } from "@worstcase/core";
import { SettingError } from "@worstcase/core";
import { apgd } from "./apgd/apgd.js";
import type { NamedAttack } from "./attackUnit.js";
import { isDifferentiable } from "./checks.js";
import { evaluateRobustness, type RobustnessOptions, type RobustnessResult } from "./evaluateRobustness.js";
import { fab } from "./fab/fab.js";
import { withinBudget } from "./minimumNorm.js";
import { square } from "./square/square.js";

export type SuitePreset = "standard" | "plus" | "rand" | "quick";

export interface StandardSuite {
  readonly preset: SuitePreset;
  readonly norm: Norm;
  readonly classCount: number;
  readonly attacks: readonly NamedAttack[];
  /** What was chosen for this number of classes and norm, in words; empty where the published settings apply unchanged. */
  readonly choices: readonly string[];
  /** Code `few-classes` when a loss had to be replaced. */
  readonly warnings: readonly Warning[];
}

export interface SuiteOptions {
  readonly norm: Norm;
  /** Default `standard`. */
  readonly preset?: SuitePreset | undefined;
  /** For models whose own gradients mislead, such as hard gates: the APGD members run along these gradients as well. */
  readonly surrogate?: DifferentiableClassifier | undefined;
  /** For models without gradients: members that need them are left out, or run along those of the surrogate alone. Default false. */
  readonly blackBox?: boolean | undefined;
}

/**
 * The attacks of a preset for a model with this many classes. With 2 classes the dlr loss is replaced by the margin, with 3 the targeted
 * dlr loss by the targeted margin; there are never more targets than other classes. Throws SettingError on an unknown preset or norm, and when
 * a black box leaves no attack.
 */
export function standardSuite(model: Pick<Classifier, "classCount">, options: SuiteOptions): StandardSuite {
  const { norm, preset = "standard", surrogate, blackBox = false } = options;
  const { classCount } = model;
  if (!["standard", "plus", "rand", "quick"].includes(preset)) {
    throw new SettingError({ argument: "options.preset", expected: "standard, plus, rand or quick", received: preset });
  }
  if (!["linf", "l2", "l1"].includes(norm)) {
    throw new SettingError({ argument: "options.norm", expected: "linf, l2 or l1", received: norm });
  }
  const choices: string[] = [];
  const warnings: Warning[] = [];
  const rivals = classCount - 1;
  const wanted = preset === "quick" ? 3 : norm === "l1" ? 5 : 9;
  const targets = Math.min(wanted, rivals);
  const fabTargets = Math.min(9, rivals);
  const ratio = classCount >= 3 ? "dlr" : "margin";
  const targetedRatio = classCount >= 4 ? "dlr" : "margin";
  if (targets < wanted || fabTargets < 9) choices.push(`${counted(rivals)}, all other classes, instead of up to 9`);
  const replace = (what: string) => {
    const message = `${classCount} classes: ${what} is not defined and replaced by the margin`;
    choices.push(message);
    warnings.push({ code: "few-classes", message });
  };
  const usesRatio = preset === "plus" || preset === "rand";
  if (usesRatio && classCount < 3) replace("the dlr loss");
  if (preset !== "rand" && classCount < 4) replace("the targeted dlr loss");
  const members = list(preset, { norm, targets, fabTargets, ratio, targetedRatio });
  const through = surrogate ? withSurrogate(members, surrogate) : members;
  if (surrogate)
    choices.push(`the APGD members run along the gradients of ${surrogate.id}${blackBox ? "" : " as well"}`);
  const attacks = through.filter((member) => {
    const { attack } = member;
    if (!attack.needs.norms.includes(norm)) choices.push(`${attack.name} is left out: it is not available in ${norm}`);
    else if (!blackBox || !attack.needs.gradients || member.surrogate) return true;
    else choices.push(`${member.name} is left out: the model gives no gradients`);
    return false;
  });
  if (attacks.length === 0) {
    const hint = "give a surrogate, or use another preset";
    throw new SettingError({
      argument: "options.preset",
      expected: "attacks without gradients",
      received: preset,
      hint,
    });
  }
  return { preset, norm, classCount, attacks, choices, warnings };
}

interface Choice {
  readonly norm: Norm;
  readonly targets: number;
  readonly fabTargets: number;
  readonly ratio: "dlr" | "margin";
  readonly targetedRatio: "dlr" | "margin";
}

function list(preset: SuitePreset, choice: Choice): NamedAttack[] {
  const { targets, fabTargets, ratio, targetedRatio, norm } = choice;
  const named = (name: string, attack: NamedAttack["attack"]) => ({ name, attack });
  const targeted = (steps: number) =>
    named(`apgd ${targetedRatio}, ${counted(targets)}`, apgd({ loss: targetedRatio, targets, steps }));
  const fabTargeted = named(`fab, ${counted(fabTargets)}`, withinBudget(fab({ targets: fabTargets })));
  if (preset === "quick") {
    return [named("apgd cross-entropy", apgd({ steps: 30 })), targeted(30), named("square", square({ queries: 500 }))];
  }
  if (preset === "rand") {
    return [
      named("apgd cross-entropy", apgd({ gradientSamples: 20 })),
      named(`apgd ${ratio}`, apgd({ loss: ratio, gradientSamples: 20 })),
    ];
  }
  if (preset === "plus") {
    return [
      named("apgd cross-entropy", apgd({ restarts: 5 })),
      named(`apgd ${ratio}`, apgd({ loss: ratio, restarts: 5 })),
      named("fab", withinBudget(fab({ targets: 0, restarts: 5 }))),
      named("square", square()),
      targeted(100),
      fabTargeted,
    ];
  }
  const restarts = norm === "l1" ? 5 : 1;
  return [named("apgd cross-entropy", apgd({ restarts })), targeted(100), fabTargeted, named("square", square())];
}

/** The APGD members once more, along the gradients of the surrogate, right after the last of them. */
function withSurrogate(members: readonly NamedAttack[], surrogate: DifferentiableClassifier): NamedAttack[] {
  const gradient = members.filter(({ attack }) => attack.name === "apgd");
  const through = gradient.map(({ name, attack }) => ({ name: `${name}, surrogate`, attack, surrogate }));
  const place = members.indexOf(gradient[gradient.length - 1]) + 1;
  return [...members.slice(0, place), ...through, ...members.slice(place)];
}

function counted(targets: number): string {
  return `${targets} ${targets === 1 ? "target" : "targets"}`;
}

export interface StandardResult extends RobustnessResult {
  readonly suite: Pick<StandardSuite, "preset" | "classCount" | "choices">;
}

/** Options of {@link evaluateRobustness} without what the suite decides. */
export type StandardOptions = Omit<RobustnessOptions, "attacks" | "order"> & Omit<SuiteOptions, "blackBox">;

/**
 * Evaluates the standard suite: `worst` is its accuracy at every epsilon, `attacks[k].accuracy` the accuracy after the k-th attack. Give
 * `sources` to add transferred points as members of the suite. A model without gradients meets the attacks that need none. Throws as {@link evaluateRobustness}.
 */
export async function evaluateStandard(
  model: Classifier,
  batch: LabelledBatch,
  options: StandardOptions,
): Promise<StandardResult> {
  const suite = standardSuite(model, { ...options, blackBox: !isDifferentiable(model) });
  for (const warning of suite.warnings) options.onEvent?.({ type: "warning", warning });
  const { preset: _preset, surrogate: _surrogate, ...rest } = options;
  const result = await evaluateRobustness(model, batch, { ...rest, attacks: suite.attacks, order: "survivors" });
  const { preset, classCount, choices } = suite;
  return { ...result, warnings: [...suite.warnings, ...result.warnings], suite: { preset, classCount, choices } };
}
