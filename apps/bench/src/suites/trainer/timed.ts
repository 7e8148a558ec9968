// One run with its wall and CPU seconds and peak memory, as a row of a table.

import type { OneVersusAllFit } from "@worstcase/polynomial";

export interface Measured<T> {
  readonly result: T;
  readonly wall: number;
  readonly cpu: number;
  readonly peakMegabytes: number;
}

export async function measure<T>(work: () => T | Promise<T>): Promise<Measured<T>> {
  const [started, cpuStarted] = [performance.now(), process.cpuUsage()];
  let peak = process.memoryUsage.rss();
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 100);
  const result = await work();
  clearInterval(timer);
  const { user, system } = process.cpuUsage(cpuStarted);
  peak = Math.max(peak, process.memoryUsage.rss());
  return {
    result,
    wall: (performance.now() - started) / 1000,
    cpu: (user + system) / 1e6,
    peakMegabytes: peak / 2 ** 20,
  };
}

export const row = (name: string, seconds: number, first = seconds) => ({
  name,
  median: seconds,
  minimum: seconds,
  repeats: 1,
  ratio: first / seconds,
});

export const worstGap = (fit: OneVersusAllFit) => Math.max(...fit.classes.map(({ gap }) => gap));
