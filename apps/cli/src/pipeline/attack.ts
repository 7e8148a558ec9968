// The standard suite on saved heads through their backbone, or on a whole model, on test images. Every attack at every epsilon is a unit of the run folder,
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
  type UnitEvent,
} from "@worstcase/attacks";
import { createRng, type Norm, throwIfAborted, type Warning, type WorkEvent } from "@worstcase/core";
import { type AttackConfig, budgetsOf } from "../config/attack.js";
import { describeEnvironment, type Environment } from "../run/environment.js";
import { fileName, jsonUnit, type RunFolder } from "../run/runFolder.js";
import type { ProgressTools } from "../terminal/runWithProgress.js";
import { attackCurve } from "./attackCurve.js";
import { suiteOf, writeExamples } from "./attackExamples.js";
import { openTargets, type Target } from "./attackTargets.js";
import type { TestImages } from "./images.js";

/** One model's row: complete in itself, as a leaderboard wants it. Accuracies hold one entry per epsilon. */
export interface AttackRow {
  readonly model: string;
  readonly kind: Target["kind"];
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

/** Runs the evaluation to its end; writes `attack.json`, `curve.svg` and pictures of successful perturbations into the run folder. */
export async function attack(config: AttackConfig, folder: RunFolder, tools: ProgressTools): Promise<AttackReport> {
  const started = performance.now();
  const { targets, images, dataset, network, backend, workers, close } = await openTargets(config, tools);
  try {
    const prints = targets.map(({ name, fingerprint }) => [`head ${name}`, fingerprint]);
    const inputs = { test: images.fingerprint, backbone: network.fingerprint, backend };
    await folder.tie({ ...inputs, ...Object.fromEntries(prints) });
    const environment = describeEnvironment();
    await folder.write("environment.json", { ...environment, backend, workers });
    const rows: AttackRow[] = [];
    for (const [k, target] of targets.entries()) {
      throwIfAborted(tools.signal, "attack");
      const name = `${k}-${fileName(target.name)}`;
      const results = await evaluate(config, folder, tools, name, target, images);
      rows.push(rowOf(target, network.id, dataset, results));
      await writeExamples(config, folder, tools, name, target, images, results.suite);
    }
    const report: AttackReport = {
      format: 1,
      rows,
      data: { id: dataset, test: images.test.labels.length, fingerprint: images.fingerprint },
      backbone: network,
      backend,
      seed: config.seed,
      environment,
      seconds: (performance.now() - started) / 1000,
    };
    await folder.writeBytes("curve.svg", await attackCurve(rows));
    await folder.write("attack.json", report);
    return report;
  } finally {
    await close();
  }
}

interface Results {
  readonly suite: StandardResult;
  readonly compared: RobustnessResult | null;
}

/** FGSM and PGD as they are usually reported, with the cross-entropy, where norm and model allow them. */
function comparedAttacks({ compare, preset, norm }: AttackConfig, model: Target["model"]): NamedAttack[] {
  const steps = preset === "quick" ? 20 : 100;
  if (norm === "l1" || !("lossGradient" in model)) return [];
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
  { name, model, surrogate }: Target,
  { test }: TestImages,
): Promise<Results> {
  const { norm, preset } = config;
  const epsilons = budgetsOf(config);
  const completed = await folder.kept<AttackUnit>(`${prefix}-`, jsonUnit());
  const writes: Promise<void>[] = [];
  const attacks = comparedAttacks(config, model);
  const members = suiteOf(config, { model, surrogate }).attacks.length + attacks.length;
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

function rowOf(head: Target, backbone: string, dataset: string, { suite: whole, compared }: Results): AttackRow {
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
