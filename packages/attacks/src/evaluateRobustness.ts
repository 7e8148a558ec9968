// Several attacks at several epsilons on one model: accuracy per attack and epsilon, and the worst per image over all attacks.
// A sample broken at a smaller epsilon by the same attack stays broken and is not attacked again.

import {
  type Classifier,
  gatherBatch,
  type LabelledBatch,
  type Norm,
  type NumericBatch,
  type Rng,
  SettingError,
  sampleCount,
  sampleSize,
  takeSamples,
  type Warning,
  type WorkEvent,
  type WorkOptions,
} from "@worstcase/core";
import {
  type AttackUnit,
  findCompleted,
  type NamedAttack,
  restorePoints,
  storePoints,
  unitFingerprint,
} from "./attackUnit.js";
import { checkInteger, checkModelBudget, checkSamples } from "./checks.js";
import { attackCorrectSamples, classify, where } from "./evaluateAttack.js";
import {
  checkEntries,
  type Entry,
  ownEntry,
  type PlannedUnit,
  planUnits,
  renamed,
  transferEntry,
} from "./evaluationPlan.js";
import { inspectModel } from "./inspectModel.js";
import { unitStream } from "./successfulPoints.js";
import { metered, withSurrogateGradients } from "./surrogate.js";
import { samplesFingerprint, type TransferExamples, type TransferSource } from "./transfer/examples.js";
import { SourceExamples } from "./transfer/sourceExamples.js";
import {
  type AttackVerdicts,
  type MaskingVerdict,
  maskingVerdict,
  maskingWarnings,
  zeroGradientWarning,
} from "./warnings.js";
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
  /**
   * `independent`: every attack meets every sample, so that attacks can be compared. `survivors`: attacks run in their order, each on the
   * samples that no earlier one broke at this or a smaller epsilon; an attack's accuracy is then that after it. Default `independent`.
   */
  readonly order?: "independent" | "survivors" | undefined;
  /** Whether attacks that take starts begin at the last points of the next smaller epsilon too. Default false. */
  readonly warmStart?: boolean | undefined;
  /** Units saved from an earlier, interrupted call with the same arguments. */
  readonly completed?: readonly AttackUnit[] | undefined;
}

export interface AttackSummary {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** At each epsilon; with `survivors`, accuracy after this attack and all before it. */
  readonly accuracy: readonly Accuracy[];
  /** Samples evaluated on the model at all epsilons, without and with gradient. */
  readonly calls: { readonly forward: number; readonly gradient: number };
  readonly seconds: number;
}

export interface RobustnessResult {
  /** `id` of the model. */
  readonly model: string;
  readonly norm: Norm;
  readonly epsilons: readonly number[];
  readonly samples: number;
  readonly clean: Accuracy;
  /** Per attack, in order. */
  readonly attacks: readonly AttackSummary[];
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
  /** Whether the warnings speak for masked gradients. */
  readonly masking: MaskingVerdict;
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
  if (options.order !== undefined && options.order !== "independent" && options.order !== "survivors") {
    throw new SettingError({
      argument: "options.order",
      expected: "independent or survivors",
      received: options.order,
    });
  }
  checkSamples(model, batch);
  const samples = samplesFingerprint(batch);
  const sources = (options.sources ?? []).map(
    (source) => new SourceExamples(source, batch, samples, { ...options, batchSize }),
  );
  const entries = [...options.attacks.map(ownEntry), ...sources.map(transferEntry)];
  checkEntries(model, entries, { norm, epsilon: epsilons[0] });

  const plan = planUnits(entries, epsilons, options.order ?? "independent");
  const prints = new Map<PlannedUnit, string>();
  for (const planned of plan) {
    const { entry, e, before } = planned;
    const chain = {
      ...(options.warmStart ? { warmStart: true as const } : {}),
      ...(options.order === "survivors" && before ? { after: prints.get(before) ?? "" } : {}),
    };
    const smaller = epsilons.slice(0, e);
    prints.set(planned, unitFingerprint(model, entry, samples, norm, epsilons[e], smaller, options.rng, chain));
  }
  const known = new Map(
    plan.map((planned) => {
      const { entry, e } = planned;
      return [planned, findCompleted(completed, entry.name, norm, epsilons[e], prints.get(planned) ?? "")];
    }),
  );

  const started = performance.now();
  const cleanView = metered(model);
  const budget = { norm, epsilon: epsilons[epsilons.length - 1] };
  const inspected = await inspectModel(cleanView.model, batch, { budget, rng: options.rng, signal });
  const clean = await classify(cleanView.model, batch, batchSize, signal);
  const start: Progress = {
    fooled: Array.from(clean.fooled, Boolean),
    distance: new Array(clean.fooled.length).fill(0),
    loss: Array.from(clean.loss),
  };
  const done = new Map<PlannedUnit, AttackUnit>();
  const units: AttackUnit[][] = entries.map(() => []);
  for (const planned of plan) {
    const { entry, k, e, before } = planned;
    let unit = known.get(planned);
    if (!unit) {
      const progress = (before && done.get(before)) ?? start;
      const starts = e > 0 ? startsFrom(batch, units[k][e - 1]) : undefined;
      unit = await attackUnit(model, batch, entry, epsilons[e], progress, prints.get(planned) ?? "", {
        ...options,
        batchSize,
        starts,
      });
      onEvent?.({ type: "unit", unit });
    }
    done.set(planned, unit);
    units[k][e] = unit;
  }

  const worstFooled = epsilons.map((_, e) =>
    start.fooled.map((fooled, i) => fooled || units.some((row) => row[e].fooled[i])),
  );
  const flat = units.flat();
  const warnings = [...inspected, ...collectWarnings(entries, units, epsilons, options.order === "survivors")];
  for (const warning of warnings) onEvent?.({ type: "warning", warning });
  return {
    model: model.id,
    norm,
    epsilons: [...epsilons],
    samples: sampleCount(batch.inputs),
    clean: accuracyOf(start.fooled),
    attacks: entries.map((entry, k) => summarise(entry, units[k])),
    worst: worstFooled.map(accuracyOf),
    worstFooled,
    units: flat,
    transferExamples: sources.flatMap((source) => source.made()),
    calls: addCalls([...flat.map((unit) => unit.calls), cleanView.meter]),
    seconds: (performance.now() - started) / 1000,
    warnings,
    masking: maskingVerdict(warnings),
  };
}

function summarise(entry: Entry, units: readonly AttackUnit[]): AttackSummary {
  const { name, attack } = entry;
  return {
    name,
    settings: attack.settings,
    accuracy: units.map((unit) => accuracyOf(unit.fooled)),
    calls: addCalls(units.map((unit) => unit.calls)),
    seconds: units.reduce((sum, unit) => sum + unit.seconds, 0),
  };
}

function addCalls(all: readonly { readonly forward: number; readonly gradient: number }[]): {
  forward: number;
  gradient: number;
} {
  const total = { forward: 0, gradient: 0 };
  for (const { forward, gradient } of all) {
    total.forward += forward;
    total.gradient += gradient;
  }
  return total;
}

/** The stored points of the next smaller epsilon as starts for the whole batch. */
function startsFrom(batch: LabelledBatch, unit: AttackUnit): NumericBatch[] | undefined {
  if (!unit.ends) return undefined;
  const data = batch.inputs.data.slice();
  restorePoints(unit.ends, data, sampleSize(batch.inputs));
  return [{ data, shape: batch.inputs.shape }];
}

type Progress = Pick<AttackUnit, "fooled" | "distance" | "loss">;

async function attackUnit(
  model: Classifier,
  batch: LabelledBatch,
  entry: Entry,
  epsilon: number,
  before: Progress,
  print: string,
  options: RobustnessOptions & { batchSize: number; starts?: readonly NumericBatch[] | undefined },
): Promise<AttackUnit> {
  const { norm, batchSize, signal, onEvent, warmStart } = options;
  const positions = where(Uint8Array.from(before.fooled, (fooled) => (fooled ? 0 : 1)));
  const { model: view, meter } = metered(entry.surrogate ? withSurrogateGradients(model, entry.surrogate) : model);
  const started = performance.now();
  const fooled = [...before.fooled];
  const distance = [...before.distance];
  const loss = [...before.loss];
  let warnings: readonly Warning[] = [];
  let ends: AttackUnit["ends"];
  if (positions.length > 0 && epsilon > 0) {
    const attack = renamed(await entry.prepare(epsilon), entry.name);
    const rng = options.rng.fork(unitStream(entry.name, norm, epsilon));
    const starts = options.starts?.map((given) => gatherBatch(given, positions));
    const settings = { budget: { norm, epsilon }, rng, batchSize, signal, onEvent, starts };
    const outcome = await attackCorrectSamples(view, meter, takeSamples(batch, positions), attack, settings);
    positions.forEach((i, j) => {
      fooled[i] = outcome.fooled[j] === 1;
      distance[i] = outcome.distance[j];
      loss[i] = outcome.loss[j];
    });
    warnings = outcome.warnings;
    if (warmStart) {
      const points = batch.inputs.data.slice();
      const size = sampleSize(batch.inputs);
      const open: number[] = [];
      positions.forEach((i, j) => {
        if (fooled[i]) return;
        points.set(outcome.points.subarray(j * size, (j + 1) * size), i * size);
        open.push(i);
      });
      ends = storePoints(points, open, size);
    }
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
    ...(ends ? { ends } : {}),
    seconds: (performance.now() - started) / 1000,
    warnings,
  };
}

function collectWarnings(
  entries: readonly Entry[],
  units: readonly AttackUnit[][],
  epsilons: readonly number[],
  cumulative: boolean,
): Warning[] {
  const repairs = units.flat().flatMap((unit) => unit.warnings);
  const vanishing = entries.flatMap((entry, k) => {
    const first = units[k].find((unit) => unit.zeroGradients.samples > 0);
    return first && !entry.surrogate ? zeroGradientWarning(entry.name, first.zeroGradients) : [];
  });
  const verdicts = entries.map(
    ({ name, strength, attack, surrogate, transferred }, k): AttackVerdicts => ({
      name,
      strength,
      ownGradients: attack.needs.gradients && !surrogate,
      blackBox: !attack.needs.gradients && !transferred,
      fooled: units[k].map((unit) => unit.fooled),
    }),
  );
  const compared = verdicts.filter((_, k) => entries[k].attack.kind !== "exact");
  return [...maskingWarnings(compared, epsilons, cumulative), ...vanishing, ...repairs];
}

function checkEpsilons(model: Classifier, norm: Norm, epsilons: readonly number[]): void {
  if (epsilons.length === 0 || epsilons.some((epsilon, e) => e > 0 && !(epsilon > epsilons[e - 1]))) {
    const expected = "at least one number, strictly increasing";
    throw new SettingError({ argument: "options.epsilons", expected, received: [...epsilons] });
  }
  for (const epsilon of epsilons) checkModelBudget(model, { norm, epsilon });
}
