// The points behind the verdicts of an evaluation: for samples that were broken, the attack that did so at the smallest epsilon is run again
// on them alone. Random streams belong to attack, epsilon and sample, so the points are those of the evaluation.

import {
  type Classifier,
  type LabelledBatch,
  type Norm,
  type NumericBatch,
  predictedClasses,
  type Rng,
  sampleSize,
  takeSamples,
  type WorkOptions,
} from "@worstcase/core";
import type { AttackUnit, NamedAttack } from "./attackUnit.js";
import { checkInteger, checkSamples } from "./checks.js";
import { evaluateAttack } from "./evaluateAttack.js";
import type { RobustnessResult } from "./evaluateRobustness.js";

export interface SuccessfulPoint {
  /** Row of the batch. */
  readonly row: number;
  readonly attack: string;
  readonly epsilon: number;
  readonly label: number;
  /** Class predicted at the perturbed point. */
  readonly predicted: number;
  /** Measured, in the norm of the evaluation. */
  readonly distance: number;
  /** `[...sample]`, as in the batch. */
  readonly original: NumericBatch["data"];
  readonly perturbed: NumericBatch["data"];
}

export interface SuccessfulPointsOptions extends WorkOptions {
  /** The attacks of the evaluation. */
  readonly attacks: readonly NamedAttack[];
  /** The evaluation, or the parts of it that were kept. */
  readonly result: Pick<RobustnessResult, "norm" | "epsilons" | "units">;
  /** A generator with the seed of the evaluation's. */
  readonly rng: Rng;
  /** Samples wanted at most, the first ones that were broken. Default 8. */
  readonly count?: number | undefined;
}

/**
 * Perturbed points of samples that are classified correctly and were broken, in the order of the batch. Points of transferred attacks and of warm
 * starts are left out, as they cannot be made again from this alone. Throws as `evaluateAttack`.
 */
export async function successfulPoints(
  model: Classifier,
  batch: LabelledBatch,
  options: SuccessfulPointsOptions,
): Promise<SuccessfulPoint[]> {
  const { attacks, result, rng, count = 8, signal, onEvent } = options;
  checkInteger(count, 1, "options.count");
  checkSamples(model, batch);
  const chosen = chooseUnits(result, attacks, count);
  const found: SuccessfulPoint[] = [];
  for (const [unit, rows] of chosen) {
    const { attack, surrogate } = attacks.find(({ name }) => name === unit.attack) as NamedAttack;
    const again = await evaluateAttack(model, takeSamples(batch, Int32Array.from(rows)), attack, {
      budget: { norm: unit.norm, epsilon: unit.epsilon },
      rng: rng.fork(unitStream(unit.attack, unit.norm, unit.epsilon)),
      surrogate,
      signal,
      onEvent,
    });
    const predicted = predictedClasses(await model.logits(again.adversarials));
    const size = sampleSize(batch.inputs);
    rows.forEach((row, j) => {
      if (again.correct[j] === 0 || again.fooled[j] === 0) return;
      found.push({
        row,
        attack: unit.attack,
        epsilon: unit.epsilon,
        label: batch.labels[row],
        predicted: predicted[j],
        distance: again.distance[j],
        original: batch.inputs.data.slice(row * size, (row + 1) * size),
        perturbed: again.adversarials.data.slice(j * size, (j + 1) * size),
      });
    });
  }
  return found.sort((a, b) => a.row - b.row);
}

/** The random stream of one attack at one budget. */
export function unitStream(attack: string, norm: Norm, epsilon: number): string {
  return `${attack}/${norm}/${epsilon}`;
}

/** For the first samples broken by an attack at hand: the first unit that broke each, smallest epsilon first. */
function chooseUnits(
  { epsilons, units }: SuccessfulPointsOptions["result"],
  attacks: readonly NamedAttack[],
  count: number,
): Map<AttackUnit, number[]> {
  const ordered = epsilons.flatMap((epsilon) => units.filter((unit) => unit.epsilon === epsilon));
  const chosen = new Map<AttackUnit, number[]>();
  let taken = 0;
  for (let row = 0; row < (ordered[0]?.fooled.length ?? 0) && taken < count; row++) {
    const unit = ordered.find(({ fooled }) => fooled[row]);
    // samples that are misclassified from the start lie at distance 0
    if (!unit || unit.distance[row] === 0 || !attacks.some(({ name }) => name === unit.attack)) continue;
    chosen.set(unit, [...(chosen.get(unit) ?? []), row]);
    taken++;
  }
  return chosen;
}
