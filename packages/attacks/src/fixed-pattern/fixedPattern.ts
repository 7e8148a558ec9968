// Worst cases of piecewise linear models (ReLU and gated networks) with the activation pattern held fixed, in closed form (math.md 13.5):
// where the pattern is that of v, the margin towards class c is affine with slope g_c(v) = grad (f_c - f_y)(v), and its largest value on
// the budget lies at  x + argmax over ||D|| <= epsilon, bounds, of g_c(v)'D  (math.md 16). The attack goes there from v = x for every
// class c, takes the pattern it finds there and goes again, until the pattern repeats; the best point seen is kept.
// Exact wherever the pattern does not change on the budget, and for affine models. Elsewhere a point that is worst for its own pattern.

import { type DifferentiableClassifier, type LabelledBatch, type NumericBatch, throwIfAborted } from "@worstcase/core";
import { type Attack, type AttackOptions, sampleRng } from "../attack.js";
import { BestPoints } from "../bestPoints.js";
import { checkAttackRun, checkInteger } from "../checks.js";
import { everySample, ModelCalls } from "../modelCalls.js";
import { emptyLike, PerturbationSet } from "../perturbationSet.js";

export interface FixedPatternSettings {
  /** Patterns followed for each class, beginning with that of the sample itself. Default 10. */
  readonly patterns?: number;
}

/**
 * Closed-form worst cases in linf, l2 or l1, inside the model's bounds; compare them with a certificate by `attackGap`. Gradient calls per
 * sample: at most (classes - 1) * patterns. Throws SettingError unless `patterns` is an integer >= 1.
 */
export function fixedPattern(settings: FixedPatternSettings = {}): Attack {
  const { patterns = 10 } = settings;
  checkInteger(patterns, 1, "settings.patterns");
  const needs = { norms: ["linf", "l2", "l1"], gradients: true } as const;
  return {
    name: "fixed pattern",
    kind: "exact",
    needs,
    settings: { patterns },
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: "fixed pattern", needs }, options);
      return followPatterns(model, batch, options, patterns);
    },
  };
}

async function followPatterns(
  model: DifferentiableClassifier,
  batch: LabelledBatch,
  options: AttackOptions,
  patterns: number,
): Promise<NumericBatch> {
  const { inputs, labels, indices } = batch;
  const calls = new ModelCalls(model, batch, options.signal, "fixed pattern");
  const best = new BestPoints(batch);
  const everyone = everySample(labels.length);
  const clean = await calls.logits(inputs.data, everyone);
  best.offerAt(everyone, inputs.data, calls.margins(clean, everyone), clean);
  const set = new PerturbationSet(inputs, options.budget, model.bounds);
  const { size } = set;
  const points = emptyLike(inputs.data, inputs.data.length);
  const before = new Float64Array(inputs.data.length);
  // the c-th rival of a sample is class c, or the last class where c is its label
  const towards = new Int32Array(labels.length);
  for (let c = 0; c < model.classCount - 1; c++) {
    for (let i = 0; i < labels.length; i++) towards[i] = c === labels[i] ? model.classCount - 1 : c;
    points.set(inputs.data);
    before.fill(Number.NaN);
    let active = everyone;
    for (let pattern = 0; pattern < patterns && active.length > 0; pattern++) {
      throwIfAborted(options.signal, "fixed pattern");
      const at = await calls.lossGradient(points, active, "margin", towards);
      best.offerAt(active, points, calls.margins(at.logits, active), at.logits);
      const { data } = at.gradient;
      // an equal slope leads to the point already reached
      const moving = Int32Array.from(active.keys()).filter((j) => !sameRow(data, j, before, active[j], size));
      for (const j of moving) {
        const i = active[j];
        before.set(data.subarray(j * size, (j + 1) * size), i * size);
        set.steepest(data, j, points, i, i, () => sampleRng(options.rng, indices[i]).fork(`class ${towards[i]}`));
      }
      active = Int32Array.from(moving, (j) => active[j]);
    }
    if (active.length === 0) continue;
    const last = await calls.logits(points, active);
    best.offerAt(active, points, calls.margins(last, active), last);
  }
  return { data: best.points, shape: inputs.shape };
}

function sameRow(a: ArrayLike<number>, row: number, b: Float64Array, sample: number, size: number): boolean {
  for (let k = 0; k < size; k++) if (a[row * size + k] !== b[sample * size + k]) return false;
  return true;
}
