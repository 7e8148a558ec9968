// Worker thread of `worstCaseInThreads`: the rows it is given, answered by the code of one thread.

import { parentPort, workerData } from "node:worker_threads";
import { chooseKernels, type KernelRequest } from "@worstcase/linalg";
import type { MoveOptions } from "../moveSet.js";
import type { Quadratic } from "../quadratic.js";
import { worstCase } from "../worstCase/worstCase.js";

export interface WorstCaseTask {
  readonly quadratic: Quadratic;
  /** `[samples, features]` and +1 / -1 `[samples]`, of which rows from .. to - 1 are this thread's. */
  readonly points: Float32Array | Float64Array;
  readonly labels: Float64Array;
  readonly from: number;
  readonly to: number;
  readonly radius: number;
  readonly set: MoveOptions;
  readonly kernels: KernelRequest;
  /** Results of all threads, in shared memory. */
  readonly values: Float64Array;
  readonly multipliers: Float64Array;
  readonly perturbations: Float64Array | null;
}

if (!parentPort) throw new Error("this module runs only as a worker thread of @worstcase/polynomial");

const task = workerData as WorstCaseTask;
const { quadratic, from, to } = task;
const { dimension } = quadratic;
const rows = { data: task.points.subarray(from * dimension, to * dimension), shape: [to - from, dimension] };
const kernels = chooseKernels(task.kernels);
const wanted = task.perturbations !== null;
const options = { ...task.set, kernels, points: wanted };
const found = worstCase(quadratic, rows, task.labels.subarray(from, to), task.radius, options);
task.values.set(found.values, from);
task.multipliers.set(found.multipliers, from);
if (found.perturbations) task.perturbations?.set(found.perturbations, from * dimension);
parentPort.postMessage(kernels.name);
