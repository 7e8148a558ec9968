// Carlini and Wagner's l2 attack (2017, arXiv 1608.04644): for weights c found by bisection, minimises with Adam
//   ||v - x||^2 + c max(0, f_y - max_{t != y} f_t + confidence),   v = middle + half (tanh w),  which keeps v inside the bounds
// Without bounds v = w. c grows tenfold until the sample is fooled, then the interval between failure and success is halved.

import { type NumericBatch, SettingError } from "@worstcase/core";
import { checkInteger } from "../checks.js";
import { checkFind, type MinimumNormAttack, NearestPoints } from "../minimumNorm.js";
import { everySample, ModelCalls } from "../modelCalls.js";
import { TanhBox } from "./tanhBox.js";

export interface CarliniWagnerSettings {
  /** Adam steps for each weight. Default 1000. */
  readonly steps?: number;
  /** Weights tried. Default 9. */
  readonly searches?: number;
  /** Step size of Adam. Default 0.01. */
  readonly stepSize?: number;
  /** First weight c. Default 0.001. */
  readonly firstWeight?: number;
  /** Margin by which the point has to be misclassified. Default 0. */
  readonly confidence?: number;
}

/** Carlini-Wagner in l2. At most steps * searches gradients per sample. Throws SettingError on settings out of range. */
export function carliniWagner(settings: CarliniWagnerSettings = {}): MinimumNormAttack {
  const complete = withDefaults(settings);
  const needs = { norms: ["l2"], gradients: true } as const;
  return {
    name: "carlini-wagner",
    kind: "iterative",
    needs,
    settings: { ...complete },
    async find(model, batch, options): Promise<NumericBatch> {
      checkFind(model, batch, { name: "carlini-wagner", needs }, options);
      const { steps, searches, firstWeight, confidence, stepSize } = complete;
      const calls = new ModelCalls(model, batch, options.signal, "carlini-wagner");
      const nearest = new NearestPoints(batch, "l2", options.reach);
      const everyone = everySample(batch.labels.length);
      nearest.offerAt(everyone, batch.inputs.data, await calls.logits(batch.inputs.data, everyone));
      const box = new TanhBox(batch.inputs, model.bounds, stepSize);
      const weight = new Float64Array(batch.labels.length).fill(firstWeight);
      const failed = new Float64Array(weight.length);
      const worked = new Float64Array(weight.length).fill(Number.POSITIVE_INFINITY);
      for (let search = 0; search < searches; search++) {
        const open = nearest.open();
        if (open.length === 0) break;
        const fooled = await descend(calls, nearest, box, open, weight, {
          steps,
          confidence,
          reach: options.reach ?? 0,
        });
        for (const i of open) {
          if (fooled[i]) worked[i] = Math.min(worked[i], weight[i]);
          else failed[i] = Math.max(failed[i], weight[i]);
          weight[i] = Number.isFinite(worked[i]) ? (failed[i] + worked[i]) / 2 : 10 * weight[i];
        }
        const values = { open: open.length };
        options.onEvent?.({ type: "progress", task: "carlini-wagner", done: search + 1, total: searches, values });
      }
      return { data: nearest.points, shape: batch.inputs.shape };
    },
  };
}

/** One round of Adam with the given weights. Samples whose objective no longer falls leave it. Returns which were fooled. */
async function descend(
  calls: ModelCalls,
  nearest: NearestPoints,
  box: TanhBox,
  open: Int32Array,
  weight: Float64Array,
  { steps, confidence, reach }: { steps: number; confidence: number; reach: number },
): Promise<Uint8Array> {
  const { inputs, labels } = calls.batch;
  const { size } = calls;
  const fooled = new Uint8Array(labels.length);
  const objectiveBefore = new Float64Array(labels.length).fill(Number.POSITIVE_INFINITY);
  const slope = new Float64Array(size);
  const patience = Math.max(1, Math.ceil(steps / 10));
  box.reset();
  let active = open;
  for (let step = 0; step < steps && active.length > 0; step++) {
    for (const i of active) box.write(i);
    const at = await calls.lossGradient(box.points, active, "margin");
    const hits = nearest.offerAt(active, box.points, at.logits);
    const check = step % patience === patience - 1;
    const stays = new Uint8Array(active.length);
    for (let j = 0; j < active.length; j++) {
      const i = active[j];
      if (hits[j] && at.loss[j] >= confidence) fooled[i] = 1;
      const short = confidence - at.loss[j];
      let objective = short > 0 ? weight[i] * short : 0;
      for (let k = 0; k < size; k++) {
        const difference = box.points[i * size + k] - inputs.data[i * size + k];
        objective += difference * difference;
        slope[k] = 2 * difference - (short > 0 ? weight[i] * at.gradient.data[j * size + k] : 0);
      }
      stays[j] = check && !(objective < 0.9999 * objectiveBefore[i]) ? 0 : 1;
      if (check) objectiveBefore[i] = objective;
      if (stays[j]) box.step(i, slope, step + 1);
    }
    active = active.filter((i, j) => stays[j] === 1 && nearest.distance[i] > reach);
  }
  return fooled;
}

function withDefaults(settings: CarliniWagnerSettings): Required<CarliniWagnerSettings> {
  const { steps = 1000, searches = 9, stepSize = 0.01, firstWeight = 1e-3, confidence = 0 } = settings;
  checkInteger(steps, 1, "settings.steps");
  checkInteger(searches, 1, "settings.searches");
  for (const [name, value] of Object.entries({ stepSize, firstWeight })) {
    if (Number.isFinite(value) && value > 0) continue;
    throw new SettingError({ argument: `settings.${name}`, expected: "a finite number > 0", received: value });
  }
  if (!(Number.isFinite(confidence) && confidence >= 0)) {
    throw new SettingError({ argument: "settings.confidence", expected: "a finite number >= 0", received: confidence });
  }
  return { steps, searches, stepSize, firstWeight, confidence };
}
