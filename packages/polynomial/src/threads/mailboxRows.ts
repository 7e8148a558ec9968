// Rows that arrive chunk by chunk through a mailbox: the reading side, in a worker thread, which may wait.

import { ResourceError } from "@worstcase/core";
import type { RowSource } from "../factored/rowSource.js";
import { type Mailbox, mailboxEmpty, mailboxFailed, mailboxState } from "./messages.js";

/** `ask` tells the other side which chunk is wanted. */
export function mailboxRows(
  samples: number,
  dimension: number,
  { control, rows, chunkRows }: Mailbox,
  ask: (chunk: number) => void,
): RowSource {
  let present = -1;
  const load = (chunk: number) => {
    Atomics.store(control, mailboxState, mailboxEmpty);
    ask(chunk);
    // a late notice of the chunk before may wake this thread too early
    while (Atomics.load(control, mailboxState) === mailboxEmpty) Atomics.wait(control, mailboxState, mailboxEmpty);
    if (Atomics.load(control, mailboxState) === mailboxFailed) {
      throw new ResourceError({
        argument: "features",
        expected: `chunk ${chunk} of the stream`,
        received: "a failure",
      });
    }
    present = chunk;
  };
  return {
    samples,
    dimension,
    gather(indices, from, count, target) {
      for (let t = 0; t < count; ) {
        const chunk = Math.floor(indices[from + t] / chunkRows);
        if (chunk !== present) load(chunk);
        for (const end = (chunk + 1) * chunkRows; t < count && indices[from + t] < end; t++) {
          const start = (indices[from + t] - chunk * chunkRows) * dimension;
          for (let l = 0, p = t * dimension; l < dimension; l++) target[p + l] = rows[start + l];
        }
      }
    },
  };
}
