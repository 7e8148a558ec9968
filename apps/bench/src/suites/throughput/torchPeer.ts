// The PyTorch child process of the throughput suite, kept alive so that runs can be interleaved with ours.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { torchScript } from "./torchScript.js";

export interface TorchJob {
  readonly weights: string;
  readonly architecture: "resnet20" | "preact-resnet18";
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** A CIFAR-10 file in binary form. */
  readonly images: string;
  readonly count: number;
  readonly batch: number;
  readonly epsilon: number;
  readonly steps: number;
  readonly threads: number;
}

export interface TorchPeer {
  /** Version of PyTorch. */
  readonly version: string;
  /** Attacks all images once; how many are classified correctly afterwards. */
  run(): Promise<number>;
  close(): void;
}

/** The peer, or why there is none. */
export async function startTorch(job: TorchJob): Promise<TorchPeer | { readonly absent: string }> {
  const environment = { ...process.env, OMP_NUM_THREADS: String(job.threads) };
  const child = spawn("python3", ["-c", torchScript], { stdio: ["pipe", "pipe", "pipe"], env: environment });
  let problem = "";
  child.stderr.on("data", (text) => {
    problem = String(text).trim().split("\n").pop() ?? "";
  });
  const ended = new Promise<never>((_, reject) => {
    child.on("error", () => reject(new Error("python3 is not installed")));
    child.on("exit", (code) => reject(new Error(problem || `python3 ended with code ${code}`)));
  });
  ended.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (order: object): Promise<{ ready?: string; absent?: string; correct?: number }> => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await Promise.race([lines.next(), ended]);
    if (done) return ended;
    return JSON.parse(value);
  };
  try {
    const { ready, absent } = await ask(job);
    if (ready === undefined) return { absent: absent ?? "no answer" };
    return {
      version: ready,
      run: async () => (await ask({})).correct ?? Number.NaN,
      close: () => void child.stdin.end(),
    };
  } catch (error) {
    return { absent: (error as Error).message };
  }
}
