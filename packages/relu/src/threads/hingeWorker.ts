// Worker thread of `ThreadedHinge` (second entry of the package): evaluates the robust hinge on its shard of the samples.

import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { chooseKernels, type KernelName, workspaceSize } from "@worstcase/linalg";
import { type HingeState, type HingeValue, RobustHinge } from "../gated/robustHinge.js";
import { answer, command, type ShardStart, setting, slot } from "./shardControl.js";

const port = parentPort;
if (!port) throw new Error("this module runs only as a worker thread of @worstcase/relu");

const { data, kernels, control, settings, weights, gradient, answers, port: states } = workerData as ShardStart;
const length = weights.length;
const sizes = RobustHinge.sizes(data.features.shape[0], data.gateCount, length / data.gateCount);
const workspace = chooseKernels(kernels as KernelName).workspace(workspaceSize(...sizes, length, length));
const hinge = new RobustHinge(data, workspace);
const own = { weights: workspace.float64(length), gradient: workspace.float64(length) };
const value: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };

function obey(what: number): void {
  const [smoothing, normSmoothing] = [settings[setting.smoothing], settings[setting.normSmoothing]];
  if (what === command.state) states.postMessage(hinge.state());
  else if (what === command.restore) hinge.restore(receiveMessageOnPort(states)?.message as HingeState);
  else {
    own.weights.set(weights);
    if (what === command.recentre) hinge.recentre(own.weights, smoothing, normSmoothing);
    else {
      const wanted = what === command.gradient;
      hinge.evaluate(own.weights, smoothing, normSmoothing, wanted ? own.gradient : null, value);
      if (wanted) gradient.set(own.gradient);
      answers[answer.smooth] = value.smooth;
      answers[answer.loss] = value.loss;
      answers[answer.dualSum] = value.dualSum;
    }
  }
}

port.postMessage("ready");
for (let round = 0; ; round++) {
  // A notice can arrive after its round was seen and answered, so waking up alone says nothing.
  while (Atomics.load(control, slot.round) === round) Atomics.wait(control, slot.round, round);
  try {
    obey(Atomics.load(control, slot.command));
  } catch (error) {
    Atomics.add(control, slot.failed, 1);
    states.postMessage(error instanceof Error ? error.message : String(error));
  }
  Atomics.add(control, slot.done, 1);
  Atomics.notify(control, slot.done);
}
