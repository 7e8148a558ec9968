// Abort checks, progress events and room for other work in long loops.

import { type ProgressEvent, throwIfAborted, type WorkOptions } from "@worstcase/core";

/** `at` goes between two parts of the work: before the first, after every one of them. */
export class Pauses {
  private last = performance.now();

  constructor(
    private readonly task: string,
    private readonly total: number,
    private readonly options: WorkOptions<ProgressEvent>,
  ) {}

  async at(done: number): Promise<void> {
    throwIfAborted(this.options.signal, this.task);
    this.options.onEvent?.({ type: "progress", task: this.task, done, total: this.total });
    if (performance.now() - this.last < 50) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.last = performance.now();
  }
}
