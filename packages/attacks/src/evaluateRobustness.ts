// Several attacks at several epsilons on one model: accuracy per attack and epsilon, and the worst per image over all attacks.
// A sample broken at a smaller epsilon by the same attack stays broken and is not attacked again.

import {
  type Classifier,
  checkBudget,
  type LabelledBatch,
  type Norm,
  type Rng,
  SettingError,
  sampleCount,
  takeSamples,
  type Warning,
  type WorkEvent,
  type WorkOptions,
} from "@worstcase/core";
import type { Attack } from "./attack.js";
import { type AttackUnit, findCompleted, type NamedAttack, unitFingerprint } from "./attackUnit.js";
import { checkAttack, checkInteger, checkSamples } from "./checks.js";
import { attackCorrectSamples, classify, where } from "./evaluateAttack.js";
import { metered, withSurrogateGradients } from "./surrogate.js";
import { samplesFingerprint, type TransferExamples, type TransferSource } from "./transfer/examples.js";
import { SourceExamples } from "./transfer/sourceExamples.js";
import { type AttackVerdicts, maskingWarnings, zeroGradientWarning } from "./warnings.js";
import { type Accuracy, accuracyOf } from "./wilson.js";

/** A finished unit of work; save it and give it back as `completed` to resume. */
export interface UnitEvent {
  readonly type: "unit";
  readonly unit: AttackUnit;
}

export interface RobustnessOptions extends WorkOptions<WorkEvent | UnitEvent> {
  /** Attacks with unique names; {@link standardAttacks} is the usual list. */
  readonly attacks: readonly NamedAttack[];
  readonly norm: Norm;
  /** Strictly increasing, in input units. */
  readonly epsilons: readonly number[];
  /** Models whose adversarial points are tried on this model, or such points made before. */
  readonly sources?: readonly (TransferSource | TransferExamples)[] | undefined;
  readonly rng: Rng;
  /** Samples given to a model at once. Default 128. */
  readonly batchSize?: number | undefined;
  /** Units saved from an earlier, interrupted call with the same arguments. */
  readonly completed?: readonly AttackUnit[] | undefined;
}

export interface RobustnessResult {
  /** `id` of the model. */
  readonly model: string;
  readonly norm: Norm;
  readonly epsilons: readonly number[];
  readonly samples: number;
  readonly clean: Accuracy;
  /** Per attack, accuracy at each epsilon. */
  readonly attacks: readonly { readonly name: string; readonly accuracy: readonly Accuracy[] }[];
  /** Accuracy at each epsilon when every image meets the attack that is worst for it: an upper bound on robust accuracy. */
  readonly worst: readonly Accuracy[];
  /** Per epsilon, per sample: whether any attack breaks it (or it is misclassified from the start). */
  readonly worstFooled: readonly (readonly boolean[])[];
  readonly units: readonly AttackUnit[];
  /** Points made on the sources during this call, to be given as `sources` of the next model. */
  readonly transferExamples: readonly TransferExamples[];
  /** Samples evaluated on this model, without and with gradient. */
  readonly calls: { readonly forward: number; readonly gradient: number };
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

interface Entry extends NamedAttack {
  readonly strength: AttackVerdicts["strength"];
  /** Makes the attack when it is first needed: transfer examples cost gradients of another model. */
  prepare(epsilon: number): Promise<Attack | Attack<Classifier>>;
}

/**
 * Evaluates every attack at every epsilon. Numbers depend only on model, samples, settings and rng: neither on batch size, nor on
 * the order of attacks, nor on how much was given back as `completed`. Throws SettingError, ShapeError, DataError or
 * UnsupportedError on misuse before any model is called, AbortedError when the signal fires (units reported so far remain valid).
 */
export async function evaluateRobustness(
  model: Classifier,
  batch: LabelledBatch,
  options: RobustnessOptions,
): Promise<RobustnessResult> {
  const { norm, epsilons, batchSize = 128, completed = [], onEvent, signal } = options;
  checkInteger(batchSize, 1, "options.batchSize");
  checkEpsilons(model, norm, epsilons);
  checkSamples(model, batch);
  const samples = samplesFingerprint(batch);
  const sources = (options.sources ?? []).map(
    (source) => new SourceExamples(source, batch, samples, { ...options, batchSize }),
  );
  const entries = [...options.attacks.map(ownEntry), ...sources.map(transferEntry)];
  checkEntries(model, entries, { norm, epsilon: epsilons[0] });

  const print = (entry: NamedAttack, e: number) =>
    unitFingerprint(model, entry, samples, norm, epsilons[e], epsilons.slice(0, e), options.rng);
  const find = (entry: NamedAttack, e: number) =>
    findCompleted(completed, entry.name, norm, epsilons[e], print(entry, e));
  const known = entries.map((entry) => epsilons.map((_, e) => find(entry, e)));

  const started = performance.now();
  const cleanView = metered(model);
  const clean = await classify(cleanView.model, batch, batchSize, signal);
  const start: Progress = {
    fooled: Array.from(clean.fooled, Boolean),
    distance: new Array(clean.fooled.length).fill(0),
    loss: Array.from(clean.loss),
  };
  const units: AttackUnit[][] = [];
  for (const [k, entry] of entries.entries()) {
    let progress = start;
    const row: AttackUnit[] = [];
    for (const [e, epsilon] of epsilons.entries()) {
      let unit = known[k][e];
      if (!unit) {
        unit = await attackUnit(model, batch, entry, epsilon, progress, print(entry, e), { ...options, batchSize });
        onEvent?.({ type: "unit", unit });
      }
      row.push(unit);
      progress = unit;
    }
    units.push(row);
  }

  const worstFooled = epsilons.map((_, e) =>
    start.fooled.map((fooled, i) => fooled || units.some((row) => row[e].fooled[i])),
  );
  const flat = units.flat();
  const warnings = collectWarnings(entries, units, epsilons);
  for (const warning of warnings) onEvent?.({ type: "warning", warning });
  return {
    model: model.id,
    norm,
    epsilons: [...epsilons],
    samples: sampleCount(batch.inputs),
    clean: accuracyOf(start.fooled),
    attacks: entries.map(({ name }, k) => ({ name, accuracy: units[k].map((unit) => accuracyOf(unit.fooled)) })),
    worst: worstFooled.map(accuracyOf),
    worstFooled,
    units: flat,
    transferExamples: sources.flatMap((source) => source.made()),
    calls: {
      forward: flat.reduce((sum, unit) => sum + unit.calls.forward, cleanView.meter.forward),
      gradient: flat.reduce((sum, unit) => sum + unit.calls.gradient, 0),
    },
    seconds: (performance.now() - started) / 1000,
    warnings,
  };
}

type Progress = Pick<AttackUnit, "fooled" | "distance" | "loss">;

async function attackUnit(
  model: Classifier,
  batch: LabelledBatch,
  entry: Entry,
  epsilon: number,
  before: Progress,
  print: string,
  options: RobustnessOptions & { batchSize: number },
): Promise<AttackUnit> {
  const { norm, batchSize, signal, onEvent } = options;
  const positions = where(Uint8Array.from(before.fooled, (fooled) => (fooled ? 0 : 1)));
  const { model: view, meter } = metered(entry.surrogate ? withSurrogateGradients(model, entry.surrogate) : model);
  const started = performance.now();
  const fooled = [...before.fooled];
  const distance = [...before.distance];
  const loss = [...before.loss];
  let warnings: readonly Warning[] = [];
  if (positions.length > 0 && epsilon > 0) {
    const attack = renamed(await entry.prepare(epsilon), entry.name);
    const rng = options.rng.fork(`${entry.name}/${norm}/${epsilon}`);
    const settings = { budget: { norm, epsilon }, rng, batchSize, signal, onEvent };
    const outcome = await attackCorrectSamples(view, meter, takeSamples(batch, positions), attack, settings);
    positions.forEach((i, j) => {
      fooled[i] = outcome.fooled[j] === 1;
      distance[i] = outcome.distance[j];
      loss[i] = outcome.loss[j];
    });
    warnings = outcome.warnings;
  }
  return {
    attack: entry.name,
    norm,
    epsilon,
    fingerprint: print,
    fooled,
    distance,
    loss,
    calls: { forward: meter.forward, gradient: meter.gradient },
    zeroGradients: { ...meter.watched },
    seconds: (performance.now() - started) / 1000,
    warnings,
  };
}

/** The attack under its name in the evaluation, for events and warnings. */
function renamed(attack: Attack | Attack<Classifier>, name: string): Attack {
  const { kind, needs, settings } = attack;
  return { name, kind, needs, settings, run: (model, batch, options) => attack.run(model, batch, options) };
}

function ownEntry(named: NamedAttack): Entry {
  const strength = named.attack.kind === "single-step" ? "single-step" : "iterative";
  return { ...named, strength, prepare: async () => named.attack };
}

function transferEntry(source: SourceExamples): Entry {
  const { attack } = source;
  const strength = source.madeBy === "single-step" ? "single-step" : "iterative";
  return { name: attack.name, attack, strength, prepare: (epsilon) => source.attackAt(epsilon) };
}

function collectWarnings(
  entries: readonly Entry[],
  units: readonly AttackUnit[][],
  epsilons: readonly number[],
): Warning[] {
  const repairs = units.flat().flatMap((unit) => unit.warnings);
  const vanishing = entries.flatMap((entry, k) => {
    const first = units[k].find((unit) => unit.zeroGradients.samples > 0);
    return first && !entry.surrogate ? zeroGradientWarning(entry.name, first.zeroGradients) : [];
  });
  const verdicts = entries.map(
    ({ name, strength, attack, surrogate }, k): AttackVerdicts => ({
      name,
      strength,
      ownGradients: attack.needs.gradients && !surrogate,
      fooled: units[k].map((unit) => unit.fooled),
    }),
  );
  return [...maskingWarnings(verdicts, epsilons), ...vanishing, ...repairs];
}

function checkEpsilons(model: Classifier, norm: Norm, epsilons: readonly number[]): void {
  if (epsilons.length === 0 || epsilons.some((epsilon, e) => e > 0 && !(epsilon > epsilons[e - 1]))) {
    const expected = "at least one number, strictly increasing";
    throw new SettingError({ argument: "options.epsilons", expected, received: [...epsilons] });
  }
  for (const epsilon of epsilons) checkBudget({ norm, epsilon }, model.bounds);
}

function checkEntries(model: Classifier, entries: readonly Entry[], budget: { norm: Norm; epsilon: number }): void {
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
