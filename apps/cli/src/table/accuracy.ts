// Shares of rows with their 95 % Wilson intervals, and how they are printed.

import { type Accuracy, accuracyOf } from "@worstcase/attacks";

export type { Accuracy };

/** Share of rows for which `hit` holds. */
export function shareOf(rows: number, hit: (row: number) => boolean): Accuracy {
  return accuracyOf(Array.from({ length: rows }, (_, i) => !hit(i)));
}

export function formatAccuracy({ correct, total, value, interval: [lower, upper] }: Accuracy): string {
  const percent = (x: number) => (100 * x).toFixed(1);
  return `${percent(value)} %   (${correct} of ${total}; 95 % interval ${percent(lower)} to ${percent(upper)})`;
}
