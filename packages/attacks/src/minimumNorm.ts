// Minimum-norm attacks look for the nearest misclassified point of every sample instead of the worst point of a budget. Beside a
// budget they count as attacks too: `withinBudget` keeps the points that are near enough.

import {
  type Classifier,
  type DifferentiableClassifier,
  distances,
  type LabelledBatch,
  type Norm,
  type NumericBatch,
  normOf,
  predictedClasses,
  type Rng,
  SettingError,
  sampleSize,
  type WorkOptions,
} from "@worstcase/core";
import type { Attack, AttackNeeds } from "./attack.js";
import { checkAttackRun, checkNeeds, checkSamples } from "./checks.js";
import type { Values } from "./perturbationSet.js";

export interface MinimumNormOptions extends WorkOptions {
  /** Norm of the distance to make small. */
  readonly norm: Norm;
  /** Source of randomness, used per sample as {@link sampleRng} says. */
  readonly rng: Rng;
  /** A distance in input units that is near enough: samples found within it leave the work. Default: none is. */
  readonly reach?: number | undefined;
}

export interface MinimumNormAttack<C extends Classifier = DifferentiableClassifier> {
  readonly name: string;
  readonly kind: Attack["kind"];
  readonly needs: AttackNeeds;
  /** Everything else that changes the result. JSON-serialisable. */
  readonly settings: Readonly<Record<string, unknown>>;
  /**
   * The nearest misclassified points found, same shape, number type and order as `batch.inputs`, inside the model's bounds.
   * Samples that are misclassified already, and those for which nothing was found, come back unchanged. Each sample's result
   * depends on that sample alone. Throws as {@link Attack.run}.
   */
  find(model: C, batch: LabelledBatch, options: MinimumNormOptions): Promise<NumericBatch>;
}

/** The minimum-norm attack beside a budget: its points where they lie within epsilon, the unchanged samples elsewhere. */
export function withinBudget<C extends Classifier>(attack: MinimumNormAttack<C>): Attack<C> {
  const { name, kind, needs, settings } = attack;
  return {
    name,
    kind,
    needs,
    settings,
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, attack, options);
      const { budget, rng, signal, onEvent } = options;
      const data = batch.inputs.data.slice();
      if (budget.epsilon === 0) return { data, shape: batch.inputs.shape };
      const found = await attack.find(model, batch, {
        norm: budget.norm,
        rng,
        reach: budget.epsilon,
        signal,
        onEvent,
      });
      const size = sampleSize(batch.inputs);
      for (const [i, distance] of distances(batch.inputs, found, budget.norm).entries()) {
        if (distance <= budget.epsilon) data.set(found.data.subarray(i * size, (i + 1) * size), i * size);
      }
      return { data, shape: batch.inputs.shape };
    },
  };
}

/** Everything a minimum-norm attack checks at the start of `find`. */
export function checkFind(
  model: Classifier,
  batch: LabelledBatch,
  attack: Pick<Attack, "name" | "needs">,
  options: MinimumNormOptions,
): void {
  checkNeeds(model, attack, options.norm);
  checkSamples(model, batch);
  const { reach } = options;
  if (reach !== undefined && !(Number.isFinite(reach) && reach >= 0)) {
    throw new SettingError({ argument: "options.reach", expected: "a finite number >= 0", received: reach });
  }
}

/** The nearest misclassified point seen so far for every sample; distance 0 for samples misclassified from the start. */
export class NearestPoints {
  readonly points: Values;
  /** Infinity where none was found, `[samples]`. */
  readonly distance: Float64Array;
  private readonly size: number;
  private readonly difference: Float64Array;

  constructor(
    private readonly batch: LabelledBatch,
    private readonly norm: Norm,
    private readonly reach = 0,
  ) {
    this.points = batch.inputs.data.slice();
    this.size = sampleSize(batch.inputs);
    this.distance = new Float64Array(batch.labels.length).fill(Number.POSITIVE_INFINITY);
    this.difference = new Float64Array(this.size);
  }

  /**
   * Offers row i of `points` for every sample i of `samples`, whose logits are the rows of `logits`. Returns for each whether the
   * point is misclassified.
   */
  offerAt(samples: Int32Array, points: Values, logits: NumericBatch): Uint8Array {
    const { size, batch } = this;
    const predicted = predictedClasses(logits);
    const fooled = new Uint8Array(samples.length);
    for (let j = 0; j < samples.length; j++) {
      const i = samples[j];
      if (predicted[j] === batch.labels[i]) continue;
      fooled[j] = 1;
      const distance = this.distanceTo(i, points);
      if (!(distance < this.distance[i])) continue;
      this.distance[i] = distance;
      this.points.set(points.subarray(i * size, (i + 1) * size), i * size);
    }
    return fooled;
  }

  /** Distance of row i of `points` from its sample. */
  distanceTo(i: number, points: Values): number {
    const { size, difference } = this;
    for (let k = 0; k < size; k++) difference[k] = points[i * size + k] - this.batch.inputs.data[i * size + k];
    return normOf(difference, this.norm);
  }

  /** Samples that are neither misclassified from the start nor found within reach. */
  open(): Int32Array {
    const everyone = Int32Array.from(this.distance.keys());
    return everyone.filter((i) => this.distance[i] > this.reach);
  }
}
