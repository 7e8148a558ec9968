// Calls of the model for some samples of a batch. Attacks keep their points for all samples, [samples, size]; the rows that are
// still attacked are gathered into one buffer, given to the model, and its answers checked.

import {
  type Classifier,
  type DifferentiableClassifier,
  evaluateLoss,
  type LabelledBatch,
  type Loss,
  type LossGradient,
  type NumericBatch,
  sampleSize,
  throwIfAborted,
} from "@worstcase/core";
import { checkLogits } from "./checks.js";
import { checkGradient } from "./gradient.js";
import { emptyLike, type Values } from "./perturbationSet.js";

export class ModelCalls<C extends Classifier = DifferentiableClassifier> {
  readonly size: number;
  private readonly buffer: Values;
  private readonly labels: Int32Array;
  private readonly names: Int32Array;
  private readonly targets: Int32Array;

  constructor(
    readonly model: C,
    readonly batch: LabelledBatch,
    private readonly signal: AbortSignal | undefined,
    /** Name of the attack, for errors. */
    private readonly attack: string,
  ) {
    const total = batch.labels.length;
    this.size = sampleSize(batch.inputs);
    this.buffer = emptyLike(batch.inputs.data, batch.inputs.data.length);
    this.labels = new Int32Array(total);
    this.names = new Int32Array(total);
    this.targets = new Int32Array(total);
  }

  /** The rows `samples` of `points`, `[rows, ...sample]`; a view that the next call overwrites. */
  private gather(points: Values, samples: Int32Array): NumericBatch {
    throwIfAborted(this.signal, this.attack);
    const { size } = this;
    for (let j = 0; j < samples.length; j++) {
      const i = samples[j];
      this.buffer.set(points.subarray(i * size, (i + 1) * size), j * size);
      this.labels[j] = this.batch.labels[i];
      this.names[j] = this.batch.indices[i];
    }
    const data = this.buffer.subarray(0, samples.length * size);
    return { data, shape: [samples.length, ...this.batch.inputs.shape.slice(1)] };
  }

  /** Logits `[rows, classes]` of the rows `samples` of `points` (`[samples, size]`). */
  async logits(points: Values, samples: Int32Array): Promise<NumericBatch> {
    const inputs = this.gather(points, samples);
    const logits = await this.model.logits(inputs);
    checkLogits(logits, this.model, this.names.subarray(0, samples.length));
    return logits;
  }

  /** Loss, logits and gradient, one row for each of `samples`; `targets` has one class for every sample of the batch. */
  async lossGradient(
    this: ModelCalls<DifferentiableClassifier>,
    points: Values,
    samples: Int32Array,
    kind: Loss["kind"],
    targets?: Int32Array,
  ): Promise<LossGradient> {
    const inputs = this.gather(points, samples);
    const result = await this.model.lossGradient(inputs, this.lossOf(samples, kind, targets));
    const names = this.names.subarray(0, samples.length);
    checkLogits(result.logits, this.model, names);
    checkGradient(result.gradient, inputs, this.model, names);
    return result;
  }

  /** Margin loss of logits whose rows belong to `samples`, `[rows]`. */
  margins(logits: NumericBatch, samples: Int32Array): Float64Array {
    const labels = Int32Array.from(samples, (i) => this.batch.labels[i]);
    return evaluateLoss(logits, { kind: "margin", labels }).loss;
  }

  private lossOf(samples: Int32Array, kind: Loss["kind"], targets: Int32Array | undefined): Loss {
    const labels = this.labels.subarray(0, samples.length);
    if (!targets || kind === "cross-entropy") return { kind, labels };
    for (let j = 0; j < samples.length; j++) this.targets[j] = targets[samples[j]];
    return { kind, labels, targets: this.targets.subarray(0, samples.length) };
  }
}

/** Classes of every row of `logits` from the largest logit to the smallest, without the label: `[samples][classes - 1]`. */
export function rankRivals(logits: NumericBatch, labels: Int32Array): Int32Array[] {
  const classes = logits.shape[1] ?? 0;
  return Array.from(labels, (label, i) => {
    const row = logits.data.subarray(i * classes, (i + 1) * classes);
    const rivals = Array.from({ length: classes }, (_, c) => c).filter((c) => c !== label);
    return Int32Array.from(rivals.sort((a, b) => row[b] - row[a] || a - b));
  });
}

/** 0 .. count - 1. */
export function everySample(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}
