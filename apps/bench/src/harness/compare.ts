// Interleaved timing: A B C, B C A, C A B, ... so that a load that comes and goes hits all cases alike. Reports medians and minima.

export interface Case {
  readonly name: string;
  /** Units of work of one run, for example images or samples. */
  readonly units: number;
  run(): unknown | Promise<unknown>;
}

export interface Row {
  readonly name: string;
  /** Seconds for one unit. */
  readonly median: number;
  readonly minimum: number;
  /** Measured repeats. */
  readonly repeats: number;
  /** Median of the first case divided by this median: above 1 is faster than the first case. */
  readonly ratio: number;
}

export interface CompareOptions {
  /** Rounds over all cases. Default 5. */
  readonly repeats?: number;
  /** A run is repeated inside one measurement until it takes about this long. Default 0.05. */
  readonly leastSeconds?: number;
  /** No new round begins after this much time; at least one is always done. Default 60. */
  readonly budgetSeconds?: number;
  /** Seconds since some moment; only tests replace it. */
  readonly clock?: () => number;
}

/** Times the cases against the first of them. Every case runs once before as warm-up, which also sets its inner repeats. */
export async function compare(cases: readonly Case[], options: CompareOptions = {}): Promise<Row[]> {
  const { repeats = 5, leastSeconds = 0.05, budgetSeconds = 60, clock = () => performance.now() / 1000 } = options;
  const started = clock();
  const inner: number[] = [];
  for (const { run } of cases) {
    await run();
    const once = await seconds(run, 1, clock);
    inner.push(Math.max(1, Math.min(1000, Math.ceil(leastSeconds / Math.max(once, 1e-7)))));
  }
  const times = cases.map((): number[] => []);
  for (let round = 0; round < repeats; round++) {
    if (round > 0 && clock() - started > budgetSeconds) break;
    for (let turn = 0; turn < cases.length; turn++) {
      const k = (round + turn) % cases.length;
      times[k].push((await seconds(cases[k].run, inner[k], clock)) / inner[k] / cases[k].units);
    }
  }
  const medians = times.map(median);
  return cases.map(({ name }, k) => ({
    name,
    median: medians[k],
    minimum: Math.min(...times[k]),
    repeats: times[k].length,
    ratio: medians[0] / medians[k],
  }));
}

async function seconds(run: Case["run"], count: number, clock: () => number): Promise<number> {
  const from = clock();
  for (let i = 0; i < count; i++) await run();
  return clock() - from;
}

/** Middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
