// Momentum iterative FGSM (Dong et al. 2018, arXiv 1710.06081): gradients of unit l1 length are summed with decay,
//   m <- decay m + g / ||g||_1,   v <- project(v + (epsilon / steps) sign(m))  (linf)  or  (epsilon / steps) m / ||m||  (l2)
// from the sample itself. The best point seen is returned.

import { type NumericBatch, SettingError } from "@worstcase/core";
import { type Attack, type AttackLoss, sampleRng } from "../attack.js";
import { BestPoints } from "../bestPoints.js";
import { checkAttackRun, checkInteger, checkLossName } from "../checks.js";
import { everySample, ModelCalls } from "../modelCalls.js";
import { PerturbationSet } from "../perturbationSet.js";

export interface MiFgsmSettings {
  /** Loss to raise. Default `cross-entropy`. */
  readonly loss?: AttackLoss;
  /** Gradient steps. Default 10. */
  readonly steps?: number;
  /** Weight of the earlier gradients. Default 1. */
  readonly decay?: number;
  /** Whether samples leave the work as soon as they are fooled. Default true. */
  readonly stopWhenFooled?: boolean;
}

/** MI-FGSM in linf or l2. Throws SettingError on settings out of range. */
export function miFgsm(settings: MiFgsmSettings = {}): Attack {
  const { loss = "cross-entropy", steps = 10, decay = 1, stopWhenFooled = true } = settings;
  checkLossName(loss);
  checkInteger(steps, 1, "settings.steps");
  if (!(Number.isFinite(decay) && decay >= 0)) {
    throw new SettingError({ argument: "settings.decay", expected: "a finite number >= 0", received: decay });
  }
  const needs = { norms: ["linf", "l2"], gradients: true } as const;
  return {
    name: "mi-fgsm",
    kind: "iterative",
    needs,
    settings: { loss, steps, decay, stopWhenFooled },
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: "mi-fgsm", needs }, options);
      const calls = new ModelCalls(model, batch, options.signal, "mi-fgsm");
      const best = new BestPoints(batch);
      const set = new PerturbationSet(batch.inputs, options.budget, model.bounds);
      const points = batch.inputs.data.slice();
      const momentum = new Float64Array(points.length);
      const { size } = calls;
      const length = options.budget.epsilon / steps;
      let active = everySample(batch.labels.length);
      for (let step = 0; step < steps && active.length > 0; step++) {
        const at = await calls.lossGradient(points, active, loss);
        best.offerAt(active, points, calls.margins(at.logits, active), at.logits);
        for (let j = 0; j < active.length; j++) {
          const i = active[j];
          if (stopWhenFooled && best.settled[i]) continue;
          let total = 0;
          for (let k = 0; k < size; k++) total += Math.abs(at.gradient.data[j * size + k]);
          for (let k = 0; k < size; k++) {
            const g = total > 0 ? at.gradient.data[j * size + k] / total : 0;
            momentum[i * size + k] = decay * momentum[i * size + k] + g;
          }
          set.step(points, i, momentum, i, length, i, () => sampleRng(options.rng, batch.indices[i]).fork("mi-fgsm"));
        }
        if (stopWhenFooled) active = active.filter((i) => !best.settled[i]);
        const values = { survivors: active.length };
        options.onEvent?.({ type: "progress", task: "mi-fgsm", done: step + 1, total: steps, values });
      }
      if (active.length > 0) {
        const logits = await calls.logits(points, active);
        best.offerAt(active, points, calls.margins(logits, active), logits);
      }
      return { data: best.points, shape: batch.inputs.shape };
    },
  };
}
