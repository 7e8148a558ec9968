// Trains a network from random or given weights (math.md 15): SGD with momentum, a learning-rate schedule, label smoothing, flips and crops, optionally SAM.
// Every epoch visits each training image once, in a random order, in batches of equal size (up to one image). Runs with the same settings, data and seed on the same
// backend give the same bits, also when they are interrupted after an epoch and resumed.

import {
  checkBatch,
  checkLabels,
  fingerprint,
  type LabelledBatch,
  type ProgressEvent,
  type Rng,
  restoreRng,
  SettingError,
  sampleCount,
  throwIfAborted,
} from "@worstcase/core";
import { type BackendName, useBackend } from "@worstcase/tensor";
import { type Architecture, type ArchitectureName, checkArchitecture, inputShape } from "../architecture.js";
import { activate, nextTurn } from "../backend.js";
import { checkWeights } from "../detect.js";
import { checkNormalisation, type Normalisation } from "../fold.js";
import type { NetworkWeights, WeightTensor } from "../weights.js";
import { type Augmentation, gatherImages } from "./augment.js";
import { evaluateNetwork } from "./evaluate.js";
import { initialWeights } from "./parameters.js";
import { checkSchedule, learningRate, type Schedule } from "./schedule.js";
import { checkSameSettings, type EpochRecord, type TrainingState } from "./state.js";
import { allFinite, type StepSettings, Trainer } from "./trainer.js";

export interface TrainingOptions {
  readonly architecture: ArchitectureName;
  /** Factor on the channel counts. Default 1. */
  readonly width?: number;
  /** Norm and ReLU after the last block of a pre-activation network. Default false. */
  readonly finalNorm?: boolean;
  readonly classCount: number;
  /** Images [n, 32, 32, 3] in [0, 1] with labels. */
  readonly train: LabelledBatch;
  /** Evaluated after every epoch. */
  readonly validation?: LabelledBatch | undefined;
  readonly normalisation: Normalisation;
  readonly epochs: number;
  /** Default 128. */
  readonly batchSize?: number;
  readonly schedule: Schedule;
  /** Default 0.9. */
  readonly momentum?: number;
  /** Default true. */
  readonly nesterov?: boolean;
  /** Default 5e-4. */
  readonly weightDecay?: number;
  /** Default `weights`: filters and the linear weight; `all` adds norms and biases. */
  readonly decayed?: "weights" | "all";
  /** In [0, 1). Default 0. */
  readonly labelSmoothing?: number;
  /** Default: flips, and crops shifted by up to 4 pixels. `null` for none. */
  readonly augmentation?: Augmentation | null;
  /** Radius of sharpness-aware minimisation; 0 (default) for plain SGD, else each step costs two forward and backward passes. */
  readonly rho?: number;
  /** Source of the initial weights, the order of the images and their augmentation. */
  readonly rng: Rng;
  /** Start from these weights instead of random ones. */
  readonly initialWeights?: NetworkWeights | undefined;
  /** Default `auto`. */
  readonly backend?: "auto" | BackendName;
  /** Called after every epoch; the run waits for it. */
  readonly onCheckpoint?: ((state: TrainingState) => void | Promise<void>) | undefined;
  /** Continue from a state given to `onCheckpoint`, with the same settings, data and rng. */
  readonly resumeFrom?: TrainingState | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Progress carries `loss`, `accuracy`, `learningRate` and `imagesPerSecond` of the epoch so far, at every step. */
export type TrainingEvent = ProgressEvent | ({ readonly type: "epoch"; readonly epochs: number } & EpochRecord);

export interface TrainingResult {
  /** `diverged`: the loss or a weight was no longer finite; the weights are those of the last whole epoch (or the initial ones). */
  readonly status: "finished" | "diverged";
  readonly architecture: Architecture;
  /** PyTorch names and layouts, running statistics included: ready for `saveWeights` and `createExtractor`. */
  readonly weights: ReadonlyMap<string, WeightTensor>;
  readonly epochs: readonly EpochRecord[];
}

/**
 * Trains and returns the weights. Throws SettingError, ShapeError or DataError for bad options before any work, AbortedError when the signal fires (the last
 * checkpoint is then the place to resume from).
 */
export async function trainResNet(
  options: TrainingOptions,
  onEvent?: (event: TrainingEvent) => void,
): Promise<TrainingResult> {
  const plan = checkTraining(options);
  const { architecture, settings, augmentation, batchSize, signature } = plan;
  const { train, validation, normalisation, epochs, schedule, signal, onCheckpoint, resumeFrom } = options;
  const count = sampleCount(train.inputs);
  const batches = Math.ceil(count / batchSize);
  const { name: backend } = await useBackend(options.backend ?? "auto");

  const rng = resumeFrom ? restoreRng(resumeFrom.rng) : options.rng.fork("batches");
  const start =
    resumeFrom?.weights ?? options.initialWeights ?? initialWeights(architecture, options.rng.fork("weights"));
  const history: EpochRecord[] = [...(resumeFrom?.history ?? [])];
  let last: NetworkWeights = start;
  const trainer = new Trainer(architecture, start, resumeFrom?.velocities ?? new Map());
  const result = (status: TrainingResult["status"]): TrainingResult => {
    return { status, architecture, weights: copy(last), epochs: history };
  };
  try {
    for (let epoch = resumeFrom?.epoch ?? 0; epoch < epochs; epoch++) {
      const order = rng.permutation(count);
      const started = performance.now();
      const perSecond = (images: number) => (1000 * images) / (performance.now() - started);
      let [loss, correct, done, rate] = [0, 0, 0, 0];
      for (let batch = 0; batch < batches; batch++) {
        throwIfAborted(signal, "training");
        await activate(backend);
        const to = Math.floor(((batch + 1) * count) / batches);
        const positions = order.subarray(done, to);
        const images = gatherImages(train.inputs.data, positions, normalisation, augmentation, rng);
        rate = learningRate(schedule, epoch * batches + batch, epochs * batches);
        const labels = positions.map((position) => train.labels[position]!);
        const step = await trainer.step(images, labels, rate, settings);
        if (!Number.isFinite(step.loss)) return result("diverged");
        loss += step.loss * positions.length;
        correct += step.correct;
        done = to;
        const values = {
          loss: loss / done,
          accuracy: correct / done,
          learningRate: rate,
          imagesPerSecond: perSecond(done),
        };
        const task = `train epoch ${epoch + 1} of ${epochs}`;
        onEvent?.({ type: "progress", task, done: epoch * batches + batch + 1, total: epochs * batches, values });
        await nextTurn();
      }
      const seconds = (performance.now() - started) / 1000;
      const { weights, velocities } = await trainer.export();
      if (!allFinite(weights)) return result("diverged");
      last = weights;
      const checked = validation && (await evaluateNetwork(architecture, weights, normalisation, validation, backend));
      const record: EpochRecord = {
        epoch: epoch + 1,
        loss: loss / count,
        accuracy: correct / count,
        validationLoss: checked?.loss ?? null,
        validationAccuracy: checked?.accuracy ?? null,
        learningRate: rate,
        seconds,
        imagesPerSecond: count / seconds,
      };
      history.push(record);
      onEvent?.({ type: "epoch", epochs, ...record });
      const place = { format: 1, architecture, settings: signature, epoch: epoch + 1, rng: rng.state() } as const;
      await onCheckpoint?.({ ...place, weights: copy(weights), velocities, history: [...history] });
    }
    return result("finished");
  } finally {
    trainer.dispose();
  }
}

function copy(weights: NetworkWeights): Map<string, WeightTensor> {
  return new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]));
}

interface Plan {
  readonly architecture: Architecture;
  readonly settings: StepSettings;
  readonly augmentation: Augmentation | null;
  readonly batchSize: number;
  /** JSON by which a resumed run is compared. */
  readonly signature: string;
}

function checkTraining(options: TrainingOptions): Plan {
  const { train, validation, normalisation, epochs, schedule, resumeFrom, classCount, batchSize = 128 } = options;
  const architecture: Architecture = {
    name: options.architecture,
    width: options.width ?? 1,
    finalNorm: options.finalNorm ?? false,
    classCount,
  };
  checkArchitecture(architecture);
  for (const [name, batch] of [["train", train] as const, ["validation", validation] as const]) {
    if (!batch && name === "validation") continue;
    checkBatch(batch?.inputs as never, `options.${name}.inputs`, inputShape);
    checkLabels(batch!.labels, sampleCount(batch!.inputs), classCount, `options.${name}.labels`);
  }
  checkNormalisation(normalisation, "options.normalisation");
  checkSchedule(schedule);
  const settings: StepSettings = {
    momentum: options.momentum ?? 0.9,
    nesterov: options.nesterov ?? true,
    weightDecay: options.weightDecay ?? 5e-4,
    decayed: options.decayed ?? "weights",
    labelSmoothing: options.labelSmoothing ?? 0,
    rho: options.rho ?? 0,
  };
  const augmentation = options.augmentation === undefined ? { flip: true, shift: 4 } : options.augmentation;
  const whole = (value: number, least: number) => Number.isInteger(value) && value >= least;
  const require = (valid: boolean, name: string, expected: string, received: unknown) => {
    if (!valid) throw new SettingError({ argument: `options.${name}`, expected, received });
  };
  require(whole(epochs, 1), "epochs", "an integer >= 1", epochs);
  require(whole(batchSize, 2), "batchSize", "an integer >= 2", batchSize);
  require(sampleCount(train.inputs) >= 2, "train", "at least two images", sampleCount(train.inputs));
  const { momentum, nesterov, weightDecay, decayed, labelSmoothing, rho } = settings;
  require(momentum >= 0 && momentum < 1, "momentum", "a number in [0, 1)", momentum);
  require(!nesterov || momentum > 0, "nesterov", "false when momentum is 0", nesterov);
  require(weightDecay >= 0 && Number.isFinite(weightDecay), "weightDecay", "a finite number >= 0", weightDecay);
  require(decayed === "weights" || decayed === "all", "decayed", "weights or all", decayed);
  require(labelSmoothing >= 0 && labelSmoothing < 1, "labelSmoothing", "a number in [0, 1)", labelSmoothing);
  require(rho >= 0 && Number.isFinite(rho), "rho", "a finite number >= 0", rho);
  const shift = augmentation?.shift ?? 0;
  require(whole(shift, 0) && shift <= 16, "augmentation.shift", "an integer in 0 .. 16", shift);
  if (options.initialWeights) checkWeights(architecture, options.initialWeights);
  const data = fingerprint(JSON.stringify(train.inputs.shape), train.labels, train.inputs.data.subarray(0, 3072));
  const signature = JSON.stringify({
    architecture,
    epochs,
    batchSize,
    schedule,
    ...settings,
    augmentation,
    normalisation,
    data,
  });
  if (resumeFrom) {
    checkSameSettings(signature, resumeFrom);
    const stream = options.rng.fork("batches").state().name;
    require(resumeFrom.rng.name === stream, "rng", `the seed of the resumed run (${resumeFrom.rng.name})`, stream);
    checkWeights(architecture, resumeFrom.weights);
  }
  return { architecture, settings, augmentation, batchSize, signature };
}
