// Learning rate of each step. Progress p = step / steps runs from 0 to 1 over the whole training.
//   one-cycle: linear from peak / 25 to peak while p < warmup, then linear down to peak / 10000
//   step:      rate * factor^(number of milestones <= p)
//   constant:  rate

import { SettingError } from "@worstcase/core";

export type Schedule =
  | { readonly kind: "one-cycle"; readonly peak: number; readonly warmup?: number }
  | {
      readonly kind: "step";
      readonly rate: number;
      /** Fractions of the training in (0, 1). Default 0.75 and 0.9. */
      readonly milestones?: readonly number[];
      /** Default 0.1. */
      readonly factor?: number;
    }
  | { readonly kind: "constant"; readonly rate: number };

/** Learning rate at `step` of `steps`. */
export function learningRate(schedule: Schedule, step: number, steps: number): number {
  const progress = step / steps;
  if (schedule.kind === "constant") return schedule.rate;
  if (schedule.kind === "step") {
    const { rate, milestones = [0.75, 0.9], factor = 0.1 } = schedule;
    return rate * factor ** milestones.filter((milestone) => milestone <= progress).length;
  }
  const { peak, warmup = 0.25 } = schedule;
  const [start, end] = [peak / 25, peak / 10000];
  if (progress < warmup) return start + ((peak - start) * progress) / warmup;
  return peak + ((end - peak) * (progress - warmup)) / (1 - warmup);
}

/** Throws SettingError on an unknown kind or a value out of range. */
export function checkSchedule(schedule: Schedule): void {
  const kind = schedule?.kind;
  if (kind !== "one-cycle" && kind !== "step" && kind !== "constant") {
    const expected = "kind one-cycle, step or constant";
    throw new SettingError({ argument: "options.schedule", expected, received: schedule });
  }
  const rate = kind === "one-cycle" ? schedule.peak : schedule.rate;
  if (!(Number.isFinite(rate) && rate > 0)) {
    const argument = `options.schedule.${kind === "one-cycle" ? "peak" : "rate"}`;
    throw new SettingError({ argument, expected: "a finite learning rate > 0", received: rate });
  }
  if (kind === "one-cycle" && schedule.warmup !== undefined && !(schedule.warmup >= 0 && schedule.warmup < 1)) {
    const expected = "a fraction in [0, 1)";
    throw new SettingError({ argument: "options.schedule.warmup", expected, received: schedule.warmup });
  }
  if (kind !== "step") return;
  const { milestones = [], factor = 0.1 } = schedule;
  if (!milestones.every((milestone) => milestone > 0 && milestone < 1) || !(factor > 0)) {
    const expected = "milestones in (0, 1) and a factor > 0";
    throw new SettingError({ argument: "options.schedule", expected, received: { milestones, factor } });
  }
}
