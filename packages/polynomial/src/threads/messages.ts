// What passes between a fit in threads and its worker threads.
//   main to worker: the class to train next, and its start       worker to main: an event, a chunk wanted, a class done, an error
// Chunks of streamed features go through a mailbox of shared memory: the worker writes the chunk's number and waits, the main thread
// reads the chunk from its asynchronous source, fills the mailbox and wakes the worker.

import type { KernelRequest } from "@worstcase/linalg";
import type { FitEvent, FitOptions, FitResult } from "../fit.js";

/** Slots of a mailbox's control words. */
export const mailboxState = 0;
export const mailboxEmpty = 0;
export const mailboxFull = 1;
export const mailboxFailed = 2;

export interface Mailbox {
  readonly control: Int32Array;
  /** `[chunkRows, features]` */
  readonly rows: Float64Array;
  readonly chunkRows: number;
}

export interface WorkerStart {
  readonly samples: number;
  readonly dimension: number;
  /** All points in shared memory, or where chunks of them arrive. */
  readonly points: Float32Array | Float64Array | Mailbox;
  readonly labels: Int32Array;
  readonly options: Omit<FitOptions, "signal" | "onEvent" | "kernels" | "warmStart"> & { readonly classCount: number };
  readonly kernels: KernelRequest;
}

export interface ClassTask {
  readonly classIndex: number;
  readonly start: Pick<FitOptions, "warmStart">;
}

/** A `ClassFit` without its functions. */
type PlainClassFit = Omit<FitResult, "matrices" | "worstCase"> & {
  readonly class: number;
  readonly constantObjective: number;
  readonly collapsed: boolean;
};

export type WorkerMessage =
  | { readonly type: "event"; readonly event: FitEvent }
  | { readonly type: "chunk"; readonly chunk: number }
  | { readonly type: "done"; readonly fit: PlainClassFit; readonly cpuSeconds: number }
  | { readonly type: "failed"; readonly details: { readonly message: string } };
