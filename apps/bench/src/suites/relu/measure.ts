// Single timed fits of the relu suites, as rows of a table.

/** The result and the CPU seconds it took. */
export async function timed<T>(run: () => Promise<T>): Promise<{ seconds: number; result: T }> {
  const before = process.cpuUsage();
  const result = await run();
  const { user, system } = process.cpuUsage(before);
  return { seconds: (user + system) / 1e6, result };
}

/** A row measured once; `first` is what its ratio refers to. */
export const row = (name: string, seconds: number, first = seconds) => ({
  name,
  median: seconds,
  minimum: seconds,
  repeats: 1,
  ratio: first / seconds,
});
