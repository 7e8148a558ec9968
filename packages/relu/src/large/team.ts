// The shards of a large fit: the first in this thread, the others in worker threads that sleep until they are called. Sums are added in the
// order of the shards, so a run with the same number of threads repeats bit for bit.

import { ResourceError } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import { Shard } from "./shard.js";
import { answer, command, type Mail, type ShardRange, type ShardTask, setting, slot, widthOf } from "./shardData.js";

type Threads = typeof import("node:worker_threads");
type Thread = InstanceType<Threads["Worker"]>;

/** A thread that says nothing for this long is given up. */
const LONGEST_ROUND = 900_000;

/** Means over all samples. */
export interface TeamValue {
  smooth: number;
  loss: number;
  dualSum: number;
}

export interface Smoothing {
  readonly hinge: number;
  readonly norm: number;
}

export class Team {
  /** Rows gathered by the last `select`. */
  rows = 0;
  private round = 0;
  private constructor(
    readonly task: ShardTask,
    private readonly own: Shard,
    private readonly ranges: readonly ShardRange[],
    private readonly threads: readonly Thread[],
  ) {}

  /** Throws ResourceError when a thread cannot start. */
  static async start(task: ShardTask, kernels: Kernels, threads: number): Promise<Team> {
    const modules = threads > 1 ? globalThis.process?.getBuiltinModule?.("node:worker_threads") : undefined;
    const { samples } = task.rows;
    const parts = Math.min(modules ? threads : 1, samples);
    const size = Math.ceil(samples / parts);
    const length = task.gates.count * task.classCount * widthOf(task);
    const ranges: ShardRange[] = [];
    for (let from = 0; from < samples; from += size) {
      const to = Math.min(samples, from + size);
      ranges.push({ from, to, gradient: sharedFloats(length), answers: sharedFloats(answer.length) });
    }
    const workers: Thread[] = [];
    const team = new Team(task, new Shard(task, ranges[0], kernels), ranges, workers);
    const started = ranges.slice(1).map(async (range) => {
      const thread = new modules!.Worker(workerFile(), { workerData: { task, range }, execArgv: [] });
      workers.push(thread);
      await new Promise<void>((resolve, reject) => {
        thread.once("message", () => resolve());
        thread.once("error", (error) => reject(threadFailure(error.message)));
        thread.once("exit", (code) => reject(threadFailure(`exit code ${code}`)));
      });
      thread.removeAllListeners();
      thread.on("error", () => {});
    });
    const outcomes = await Promise.allSettled(started);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) {
      await team.close();
      throw failed.reason;
    }
    return team;
  }

  /** Finds the patterns of all samples. */
  findPatterns(): void {
    this.order(command.patterns);
  }

  /** Exact values and gradient `[C, P, D]` over all samples and gates, at pieces of the listed groups. */
  pass(
    lists: readonly Int32Array[],
    pieces: Float64Array,
    smoothing: Smoothing,
    recentre: boolean,
    gradient: Float64Array,
    value: TeamValue,
  ): void {
    this.writeLists(lists);
    this.write(pieces, smoothing);
    this.task.mail.settings[setting.recentre] = recentre ? 1 : 0;
    this.order(command.pass);
    this.collect(gradient, value);
  }

  /** Gathers the rows that can matter for steps over the listed groups. */
  select(lists: readonly Int32Array[], depth: number): void {
    this.writeLists(lists);
    this.task.mail.settings[setting.depth] = depth;
    this.order(command.select);
    this.rows = this.ranges.reduce((sum, range) => sum + range.answers[answer.rows], 0);
  }

  /** Values and gradient `[groups, D]` over the gathered rows, float32 products. */
  evaluate(pieces: Float64Array, smoothing: Smoothing, gradient: Float64Array, value: TeamValue): void {
    this.write(pieces, smoothing);
    this.order(command.evaluate);
    this.collect(gradient, value);
  }

  async close(): Promise<void> {
    this.own.close();
    await Promise.all(this.threads.map((thread) => thread.terminate()));
  }

  private writeLists(lists: readonly Int32Array[]): void {
    const { lists: words } = this.task.mail;
    let at = lists.length;
    lists.forEach((list, c) => {
      words[c] = list.length;
      words.set(list, at);
      at += list.length;
    });
  }

  private write(pieces: Float64Array, { hinge, norm }: Smoothing): void {
    const { weights, settings } = this.task.mail;
    weights.set(pieces);
    settings[setting.smoothing] = hinge;
    settings[setting.normSmoothing] = norm;
  }

  private collect(gradient: Float64Array, value: TeamValue): void {
    const { samples } = this.task.rows;
    gradient.fill(0);
    value.smooth = 0;
    value.loss = 0;
    value.dualSum = 0;
    for (const range of this.ranges) {
      value.smooth += range.answers[answer.smooth] / samples;
      value.loss += range.answers[answer.loss] / samples;
      value.dualSum += range.answers[answer.dualSum] / samples;
      const part = range.gradient;
      for (let k = 0; k < gradient.length; k++) gradient[k] += part[k] / samples;
    }
  }

  private order(what: number): void {
    const { control } = this.task.mail;
    Atomics.store(control, slot.done, 0);
    Atomics.store(control, slot.command, what);
    this.round++;
    Atomics.store(control, slot.round, this.round);
    Atomics.notify(control, slot.round);
    this.own.obey(what);
    const wanted = this.threads.length;
    for (let done = Atomics.load(control, slot.done); done < wanted; done = Atomics.load(control, slot.done)) {
      if (Atomics.wait(control, slot.done, done, LONGEST_ROUND) === "timed-out") {
        throw threadFailure(`silence for ${LONGEST_ROUND / 1000} s`);
      }
    }
    if (Atomics.load(control, slot.failed) > 0) throw threadFailure("an error in a thread");
  }
}

export function newMail(numbers: number, groups: number, classCount: number): Mail {
  return {
    control: new Int32Array(sharedBytes(4 * slot.length)),
    settings: sharedFloats(setting.length),
    weights: sharedFloats(numbers),
    lists: new Int32Array(sharedBytes(4 * (groups + classCount))),
  };
}

/** Shared between threads where the engine can. */
export function sharedBytes(length: number): ArrayBuffer {
  const Shared = globalThis.SharedArrayBuffer as (new (length: number) => unknown) | undefined;
  return (Shared ? new Shared(length) : new ArrayBuffer(length)) as ArrayBuffer;
}

function sharedFloats(length: number): Float64Array {
  return new Float64Array(sharedBytes(8 * length));
}

function threadFailure(received: string): ResourceError {
  const hint = "threads: 1 trains in this thread";
  return new ResourceError({ argument: "worker thread", expected: "an evaluated shard", received, hint });
}

/** The built worker beside this module, also when this module runs from its source. Throws ResourceError when it is not there. */
function workerFile(): URL {
  const { existsSync } = process.getBuiltinModule("node:fs");
  const { fileURLToPath } = process.getBuiltinModule("node:url");
  const candidates = ["./shardWorker.js", "../../dist/shardWorker.js"].map((path) => new URL(path, import.meta.url));
  const found = candidates.find((url) => existsSync(fileURLToPath(url)));
  if (found) return found;
  const received = fileURLToPath(candidates[0]);
  const hint = "a bundler may have left it out; train with threads: 1";
  throw new ResourceError({
    argument: "shardWorker.js",
    expected: "the worker beside the package's index",
    received,
    hint,
  });
}
