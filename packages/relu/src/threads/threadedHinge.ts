// The robust hinge over samples shared by several threads: each holds a consecutive shard, this thread the first one. Values and gradients
// are means over the shards weighted by their samples, added in the order of the shards, so a run with the same number of threads repeats bit
// for bit; another number of threads changes the last digits.
//   f = sum_k (n_k / n) f_k,   grad f = sum_k (n_k / n) grad f_k
// weights, gradient: [P, C, D]

import { ResourceError } from "@worstcase/core";
import type { Kernels, Workspace } from "@worstcase/linalg";
import {
  type HingeData,
  type HingeEvaluator,
  type HingeState,
  type HingeValue,
  RobustHinge,
} from "../gated/robustHinge.js";
import { answer, command, type ShardStart, setting, slot } from "./shardControl.js";

type Threads = typeof import("node:worker_threads");
type Thread = InstanceType<Threads["Worker"]>;

/** A thread that says nothing for this long is given up. */
const LONGEST_ROUND = 600_000;

interface Shard {
  readonly thread: Thread;
  readonly port: InstanceType<Threads["MessagePort"]>;
  readonly share: number;
  readonly gradient: Float64Array;
  readonly answers: Float64Array;
}

export class ThreadedHinge implements HingeEvaluator {
  private round = 0;
  private readonly value: HingeValue = { smooth: 0, loss: 0, dualSum: 0 };

  private constructor(
    private readonly receive: Threads["receiveMessageOnPort"],
    private readonly own: RobustHinge,
    private readonly ownShare: number,
    private readonly shards: readonly Shard[],
    private readonly control: Int32Array,
    private readonly settings: Float64Array,
    private readonly weights: Float64Array,
  ) {}

  /** Throws ResourceError when a thread cannot start. `workspace` must hold RobustHinge.sizes of the first shard. */
  static async start(
    threads: Threads,
    data: HingeData,
    count: number,
    kernels: Kernels,
    workspace: Workspace,
    length: number,
  ): Promise<ThreadedHinge> {
    const samples = data.features.shape[0];
    const parts = shardsOf(samples, count).map(([from, to]) => takeSamples(data, from, to));
    const control = new Int32Array(new SharedArrayBuffer(4 * slot.length));
    const settings = shared(setting.length);
    const weights = shared(length);
    const shards: Shard[] = [];
    const own = new RobustHinge(parts[0], workspace);
    const hinge = new ThreadedHinge(
      threads.receiveMessageOnPort,
      own,
      parts[0].features.shape[0] / samples,
      shards,
      control,
      settings,
      weights,
    );
    const started = parts.slice(1).map(async (part) => {
      const [gradient, answers] = [shared(length), shared(answer.length)];
      const channel = new threads.MessageChannel();
      const start: ShardStart = {
        ...{ data: part, kernels: kernels.name, control, settings, weights, gradient, answers },
        port: channel.port2,
      };
      const thread = new threads.Worker(workerFile(), {
        workerData: start,
        transferList: [channel.port2],
        execArgv: [],
      });
      shards.push({ thread, port: channel.port1, share: part.features.shape[0] / samples, gradient, answers });
      await new Promise<void>((resolve, reject) => {
        thread.once("message", () => resolve());
        thread.once("error", (error) => reject(threadFailure(error.message)));
        thread.once("exit", (code) => reject(threadFailure(`exit code ${code}`)));
      });
      thread.removeAllListeners();
    });
    const outcomes = await Promise.allSettled(started);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) {
      await hinge.close();
      throw failed.reason;
    }
    return hinge;
  }

  /** Samples of the largest shard, the first. */
  static largestShard(samples: number, count: number): number {
    const [from, to] = shardsOf(samples, count)[0];
    return to - from;
  }

  get width(): number {
    return this.own.width;
  }

  get hasBallCentres(): boolean {
    return this.own.hasBallCentres;
  }

  evaluate(
    weights: Float64Array,
    smoothing: number,
    normSmoothing: number,
    gradient: Float64Array | null,
    value: HingeValue,
  ): void {
    const { own, ownShare } = this;
    this.weights.set(weights);
    this.settings[setting.smoothing] = smoothing;
    this.settings[setting.normSmoothing] = normSmoothing;
    this.order(gradient ? command.gradient : command.value);
    own.evaluate(weights, smoothing, normSmoothing, gradient, this.value);
    this.finish();
    value.smooth = ownShare * this.value.smooth;
    value.loss = ownShare * this.value.loss;
    value.dualSum = ownShare * this.value.dualSum;
    if (gradient) for (let k = 0; k < gradient.length; k++) gradient[k] *= ownShare;
    for (const { share, answers, gradient: part } of this.shards) {
      value.smooth += share * answers[answer.smooth];
      value.loss += share * answers[answer.loss];
      value.dualSum += share * answers[answer.dualSum];
      if (gradient) for (let k = 0; k < gradient.length; k++) gradient[k] += share * part[k];
    }
  }

  recentre(weights: Float64Array, smoothing: number, normSmoothing: number): void {
    this.weights.set(weights);
    this.settings[setting.smoothing] = smoothing;
    this.settings[setting.normSmoothing] = normSmoothing;
    this.order(command.recentre);
    this.own.recentre(weights, smoothing, normSmoothing);
    this.finish();
  }

  /** One state per shard. */
  state(): readonly HingeState[] {
    this.order(command.state);
    const first = this.own.state();
    this.finish();
    return [first, ...this.shards.map(({ port }) => this.receive(port)?.message as HingeState)];
  }

  restore(states: readonly HingeState[]): void {
    for (const [k, { port }] of this.shards.entries()) port.postMessage(states[k + 1]);
    this.order(command.restore);
    this.own.restore(states[0]);
    this.finish();
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    for (const { port } of this.shards) port.close();
    await Promise.all(this.shards.map(({ thread }) => thread.terminate()));
  }

  private order(what: number): void {
    Atomics.store(this.control, slot.done, 0);
    Atomics.store(this.control, slot.command, what);
    this.round++;
    Atomics.store(this.control, slot.round, this.round);
    Atomics.notify(this.control, slot.round);
  }

  private finish(): void {
    const { control, shards } = this;
    for (let done = Atomics.load(control, slot.done); done < shards.length; done = Atomics.load(control, slot.done)) {
      if (Atomics.wait(control, slot.done, done, LONGEST_ROUND) === "timed-out") {
        throw threadFailure(`silence for ${LONGEST_ROUND / 1000} s`);
      }
    }
    if (Atomics.load(control, slot.failed) === 0) return;
    const said = shards.map(({ port }) => this.receive(port)?.message).find((text) => typeof text === "string");
    throw threadFailure(String(said ?? "an error"));
  }
}

function shared(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(8 * length));
}

/** Consecutive ranges of samples, the first ones the longer. */
function shardsOf(samples: number, count: number): [number, number][] {
  const parts = Math.min(count, samples);
  const size = Math.ceil(samples / parts);
  return Array.from({ length: Math.ceil(samples / size) }, (_, k) => [k * size, Math.min(samples, (k + 1) * size)]);
}

function takeSamples(data: HingeData, from: number, to: number): HingeData {
  const { features, labels, bits, gateCount } = data;
  const d = features.shape[1];
  return {
    ...data,
    features: { data: features.data.slice(from * d, to * d), shape: [to - from, d] },
    labels: labels.slice(from, to),
    bits: bits.slice(from * gateCount, to * gateCount),
  };
}

function threadFailure(received: string): ResourceError {
  const hint = "threads: 1 trains in this thread";
  return new ResourceError({ argument: "worker thread", expected: "an evaluated shard", received, hint });
}

/** The built worker beside this module, also when this module runs from its source. Throws ResourceError when it is not there. */
function workerFile(): URL {
  const { existsSync } = process.getBuiltinModule("node:fs");
  const { fileURLToPath } = process.getBuiltinModule("node:url");
  const candidates = ["./hingeWorker.js", "../../dist/hingeWorker.js"].map((path) => new URL(path, import.meta.url));
  const found = candidates.find((url) => existsSync(fileURLToPath(url)));
  if (found) return found;
  const received = fileURLToPath(candidates[0]);
  const hint = "a bundler may have left it out; train with threads: 1";
  const expected = "the worker beside the package's index";
  throw new ResourceError({ argument: "hingeWorker.js", expected, received, hint });
}
