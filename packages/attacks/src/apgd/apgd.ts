// Auto-PGD (Croce and Hein 2020, arXiv 2003.01690): projected gradient ascent with momentum whose step size is halved by itself.
//   linf, l2:  z = project(v + s dir(g)),  v+ = project(v + 3/4 (z - v) + 1/4 (v - v-)),  s from 2 epsilon down (stepSchedule.ts)
//   l1:        sparse steps (Croce and Hein 2021, arXiv 2103.01208; sparseSteps.ts) in three phases at 3, 2 and 1 epsilon
// Runs start at random points near the edge of the budget. With targets every run raises the loss towards one rival class, the
// classes with the largest clean logits first.

import { type LabelledBatch, type NumericBatch, SettingError } from "@worstcase/core";
import { type Attack, type AttackOptions, sampleRng } from "../attack.js";
import { BestPoints } from "../bestPoints.js";
import { checkAttackRun, checkInteger } from "../checks.js";
import { everySample, ModelCalls, rankRivals } from "../modelCalls.js";
import { ApgdRun } from "./apgdRun.js";

export interface ApgdSettings {
  /** Loss to raise. `dlr` needs at least 3 classes, and 4 with targets. Default `cross-entropy`. */
  readonly loss?: "cross-entropy" | "margin" | "dlr";
  /** Rival classes attacked one after the other; 0 for the untargeted loss, more needs `margin` or `dlr`. Default 0. */
  readonly targets?: number;
  /** Gradient steps of each run. Default 100. */
  readonly steps?: number;
  /** Runs from random starts (for each target). Default 1. */
  readonly restarts?: number;
  /** A step size is halved when fewer than this fraction of the steps raised the loss. Default 0.75. */
  readonly halving?: number;
  /** Gradients averaged at each point, for randomised models. Default 1. */
  readonly gradientSamples?: number;
  /** Whether samples leave the work as soon as they are fooled. Default true. */
  readonly stopWhenFooled?: boolean;
}

/** APGD in linf, l2 or l1. Gradient calls per sample: at most max(1, targets) * restarts * (steps + 1). Throws SettingError on settings out of range. */
export function apgd(settings: ApgdSettings = {}): Attack {
  const complete = withDefaults(settings);
  const { loss, targets, restarts } = complete;
  const needs = {
    norms: ["linf", "l2", "l1"],
    gradients: true,
    minimumClasses: loss === "dlr" ? (targets > 0 ? 4 : 3) : 2,
  } as const;
  return {
    name: "apgd",
    kind: "iterative",
    needs,
    settings: { ...complete },
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: "apgd", needs }, options);
      const calls = new ModelCalls(model, batch, options.signal, "apgd");
      const best = new BestPoints(batch);
      const everyone = everySample(batch.labels.length);
      const clean = await calls.logits(batch.inputs.data, everyone);
      best.offerAt(everyone, batch.inputs.data, calls.margins(clean, everyone), clean);
      const rivals = rankRivals(clean, batch.labels);
      const run = new ApgdRun(calls, best, options, complete);
      const given = options.starts ?? [];
      for (let rank = 0; rank < Math.max(1, Math.min(targets, model.classCount - 1)); rank++) {
        const towards = targets > 0 ? Int32Array.from(rivals, (row) => row[rank]) : undefined;
        for (const start of given) await run.from(start.data, stream(batch, options, `given ${rank}`), towards);
        for (let restart = 0; restart < restarts; restart++) {
          await run.from(null, stream(batch, options, `target ${rank} restart ${restart}`), towards);
        }
      }
      return { data: best.points, shape: batch.inputs.shape };
    },
  };
}

/** The random streams of one run, one per sample, made when first used. */
function stream(batch: LabelledBatch, options: AttackOptions, run: string) {
  const made = new Map<number, ReturnType<typeof sampleRng>>();
  return (sample: number) => {
    const known = made.get(sample);
    if (known) return known;
    const rng = sampleRng(options.rng, batch.indices[sample]).fork(run);
    made.set(sample, rng);
    return rng;
  };
}

function withDefaults(settings: ApgdSettings): Required<ApgdSettings> {
  const { loss = "cross-entropy", targets = 0, steps = 100, restarts = 1 } = settings;
  const { halving = 0.75, gradientSamples = 1, stopWhenFooled = true } = settings;
  if (loss !== "cross-entropy" && loss !== "margin" && loss !== "dlr") {
    const expected = "cross-entropy, margin or dlr";
    throw new SettingError({ argument: "settings.loss", expected, received: loss });
  }
  checkInteger(targets, 0, "settings.targets");
  if (targets > 0 && loss === "cross-entropy") {
    const expected = "margin or dlr with targets";
    throw new SettingError({ argument: "settings.loss", expected, received: loss });
  }
  checkInteger(steps, 1, "settings.steps");
  checkInteger(restarts, 1, "settings.restarts");
  checkInteger(gradientSamples, 1, "settings.gradientSamples");
  if (!(halving > 0 && halving <= 1)) {
    throw new SettingError({ argument: "settings.halving", expected: "a number in (0, 1]", received: halving });
  }
  return { loss, targets, steps, restarts, halving, gradientSamples, stopWhenFooled };
}
