// What a run will take, before it starts: sizes, memory and a time estimate from short measurements on this machine.

import type { NumericBatch } from "@worstcase/core";
import { createRng } from "@worstcase/core";
import { pairsOf, type RobustifyConfig } from "../config/robustify.js";
import { openBackbone } from "./backbone.js";

export interface PlannedStep {
  readonly step: string;
  readonly size: string;
  readonly memoryMiB: number;
  readonly seconds: number;
}

const probeImages = 64;
/** Measured order of magnitude: floating-point operations per second of the float64 kernels in training. */
const trainingSpeed = 4e9;
/** Evaluations of the objective until a gap of 1e-2, as measured on real features. */
const typicalEvaluations = 400;
/** Share of test images that PGD still works on, summed over four budgets, on a standard backbone. */
const survivorShare = 1.4;

export async function planRun(config: RobustifyConfig): Promise<PlannedStep[]> {
  const { extractor } = await openBackbone(config);
  try {
    const size = extractor.inputShape.reduce((product, length) => product * length, 1);
    const images = randomImages(probeImages, extractor.inputShape);
    await extractor.features(images);
    const forward = (await time(() => extractor.features(images))) / probeImages;
    const gradient = {
      data: new Float32Array(probeImages * extractor.featureCount).fill(1),
      shape: [probeImages, extractor.featureCount],
    };
    const both = (await time(() => extractor.pullback(images, gradient))) / probeImages;
    const total = config.train + config.validation + config.test;
    const rows = 1 + config.head.length * (1 + config.set.length);
    const gradients = config.test * (2 + 2 * config.steps * (1 + config.restarts) * survivorShare);
    const perClass = 4 * config.train * extractor.featureCount * 16 * typicalEvaluations;
    const candidates = pairsOf(config) * config.beta.length;
    const mebibytes = (values: number, bytes: number) => (values * bytes) / 2 ** 20;
    return [
      { step: "images", size: `${total} images`, memoryMiB: mebibytes(total * size, 4), seconds: 0 },
      {
        step: "features",
        size: `${total} x ${extractor.featureCount}`,
        memoryMiB: mebibytes(total * extractor.featureCount, 12),
        seconds: total * forward,
      },
      {
        step: "calibration",
        size: `${config.calibrationImages} images`,
        memoryMiB: mebibytes(extractor.featureCount * size, 8),
        seconds:
          config.calibrationImages * both * (8 + (config.set.includes("ellipsoid") ? extractor.featureCount : 0)),
      },
      {
        step: "training",
        size: `${candidates} heads`,
        memoryMiB: mebibytes(config.train * extractor.featureCount * 4, 8),
        seconds: (candidates * 10 * perClass) / trainingSpeed,
      },
      {
        step: "attacks",
        size: `${rows} heads x ${config.epsilon.length} budgets`,
        memoryMiB: mebibytes(config.test * size * config.epsilon.length, 4),
        seconds: rows * gradients * both,
      },
    ];
  } finally {
    await extractor.close();
  }
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function randomImages(count: number, shape: readonly number[]): NumericBatch {
  const rng = createRng(0);
  const length = shape.reduce((product, side) => product * side, count);
  return { data: Float32Array.from({ length }, () => rng.uniform()), shape: [count, ...shape] };
}
