// Attacks one head through the backbone on the test images: own gradients, straight-through where gates are hard, and transfer of the
// examples made on the backbone's own head, which are made once and kept.

import {
  type Accuracy,
  type AttackUnit,
  craftTransferExamples,
  evaluateRobustness,
  standardAttacks,
  type TransferExamples,
} from "@worstcase/attacks";
import type { DifferentiableClassifier, LabelledBatch, Warning } from "@worstcase/core";
import { arraysUnit, fileName, jsonUnit } from "../run/runFolder.js";
import type { Job } from "./job.js";

export interface AttackedHead {
  readonly clean: Accuracy;
  readonly attacked: Readonly<Record<string, readonly Accuracy[]>>;
  readonly worst: readonly Accuracy[];
  readonly attackSeconds: number;
  readonly warnings: readonly Warning[];
}

/** Images given to a model at once. Results do not depend on it. */
const batchSize = 128;

/** Name of the transfer source; the evaluation prefixes it with `transfer from`. */
const sourceName = "backbone head";

export async function attackHead(
  job: Job,
  name: string,
  model: DifferentiableClassifier,
  surrogate: DifferentiableClassifier | null,
  test: LabelledBatch,
  examples: readonly TransferExamples[],
): Promise<AttackedHead> {
  const { config, folder, tools, rng } = job;
  const attacks = standardAttacks({
    steps: config.steps,
    restarts: config.restarts,
    ...(surrogate ? { surrogate } : {}),
  });
  const prefix = `attack-${fileName(name)}`;
  const completed = await folder.kept<AttackUnit>(`${prefix}-`, jsonUnit());
  const writes: Promise<void>[] = [];
  const total = (attacks.length + examples.length) * config.epsilon.length;
  let done = completed.length;
  const result = await evaluateRobustness(model, test, {
    attacks,
    norm: "linf",
    epsilons: config.epsilon,
    sources: examples,
    rng: rng.fork("attacks"),
    batchSize,
    completed,
    signal: tools.signal,
    onEvent: (event) => {
      if (event.type === "unit") {
        const { attack, epsilon } = event.unit;
        const unit = `${prefix}-${fileName(attack)}-${config.epsilon.indexOf(epsilon)}`;
        writes.push(folder.keep(unit, jsonUnit<AttackUnit>(), event.unit));
        tools.onEvent({ type: "progress", task: `attack ${name}`, done: ++done, total });
      }
    },
  });
  await Promise.all(writes);
  return {
    clean: result.clean,
    attacked: Object.fromEntries(result.attacks.map(({ name: attack, accuracy }) => [attack, accuracy])),
    worst: result.worst,
    attackSeconds: result.units.reduce((sum, unit) => sum + unit.seconds, 0),
    warnings: result.warnings,
  };
}

/** Adversarial test images of the backbone's own head at every epsilon. */
export async function craftExamples(
  job: Job,
  model: DifferentiableClassifier,
  test: LabelledBatch,
): Promise<TransferExamples> {
  const { config, folder, tools, rng } = job;
  const parts: TransferExamples[] = [];
  for (const [k, epsilon] of config.epsilon.entries()) {
    let made: TransferExamples | null = null;
    const craft = async () => {
      made = await craftTransferExamples({ name: sourceName, model }, test, {
        norm: "linf",
        epsilons: [epsilon],
        rng: rng.fork("transfer"),
        batchSize,
        ...tools,
      });
      return made;
    };
    const details = await folder.once(
      `transfer-${k}-details`,
      jsonUnit<Omit<TransferExamples, "points" | "indices">>(),
      async () => {
        const { points: _points, indices: _indices, ...rest } = await craft();
        return rest;
      },
    );
    const arrays = await folder.once(`transfer-${k}-points`, arraysUnit, async () => {
      const { adversarials } = (made ?? (await craft())).points[0]!;
      return { points: { data: Float32Array.from(adversarials.data), shape: adversarials.shape } };
    });
    parts.push({ ...details, indices: test.indices.slice(), points: [{ epsilon, adversarials: arrays.points! }] });
  }
  return { ...parts[0]!, points: parts.flatMap((part) => part.points) };
}
