// What passes between the trainer's thread and the threads that evaluate shards of the samples, in shared memory. The trainer writes a
// command and raises the round; every thread answers by adding one to `done`, or one to `failed` and `done`. Both sides sleep in
// Atomics.wait, so that evaluations stay synchronous. States, which are rare, go through a message port.

import type { MessagePort } from "node:worker_threads";
import type { HingeData } from "../gated/robustHinge.js";

/** Slots of the control words. */
export const slot = { round: 0, done: 1, failed: 2, command: 3, length: 4 } as const;

export const command = { value: 0, gradient: 1, recentre: 2, state: 3, restore: 4 } as const;

/** Slots of the settings. */
export const setting = { smoothing: 0, normSmoothing: 1, length: 2 } as const;

/** Slots of the answer of one shard. */
export const answer = { smooth: 0, loss: 1, dualSum: 2, length: 3 } as const;

export interface ShardStart {
  readonly data: HingeData;
  readonly kernels: string;
  readonly control: Int32Array;
  readonly settings: Float64Array;
  /** `[P, C, D]`, written by the trainer. */
  readonly weights: Float64Array;
  /** `[P, C, D]`, of this shard. */
  readonly gradient: Float64Array;
  readonly answers: Float64Array;
  /** For states and errors. */
  readonly port: MessagePort;
}
