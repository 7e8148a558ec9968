// What a suite is, and what it reports. Results are plain JSON.

import type { Row } from "./compare.js";

export interface Group {
  readonly title: string;
  /** How one unit is shown: seconds are multiplied by `scale`; with `rate` the reciprocal is shown. */
  readonly unit: { readonly name: string; readonly scale: number; readonly rate?: boolean };
  readonly rows: readonly Row[];
  /** What was checked or measured besides time, for example `{ gap: 0.0098 }`. */
  readonly notes?: Readonly<Record<string, number | string>>;
}

export interface SuiteContext {
  /** A fraction of the work, to see that everything runs. */
  readonly quick: boolean;
  /** Most seconds that one run of a slow peer may take (`--limit`, default 60). */
  readonly limitSeconds: number;
  /** Shows a finished group. */
  report(group: Group): void;
  /** Records that something was not measured, and why. */
  skip(what: string, reason: string): void;
}

export interface Suite {
  readonly name: string;
  readonly summary: string;
  run(context: SuiteContext): Promise<void>;
}

export const unit = {
  microseconds: { name: "us", scale: 1e6 },
  milliseconds: { name: "ms", scale: 1e3 },
  seconds: { name: "s", scale: 1 },
  imagesPerSecond: { name: "images/s", scale: 1, rate: true },
  gigaflops: { name: "GF/s", scale: 1e9, rate: true },
  percent: { name: "%", scale: 1 },
} as const;

/** Value of a time in the unit of its group. Rates count units per second, divided by `scale`. */
export function shown(seconds: number, { scale, rate }: Group["unit"]): number {
  return rate ? 1 / seconds / scale : seconds * scale;
}
