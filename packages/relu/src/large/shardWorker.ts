// Worker thread of a large fit (third entry of the package): one shard, woken by the control words.

import { parentPort, workerData } from "node:worker_threads";
import { chooseKernels, type KernelName } from "@worstcase/linalg";
import { Shard } from "./shard.js";
import { type ShardRange, type ShardTask, slot } from "./shardData.js";

const port = parentPort;
if (!port) throw new Error("this module runs only as a worker thread of @worstcase/relu");

const { task, range } = workerData as { task: ShardTask; range: ShardRange };
const { control } = task.mail;
const shard = new Shard(task, range, chooseKernels(task.kernels as KernelName));

port.postMessage("ready");
for (let round = 0; ; round++) {
  // A notice can arrive after its round was seen and answered, so waking up alone says nothing.
  while (Atomics.load(control, slot.round) === round) Atomics.wait(control, slot.round, round);
  try {
    shard.obey(Atomics.load(control, slot.command));
  } catch (error) {
    Atomics.add(control, slot.failed, 1);
    port.postMessage(error instanceof Error ? error.message : String(error));
  }
  Atomics.add(control, slot.done, 1);
  Atomics.notify(control, slot.done);
}
