// DeepFool (Moosavi-Dezfooli et al. 2016, arXiv 1511.04599): steps to the nearest linearised boundary until the class changes,
//   p <- p + |f| / ||w||_dual * e,   v = clip(x + (1 + overshoot) p)
// with e = w / ||w|| in l2 and sign(w) in linf, towards the nearest of the boundaries to the most likely other classes.

import { dualNorm, type NumericBatch, normOf, SettingError } from "@worstcase/core";
import { checkInteger } from "../checks.js";
import { clip } from "../clip.js";
import { LinearisedBoundary, rivalsByRank } from "../linearisedBoundary.js";
import { checkFind, type MinimumNormAttack, NearestPoints } from "../minimumNorm.js";
import { everySample, ModelCalls, rankRivals } from "../modelCalls.js";

export interface DeepFoolSettings {
  /** Largest number of steps. Default 50. */
  readonly steps?: number;
  /** Other classes considered, those with the largest clean logits. Default 9. */
  readonly candidates?: number;
  /** How far behind the boundary the point lies, relative to the perturbation. Default 0.02. */
  readonly overshoot?: number;
}

/**
 * Added to every step, relative to the range of the inputs: beside the bounds the steps would otherwise shrink for ever without
 * reaching the boundary.
 */
const leastStep = 1e-4;

/** DeepFool in linf or l2. A gradient for every candidate at every step. Throws SettingError on settings out of range. */
export function deepFool(settings: DeepFoolSettings = {}): MinimumNormAttack {
  const { steps = 50, candidates = 9, overshoot = 0.02 } = settings;
  checkInteger(steps, 1, "settings.steps");
  checkInteger(candidates, 1, "settings.candidates");
  if (!(overshoot >= 0 && overshoot <= 1)) {
    throw new SettingError({ argument: "settings.overshoot", expected: "a number in [0, 1]", received: overshoot });
  }
  const needs = { norms: ["linf", "l2"], gradients: true } as const;
  return {
    name: "deepfool",
    kind: "iterative",
    needs,
    settings: { steps, candidates, overshoot },
    async find(model, batch, options): Promise<NumericBatch> {
      checkFind(model, batch, { name: "deepfool", needs }, options);
      const { norm, onEvent } = options;
      const calls = new ModelCalls(model, batch, options.signal, "deepfool");
      const nearest = new NearestPoints(batch, norm, options.reach);
      const everyone = everySample(batch.labels.length);
      const clean = await calls.logits(batch.inputs.data, everyone);
      nearest.offerAt(everyone, batch.inputs.data, clean);
      const rivals = rivalsByRank(rankRivals(clean, batch.labels), Math.min(candidates, model.classCount - 1));
      const boundary = new LinearisedBoundary(calls, norm);
      const points = batch.inputs.data.slice();
      const path = new Float64Array(points.length);
      const extra = leastStep * (model.bounds === "unbounded" ? 1 : model.bounds.upper - model.bounds.lower);
      let active = nearest.open();
      for (let step = 0; step < steps && active.length > 0; step++) {
        await boundary.nearest(points, active, rivals);
        for (const i of active) {
          const { values, normals } = boundary;
          const from = i * calls.size;
          const to = from + calls.size;
          const dual = normOf(normals, dualNorm(norm), from, to);
          if (dual === 0) continue;
          const length = Math.abs(values[i]) / dual + extra;
          for (let k = from; k < to; k++) {
            path[k] += length * (norm === "linf" ? Math.sign(normals[k]) : normals[k] / dual);
            points[k] = clip(batch.inputs.data[k] + (1 + overshoot) * path[k], batch.inputs.data[k], model.bounds);
          }
        }
        const fooled = nearest.offerAt(active, points, await calls.logits(points, active));
        active = active.filter((_, j) => !fooled[j]);
        onEvent?.({
          type: "progress",
          task: "deepfool",
          done: step + 1,
          total: steps,
          values: { open: active.length },
        });
      }
      return { data: nearest.points, shape: batch.inputs.shape };
    },
  };
}
