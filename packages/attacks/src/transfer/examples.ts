// Adversarial points made on a source model, kept so that many targets can be attacked with the same points.

import {
  checkBatch,
  DataError,
  type DifferentiableClassifier,
  fingerprint,
  type LabelledBatch,
  type Norm,
  type NumericBatch,
  type Rng,
  ShapeError,
  sampleCount,
  sampleSize,
  takeSamples,
  throwIfAborted,
  type WorkOptions,
} from "@worstcase/core";
import type { Attack } from "../attack.js";
import { checkAttack, checkInteger, checkSamples } from "../checks.js";
import { pgd } from "../pgd/pgd.js";

export interface TransferExamples {
  /** Name of the source, for example `original head`. */
  readonly source: string;
  readonly norm: Norm;
  /** How the examples were made; masking warnings compare like with like. */
  readonly madeBy: {
    readonly name: string;
    readonly kind: Attack["kind"];
    readonly settings: Attack["settings"];
    /** `id` of the source model. */
    readonly model: string;
    /** Name of the random stream. */
    readonly stream: string;
  };
  /** Positions of the samples in their data set, `[samples]`. */
  readonly indices: Int32Array;
  /** {@link samplesFingerprint} of the clean samples. */
  readonly samples: string;
  /** For each epsilon the perturbed inputs, shape of the clean inputs. */
  readonly points: readonly { readonly epsilon: number; readonly adversarials: NumericBatch }[];
}

export interface TransferSource {
  readonly name: string;
  readonly model: DifferentiableClassifier;
  /** Default: `transferAttack`, PGD with 10 steps that raises the margin on, also after the source is fooled. */
  readonly attack?: Attack | undefined;
}

export interface CraftOptions extends WorkOptions {
  readonly norm: Norm;
  readonly epsilons: readonly number[];
  readonly rng: Rng;
  /** Samples given to the model at once. Default 128. */
  readonly batchSize?: number | undefined;
}

/** The default attack on transfer sources. It does not stop at success: points deep behind the boundary transfer better. */
export function transferAttack(): Attack {
  return pgd({ loss: "margin", steps: 10, restarts: 0, stopWhenFooled: false });
}

/**
 * Adversarial points of the source at every epsilon, for all samples of the batch. The random streams are forked by source name
 * and epsilon. Throws as {@link Attack.run}.
 */
export async function craftTransferExamples(
  source: TransferSource,
  batch: LabelledBatch,
  options: CraftOptions,
): Promise<TransferExamples> {
  const attack = source.attack ?? transferAttack();
  const { norm, batchSize = 128 } = options;
  checkInteger(batchSize, 1, "options.batchSize");
  checkSamples(source.model, batch);
  for (const epsilon of options.epsilons) checkAttack(source.model, attack, { norm, epsilon });
  const points: { epsilon: number; adversarials: NumericBatch }[] = [];
  for (const epsilon of options.epsilons) {
    points.push({ epsilon, adversarials: await craft(source, attack, batch, epsilon, { ...options, batchSize }) });
  }
  return {
    source: source.name,
    norm,
    madeBy: describeSource(source, options.rng),
    indices: batch.indices.slice(),
    samples: samplesFingerprint(batch),
    points,
  };
}

async function craft(
  source: TransferSource,
  attack: Attack,
  batch: LabelledBatch,
  epsilon: number,
  options: CraftOptions & { batchSize: number },
): Promise<NumericBatch> {
  const { batchSize, norm, signal, onEvent } = options;
  const rng = options.rng.fork(`transfer/${source.name}/${epsilon}`);
  const data = batch.inputs.data.slice();
  const total = sampleCount(batch.inputs);
  const size = sampleSize(batch.inputs);
  for (let from = 0; from < total; from += batchSize) {
    throwIfAborted(signal, "transfer examples");
    const rows = Int32Array.from({ length: Math.min(batchSize, total - from) }, (_, j) => from + j);
    const chunk = takeSamples(batch, rows);
    const points = await attack.run(source.model, chunk, { budget: { norm, epsilon }, rng, signal });
    checkBatch(points, `result of ${attack.name}`, source.model.inputShape);
    if (sampleCount(points) !== rows.length) {
      const expected = `${rows.length} samples`;
      throw new ShapeError({ argument: `result of ${attack.name}`, expected, received: sampleCount(points) });
    }
    data.set(points.data, from * size);
    const task = `examples of ${source.name} at ${epsilon}`;
    onEvent?.({ type: "progress", task, done: from + rows.length, total });
  }
  return { data, shape: batch.inputs.shape };
}

/** What decides the points of a source besides samples, norm and epsilon. */
export function describeSource(source: TransferSource, rng: Rng): TransferExamples["madeBy"] {
  const { name, kind, settings } = source.attack ?? transferAttack();
  return { name, kind, settings, model: source.model.id, stream: rng.state().name };
}

/** SHA-256 of inputs, labels and positions: tells whether saved work belongs to these samples. */
export function samplesFingerprint(batch: LabelledBatch): string {
  return fingerprint(batch.inputs.shape.join(), batch.inputs.data, batch.labels, batch.indices);
}

/** The stored points of one epsilon. Throws DataError when there are none. */
export function pointsAt(examples: TransferExamples, norm: Norm, epsilon: number): NumericBatch {
  const found = examples.norm === norm && examples.points.find((entry) => entry.epsilon === epsilon);
  if (found) return found.adversarials;
  const received = `${examples.norm} at ${examples.points.map((entry) => entry.epsilon).join(", ")}`;
  const argument = `transfer examples of ${examples.source}`;
  throw new DataError({ argument, expected: `points for ${norm} at epsilon ${epsilon}`, received });
}
