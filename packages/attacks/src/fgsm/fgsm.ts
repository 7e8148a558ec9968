// Fast gradient sign method (Goodfellow et al. 2015, arXiv 1412.6572; math.md 16): one gradient, one step to the edge.
//   linf: v = clamp(x + epsilon sign(g))      l2: v = x + clip(s g) with ||v - x|| = epsilon inside the bounds
// Both are the exact worst case of the loss linearised at x over the budget and the model's bounds.

import { type NumericBatch, predictedClasses, throwIfAborted } from "@worstcase/core";
import { type Attack, type AttackLoss, type AttackOptions, sampleRng } from "../attack.js";
import { checkAttackRun, checkLogits, checkLossName } from "../checks.js";
import { checkGradient } from "../gradient.js";
import { PerturbationSet } from "../perturbationSet.js";

export interface FgsmSettings {
  /** Loss to raise. Default `margin`, whose gradient does not vanish on confident models. */
  readonly loss?: AttackLoss;
}

/**
 * FGSM in linf or l2. Samples that are misclassified already are returned unchanged. A zero gradient leaves a sample where it is
 * (linf) or moves it in a random direction (l2). Throws SettingError on an unknown loss.
 */
export function fgsm(settings: FgsmSettings = {}): Attack {
  const { loss = "margin" } = settings;
  checkLossName(loss);
  const needs = { norms: ["linf", "l2"], gradients: true } as const;
  const attack: Attack = {
    name: "fgsm",
    kind: "single-step",
    needs,
    settings: { loss },
    async run(model, batch, options: AttackOptions): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: "fgsm", needs }, options);
      throwIfAborted(options.signal, "fgsm");
      const { inputs, labels, indices } = batch;
      const at = await model.lossGradient(inputs, { kind: loss, labels });
      checkLogits(at.logits, model, indices);
      checkGradient(at.gradient, inputs, model, indices);
      const set = new PerturbationSet(inputs, options.budget, model.bounds);
      const predicted = predictedClasses(at.logits);
      const data = inputs.data.slice();
      for (let i = 0; i < labels.length; i++) {
        if (predicted[i] !== labels[i]) continue;
        set.steepest(at.gradient.data, i, data, i, i, () => sampleRng(options.rng, indices[i]).fork("fgsm"));
      }
      return { data, shape: inputs.shape };
    },
  };
  return attack;
}
