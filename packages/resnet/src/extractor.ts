// The backbone as a feature extractor: images in, features out, and vector-Jacobian products, in fixed chunks over a pool of worker threads.
// The chunks depend only on the number of images and `batchSize`, each is computed by the same code in one thread, and results are put together by position:
// so results are bit-identical for any number of workers. Images [n, 32, 32, 3] in [0, 1], features [n, features].

import { availableParallelism } from "node:os";
import {
  type Bounds,
  checkBatch,
  DataError,
  type FeatureExtractor,
  fingerprint,
  isWorstcaseError,
  type Linearisation,
  type NumericBatch,
  SettingError,
  ShapeError,
  sampleCount,
} from "@worstcase/core";
import { type BackendName, useBackend } from "@worstcase/tensor";
import {
  type Architecture,
  type ArchitectureName,
  featureCountOf,
  inputShape,
  parameterShapes,
} from "./architecture.js";
import { nextTurn } from "./backend.js";
import { detectArchitecture } from "./detect.js";
import { type Engine, LocalEngine } from "./engine.js";
import { checkNormalisation, foldNetwork, type Normalisation } from "./fold.js";
import type { NetworkWeights } from "./weights.js";
import { WorkerEngine } from "./workerEngine.js";

export interface ExtractorOptions {
  /** Default `auto`: found from the weights; a name makes sure that the weights are of that network. */
  readonly architecture?: ArchitectureName | "auto";
  readonly weights: NetworkWeights;
  /** Applied to the pixels before the network: (x - mean) / std for each colour channel. */
  readonly normalisation: Normalisation;
  /** Default `auto`: the best one present. */
  readonly backend?: "auto" | BackendName;
  /** Images computed at once by one thread; results may differ in the last bits between sizes. */
  readonly batchSize?: number;
  /**
   * Worker threads; 0 computes in the calling thread. Default: min(2, cores) for wasm and cpu, 0 for the backends that bring threads of their own
   * and when the worker module is not beside the package (a bundle).
   */
  readonly workers?: number;
}

/** The linear layer that came with the weights. */
export interface NetworkHead {
  /** Row-major [classes, features]. */
  readonly weight: Float32Array;
  /** [classes]. */
  readonly bias: Float32Array;
  readonly classCount: number;
}

export interface ResNetExtractor extends FeatureExtractor {
  readonly architecture: Architecture;
  readonly normalisation: Normalisation;
  readonly backend: BackendName;
  /** Worker threads in use. */
  readonly workers: number;
  /** The network's own linear layer `linear.*`, or null. */
  readonly head: NetworkHead | null;
}

const defaultBatchSize = 16;
const imageSize = inputShape[0] * inputShape[1] * inputShape[2];

/**
 * An extractor for these weights (math.md 15; frozen batch normalisation). Throws FormatError or DataError when the weights fit no known network,
 * SettingError for other options, UnsupportedError when the backend is not available. Call `close()` to free threads and memory; a forgotten extractor
 * does not keep the process alive.
 */
export async function createExtractor(options: ExtractorOptions): Promise<ResNetExtractor> {
  const { weights, normalisation, batchSize = defaultBatchSize, workers } = options;
  checkOptions(options);
  const architecture = detectArchitecture(weights);
  if (options.architecture && options.architecture !== "auto" && options.architecture !== architecture.name) {
    const expected = `weights of ${options.architecture}`;
    throw new SettingError({ argument: "options.weights", expected, received: `weights of ${architecture.name}` });
  }
  const folded = foldNetwork(architecture, weights, normalisation);
  const { name: backend } = await useBackend(options.backend ?? "auto");
  const threaded = backend === "wasm" || backend === "cpu";
  const wanted = workers ?? (threaded ? Math.min(2, availableParallelism()) : 0);
  const engines = await startEngines(folded, backend, wanted, workers === undefined);
  return new Extractor(architecture, weights, normalisation, backend, batchSize, engines);
}

async function startEngines(
  folded: ReturnType<typeof foldNetwork>,
  backend: BackendName,
  workers: number,
  mayFallBack: boolean,
): Promise<Engine[]> {
  if (workers === 0) return [await LocalEngine.create(folded, backend)];
  const starts = Array.from({ length: workers }, () => WorkerEngine.start({ network: folded, backend }));
  const started = await Promise.allSettled(starts);
  const engines = started.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  if (engines.length === workers) return engines;
  await Promise.all(engines.map((engine) => engine.close()));
  const failure: unknown = started.find((start) => start.status === "rejected")?.reason;
  if (mayFallBack && isWorstcaseError(failure) && failure.details.argument === "worker.js") {
    return [await LocalEngine.create(folded, backend)];
  }
  throw failure;
}

class Extractor implements ResNetExtractor {
  readonly id: string;
  readonly fingerprint: string;
  readonly inputShape = inputShape;
  readonly featureCount: number;
  readonly bounds: Bounds = { lower: 0, upper: 1 };
  readonly head: NetworkHead | null;
  readonly workers: number;
  private nextId = 1;
  private closed = false;

  constructor(
    readonly architecture: Architecture,
    weights: NetworkWeights,
    readonly normalisation: Normalisation,
    readonly backend: BackendName,
    private readonly batchSize: number,
    private readonly engines: readonly Engine[],
  ) {
    const { name, width, finalNorm, classCount } = architecture;
    this.id = `${name}${width === 1 ? "" : `-width-${width}`}${finalNorm ? "-final-norm" : ""}`;
    this.featureCount = featureCountOf(architecture);
    this.workers = engines.filter((engine) => engine instanceof WorkerEngine).length;
    const [weight, bias] = [weights.get("linear.weight"), weights.get("linear.bias")];
    this.head =
      classCount === null || !weight || !bias
        ? null
        : { weight: weight.data.slice(), bias: bias.data.slice(), classCount };
    const body = { ...architecture, classCount: null };
    const names = [...parameterShapes(body).keys()];
    const { mean, std } = normalisation;
    this.fingerprint = fingerprint(
      JSON.stringify({ name, width, finalNorm, mean, std }),
      ...names.flatMap((part) => [part, weights.get(part)!.data]),
    );
  }

  async features(inputs: NumericBatch): Promise<NumericBatch> {
    this.checkInputs(inputs);
    const count = sampleCount(inputs);
    const result = new Float32Array(count * this.featureCount);
    await this.inChunks(count, async (engine, from, to) => {
      const part = await engine.features(rows(inputs, from, to), to - from);
      result.set(part, from * this.featureCount);
    });
    return { data: result, shape: [count, this.featureCount] };
  }

  async pullback(inputs: NumericBatch, featureGradient: NumericBatch): Promise<NumericBatch> {
    this.checkInputs(inputs);
    const count = sampleCount(inputs);
    this.checkGradient(featureGradient, count);
    const result = new Float32Array(count * imageSize);
    await this.inChunks(count, async (engine, from, to) => {
      const gradient = rows(featureGradient, from, to);
      result.set(await engine.pullback(rows(inputs, from, to), to - from, gradient), from * imageSize);
    });
    return { data: result, shape: [count, ...inputShape] };
  }

  async linearise(inputs: NumericBatch): Promise<Linearisation> {
    this.checkInputs(inputs);
    const count = sampleCount(inputs);
    const data = new Float32Array(count * this.featureCount);
    const parts: { id: number; engine: Engine; from: number; to: number }[] = [];
    const forgetAll = () => Promise.all(parts.map(({ engine, id }) => engine.forget(id)));
    try {
      await this.inChunks(count, async (engine, from, to) => {
        const id = this.nextId++;
        parts.push({ id, engine, from, to });
        data.set(await engine.linearise(id, rows(inputs, from, to), to - from), from * this.featureCount);
      });
    } catch (error) {
      await forgetAll().catch(() => undefined);
      throw error;
    }
    let used = false;
    return {
      features: { data, shape: [count, this.featureCount] },
      pullback: async (featureGradient) => {
        this.checkOpen();
        if (used) {
          const expected = "one call of pullback or dispose for each linearise";
          throw new SettingError({ argument: "linearisation", expected, received: "another call" });
        }
        this.checkGradient(featureGradient, count);
        used = true;
        const result = new Float32Array(count * imageSize);
        const queues = this.engines.map((engine) => parts.filter((part) => part.engine === engine));
        await settleAll(
          queues.map(async (queue) => {
            for (const { engine, id, from, to } of queue) {
              result.set(await engine.pullbackKept(id, rows(featureGradient, from, to)), from * imageSize);
            }
          }),
        );
        return { data: result, shape: [count, ...inputShape] };
      },
      dispose: async () => {
        if (used || this.closed) return;
        used = true;
        await forgetAll();
      },
    };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.all(this.engines.map((engine) => engine.close()));
  }

  /** Chunks of `batchSize` images; each engine takes the next one when it is free. */
  private async inChunks(
    count: number,
    work: (engine: Engine, from: number, to: number) => Promise<void>,
  ): Promise<void> {
    let next = 0;
    await settleAll(
      this.engines.map(async (engine) => {
        while (next < count) {
          const from = next;
          next = Math.min(count, from + this.batchSize);
          try {
            await work(engine, from, next);
            await nextTurn();
          } catch (error) {
            next = count;
            throw error;
          }
        }
      }),
    );
  }

  private checkInputs(inputs: NumericBatch): void {
    this.checkOpen();
    checkBatch(inputs, "inputs", inputShape);
    const { data } = inputs;
    for (let i = 0; i < data.length; i++) {
      if (data[i]! < -1 || data[i]! > 2) {
        const hint = "pixels are in [0, 1]: divide bytes by 255; the extractor normalises by itself";
        const argument = `inputs[${Math.floor(i / imageSize)}, ${i % imageSize}]`;
        throw new DataError({ argument, expected: "a value in [0, 1] (with some tolerance)", received: data[i], hint });
      }
    }
  }

  private checkGradient(gradient: NumericBatch, count: number): void {
    checkBatch(gradient, "featureGradient", [this.featureCount]);
    if (sampleCount(gradient) !== count) {
      const expected = `shape [${count}, ${this.featureCount}]`;
      throw new ShapeError({ argument: "featureGradient", expected, received: gradient.shape });
    }
  }

  private checkOpen(): void {
    if (this.closed) {
      throw new SettingError({ argument: "extractor", expected: "an open extractor", received: "a closed one" });
    }
  }
}

/** Samples `from` to `to` as a Float32Array of their own, which may be moved to another thread. */
function rows({ data, shape }: NumericBatch, from: number, to: number): Float32Array {
  const size = data.length / shape[0]!;
  return new Float32Array(data.subarray(from * size, to * size));
}

/** Waits for all and then throws the first error, so that nothing runs on after the caller was told. */
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
}

function checkOptions({ batchSize, workers, normalisation, weights }: ExtractorOptions): void {
  if (!(weights instanceof Map)) {
    const hint = "use loadWeights(bytes)";
    throw new SettingError({ argument: "options.weights", expected: "a Map of tensors", received: weights, hint });
  }
  if (batchSize !== undefined && !(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new SettingError({ argument: "options.batchSize", expected: "an integer >= 1", received: batchSize });
  }
  if (workers !== undefined && !(Number.isInteger(workers) && workers >= 0 && workers <= 64)) {
    throw new SettingError({ argument: "options.workers", expected: "an integer in 0 .. 64", received: workers });
  }
  checkNormalisation(normalisation, "options.normalisation");
}
