// The standard suite on saved heads through their backbone, on test images. Every attack at every epsilon is a unit of the run folder,
// so an evaluation can be killed and continued at any moment.

import {
  type Accuracy,
  type AttackSummary,
  type AttackUnit,
  evaluateRobustness,
  evaluateStandard,
  fgsm,
  type NamedAttack,
  pgd,
  type RobustnessResult,
  type StandardResult,
  standardSuite,
  type UnitEvent,
} from "@worstcase/attacks";
import {
  createRng,
  DataError,
  type DifferentiableClassifier,
  type Norm,
  throwIfAborted,
  type Warning,
  type WorkEvent,
} from "@worstcase/core";
import { attach } from "@worstcase/head";
import { type AttackConfig, budgetsOf } from "../config/attack.js";
import { describeEnvironment, type Environment } from "../run/environment.js";
import { fileName, jsonUnit, type RunFolder } from "../run/runFolder.js";
import type { ProgressTools } from "../terminal/runWithProgress.js";
import { type AttackSubjects, findSubjects, type HeadToAttack } from "./attackSubjects.js";
import { type Backbone, openBackbone } from "./backbone.js";
import { loadTestImages, type TestImages } from "./images.js";

/** One model's row: complete in itself, as a leaderboard wants it. Accuracies hold one entry per epsilon. */
export interface AttackRow {
  readonly model: string;
  readonly kind: HeadToAttack["kind"];
  readonly head: string | null;
  readonly backbone: string;
  readonly dataset: string;
  readonly images: number;
  readonly norm: Norm;
  /** In pixel units. */
  readonly epsilons: readonly number[];
  readonly clean: Accuracy;
  /** Attacks on all images, each on its own; not part of the suite. */
  readonly compared: readonly AttackSummary[];
  /** In the order they ran; an attack's accuracy is that after it and all before it. */
  readonly attacks: readonly AttackSummary[];
  /** Accuracy under the whole suite, and what was adapted to the number of classes or the norm. */
  readonly suite: StandardResult["suite"] & { readonly accuracy: readonly Accuracy[] };
  /** Images given to the model, without and with gradient. */
  readonly calls: { readonly forward: number; readonly gradient: number };
  /** Of the attacks, also those finished before an interruption. */
  readonly seconds: number;
  readonly warnings: readonly Warning[];
  readonly masking: StandardResult["masking"];
}

export interface AttackReport {
  readonly format: 1;
  readonly rows: readonly AttackRow[];
  readonly data: { readonly id: string; readonly test: number; readonly fingerprint: string };
  readonly backbone: { readonly id: string; readonly fingerprint: string };
  readonly backend: string;
  readonly seed: number;
  readonly environment: Environment;
  readonly seconds: number;
}

/** Runs the evaluation to its end and writes `attack.json` into the run folder. */
export async function attack(config: AttackConfig, folder: RunFolder, tools: ProgressTools): Promise<AttackReport> {
  const started = performance.now();
  const subjects = await findSubjects(config);
  const images = await loadTestImages(subjects.setting, tools);
  const backbone = await openBackbone(subjects.setting);
  const { extractor } = backbone;
  try {
    checkBackbone(subjects, backbone);
    // widths are checked before anything is written
    const models = subjects.heads.map(({ classifier, surrogate }) => ({
      model: attach(extractor, classifier ?? backbone.head),
      surrogate: surrogate ? attach(extractor, surrogate) : undefined,
    }));
    const prints = subjects.heads.map(({ name, fingerprint }) => [`head ${name}`, fingerprint]);
    const inputs = { test: images.fingerprint, backbone: extractor.fingerprint, backend: extractor.backend };
    await folder.tie({ ...inputs, ...Object.fromEntries(prints) });
    const environment = describeEnvironment();
    await folder.write("environment.json", {
      ...environment,
      backend: extractor.backend,
      workers: extractor.workers,
    });
    const rows: AttackRow[] = [];
    for (const [k, head] of subjects.heads.entries()) {
      throwIfAborted(tools.signal, "attack");
      const result = await evaluate(
        config,
        folder,
        tools,
        `${k}-${fileName(head.name)}`,
        head.name,
        models[k]!,
        images,
      );
      rows.push(rowOf(head, extractor.id, subjects.setting.data, result));
    }
    const report: AttackReport = {
      format: 1,
      rows,
      data: { id: subjects.setting.data, test: images.test.labels.length, fingerprint: images.fingerprint },
      backbone: { id: extractor.id, fingerprint: extractor.fingerprint },
      backend: extractor.backend,
      seed: config.seed,
      environment,
      seconds: (performance.now() - started) / 1000,
    };
    await folder.write("attack.json", report);
    return report;
  } finally {
    await extractor.close();
  }
}

function checkBackbone({ backboneFingerprint, setting }: AttackSubjects, { extractor }: Backbone): void {
  if (backboneFingerprint === null || backboneFingerprint === extractor.fingerprint) return;
  throw new DataError({
    argument: "--run",
    expected: `the backbone ${backboneFingerprint.slice(0, 12)} that its heads were trained on`,
    received: `${extractor.fingerprint.slice(0, 12)} from ${setting.weights ?? setting.backbone}`,
  });
}

/** A model with the gradients that see through its gates, where its own do not. */
interface Attacked {
  readonly model: DifferentiableClassifier;
  readonly surrogate: DifferentiableClassifier | undefined;
}

interface Results {
  readonly suite: StandardResult;
  readonly compared: RobustnessResult | null;
}

/** FGSM and PGD as they are usually reported, with the cross-entropy. */
function comparedAttacks({ compare, preset }: AttackConfig): NamedAttack[] {
  const steps = preset === "quick" ? 20 : 100;
  return compare.map((name) =>
    name === "fgsm"
      ? { name: "fgsm", attack: fgsm({ loss: "cross-entropy" }) }
      : { name: `pgd ${steps}`, attack: pgd({ loss: "cross-entropy", steps }) },
  );
}

async function evaluate(
  config: AttackConfig,
  folder: RunFolder,
  tools: ProgressTools,
  prefix: string,
  name: string,
  { model, surrogate }: Attacked,
  { test }: TestImages,
): Promise<Results> {
  const { norm, preset } = config;
  const epsilons = budgetsOf(config);
  const completed = await folder.kept<AttackUnit>(`${prefix}-`, jsonUnit());
  const writes: Promise<void>[] = [];
  const attacks = comparedAttacks(config).filter(({ attack }) => attack.needs.norms.includes(norm));
  const members = standardSuite(model, { norm, preset, surrogate }).attacks.length + attacks.length;
  let done = completed.length;
  const show = (values: Readonly<Record<string, number>>) =>
    tools.onEvent({ type: "progress", task: `attack ${name}`, done, total: members * epsilons.length, values });
  const settings = {
    norm,
    epsilons,
    rng: createRng(config.seed),
    batchSize: config.batch,
    completed,
    signal: tools.signal,
    onEvent: (event: WorkEvent | UnitEvent) => {
      // warnings are in the result
      if (event.type === "progress") show({ [event.task.replace(/ at .*/, "")]: event.done / event.total });
      if (event.type !== "unit") return;
      const { attack, epsilon } = event.unit;
      const unit = `${prefix}-${fileName(attack)}-${epsilons.indexOf(epsilon)}`;
      writes.push(folder.keep(unit, jsonUnit<AttackUnit>(), event.unit));
      done++;
      show({});
    },
  };
  const compared = attacks.length > 0 ? await evaluateRobustness(model, test, { ...settings, attacks }) : null;
  const suite = await evaluateStandard(model, test, { ...settings, preset, surrogate });
  await Promise.all(writes);
  return { suite, compared };
}

function rowOf(head: HeadToAttack, backbone: string, dataset: string, { suite: whole, compared }: Results): AttackRow {
  const { samples, norm, epsilons, clean, attacks, worst, suite, calls, units, warnings, masking } = whole;
  return {
    model: head.name,
    kind: head.kind,
    head: head.file,
    backbone,
    dataset,
    images: samples,
    norm,
    epsilons,
    clean,
    compared: compared?.attacks ?? [],
    attacks,
    suite: { ...suite, accuracy: worst },
    calls,
    seconds: units.reduce((sum, unit) => sum + unit.seconds, 0),
    warnings,
    masking,
  };
}
