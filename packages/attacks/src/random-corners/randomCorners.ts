// The baseline every attack has to beat: random points at the edge of the budget, no gradients, no search.
//   linf: x +- epsilon in every coordinate      l2: a random direction of length epsilon      l1: epsilon in one coordinate
// all kept to the bounds.

import type { Classifier, NumericBatch, Rng } from "@worstcase/core";
import { type Attack, sampleRng } from "../attack.js";
import { BestPoints } from "../bestPoints.js";
import { checkAttackRun, checkInteger } from "../checks.js";
import { everySample, ModelCalls } from "../modelCalls.js";
import { PerturbationSet } from "../perturbationSet.js";

export interface RandomCornersSettings {
  /** Points tried for each sample. Default 100. */
  readonly tries?: number;
}

/** Random corners in linf, l2 or l1, without gradients. Throws SettingError on settings out of range. */
export function randomCorners(settings: RandomCornersSettings = {}): Attack<Classifier> {
  const { tries = 100 } = settings;
  checkInteger(tries, 1, "settings.tries");
  const needs = { norms: ["linf", "l2", "l1"], gradients: false } as const;
  return {
    name: "random-corners",
    kind: "gradient-free",
    needs,
    settings: { tries },
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: "random-corners", needs }, options);
      const { norm, epsilon } = options.budget;
      const calls = new ModelCalls(model, batch, options.signal, "random-corners");
      const best = new BestPoints(batch);
      const set = new PerturbationSet(batch.inputs, options.budget, model.bounds);
      const points = batch.inputs.data.slice();
      const { size } = calls;
      const rngs = Array.from(batch.indices, (index) => sampleRng(options.rng, index));
      let active = everySample(batch.labels.length);
      for (let attempt = 0; attempt <= tries && active.length > 0; attempt++) {
        const logits = await calls.logits(points, active);
        best.offerAt(active, points, calls.margins(logits, active), logits);
        active = active.filter((i) => !best.settled[i]);
        if (epsilon === 0) break;
        for (const i of active) {
          const move = corner(size, norm, epsilon, rngs[i]);
          for (let k = 0; k < size; k++) points[i * size + k] = batch.inputs.data[i * size + k] + move[k];
          set.project(points, i, i);
        }
      }
      return { data: best.points, shape: batch.inputs.shape };
    },
  };
}

function corner(size: number, norm: "linf" | "l2" | "l1", epsilon: number, rng: Rng): Float64Array {
  const move = new Float64Array(size);
  if (norm === "l1") move[rng.integer(size)] = rng.uniform() < 0.5 ? -epsilon : epsilon;
  else if (norm === "linf") for (let k = 0; k < size; k++) move[k] = rng.uniform() < 0.5 ? -epsilon : epsilon;
  else {
    let length = 0;
    for (let k = 0; k < size; k++) {
      move[k] = rng.normal();
      length += move[k] * move[k];
    }
    for (let k = 0; k < size; k++) move[k] *= epsilon / Math.sqrt(length);
  }
  return move;
}
