// Wilson score interval for a proportion (Wilson 1927): with p = successes / n and z the normal quantile,
//   (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

import { SettingError } from "@worstcase/core";

/** Normal quantile of 0.975. */
const z = 1.959963984540054;

/** 95 % interval `[lower, upper]` of a proportion. Throws SettingError unless 0 <= successes <= total and total >= 1. */
export function wilsonInterval(successes: number, total: number): readonly [number, number] {
  if (!Number.isInteger(total) || total < 1) {
    throw new SettingError({ argument: "total", expected: "an integer >= 1", received: total });
  }
  if (!Number.isInteger(successes) || successes < 0 || successes > total) {
    throw new SettingError({ argument: "successes", expected: `an integer in 0 .. ${total}`, received: successes });
  }
  const p = successes / total;
  const centre = p + (z * z) / (2 * total);
  const half = z * Math.sqrt((p * (1 - p)) / total + (z * z) / (4 * total * total));
  const scale = 1 + (z * z) / total;
  const lower = successes === 0 ? 0 : (centre - half) / scale;
  const upper = successes === total ? 1 : (centre + half) / scale;
  return [lower, upper];
}

export interface Accuracy {
  /** Samples classified correctly. */
  readonly correct: number;
  readonly total: number;
  /** correct / total */
  readonly value: number;
  /** 95 % Wilson interval. */
  readonly interval: readonly [number, number];
}

/** Accuracy of a set of verdicts: entries that are zero (not fooled) count as correct. */
export function accuracyOf(fooled: ArrayLike<number | boolean>): Accuracy {
  let correct = 0;
  for (let i = 0; i < fooled.length; i++) if (!fooled[i]) correct++;
  return {
    correct,
    total: fooled.length,
    value: correct / fooled.length,
    interval: wilsonInterval(correct, fooled.length),
  };
}
