// A transfer source of an evaluation: points given by the caller, or made on a source model when a unit first needs them.

import { type Classifier, DataError, type LabelledBatch } from "@worstcase/core";
import type { Attack } from "../attack.js";
import { checkAttack, checkSamples } from "../checks.js";
import {
  type CraftOptions,
  craftTransferExamples,
  describeSource,
  pointsAt,
  type TransferExamples,
  type TransferSource,
  transferAttack,
} from "./examples.js";
import { transfer } from "./transfer.js";

export class SourceExamples {
  /** Name, norms and settings of the transfer attack; `attackAt` gives one that has points. */
  readonly attack: Attack<Classifier>;
  /** Kind of the attack that made, or will make, the points. */
  readonly madeBy: Attack["kind"];
  private readonly points: TransferExamples["points"][number][] = [];
  private readonly description: TransferExamples;

  /** Checks the source against the samples (`fingerprint` is theirs) and epsilons. Throws DataError when given points belong to others. */
  constructor(
    private readonly source: TransferSource | TransferExamples,
    private readonly batch: LabelledBatch,
    fingerprint: string,
    private readonly options: CraftOptions,
  ) {
    if ("points" in source) {
      if (source.samples !== fingerprint) {
        const argument = `transfer examples of ${source.source}`;
        const hint = "they were made from other inputs, labels or positions";
        const expected = `samples with fingerprint ${fingerprint.slice(0, 12)}`;
        throw new DataError({ argument, expected, received: source.samples.slice(0, 12), hint });
      }
      for (const epsilon of options.epsilons) if (epsilon > 0) pointsAt(source, options.norm, epsilon);
      this.description = source;
    } else {
      const attack = source.attack ?? transferAttack();
      const { norm, epsilons, rng } = options;
      checkSamples(source.model, batch);
      for (const epsilon of epsilons) checkAttack(source.model, attack, { norm, epsilon });
      const madeBy = describeSource(source, rng);
      this.description = {
        source: source.name,
        norm,
        madeBy,
        indices: batch.indices,
        samples: fingerprint,
        points: [],
      };
    }
    this.madeBy = this.description.madeBy.kind;
    this.attack = transfer(this.description);
  }

  /** The transfer attack at one epsilon, made now if it has to be. */
  async attackAt(epsilon: number): Promise<Attack<Classifier>> {
    if ("points" in this.source) return this.attack;
    if (!this.points.some((entry) => entry.epsilon === epsilon)) {
      const made = await craftTransferExamples(this.source, this.batch, { ...this.options, epsilons: [epsilon] });
      this.points.push(...made.points);
    }
    return transfer({ ...this.description, points: this.points });
  }

  /** What was made here, for other targets; empty when the points were given or nothing was needed. */
  made(): TransferExamples[] {
    return this.points.length > 0 ? [{ ...this.description, points: this.points }] : [];
  }
}
