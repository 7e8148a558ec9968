// Settings of `worstcase robustify`. Flags, the JSON configuration file and the environment share this schema;
// flags win over the file, the file over the environment, all over the defaults.

import type { Multiclass } from "@worstcase/head";
import { z } from "zod";
import { count, epsilon, numeric, numericList, wordList } from "./fields.js";

export const backboneNames = ["embedded", "resnet20", "resnet56", "preact-resnet18"] as const;
const multiclassNames = ["one-vs-all", "weston-watkins", "crammer-singer"] as const satisfies readonly Multiclass[];
export const backendNames = ["auto", "tfjs-node-gpu", "tfjs-node", "webgpu", "wasm", "cpu"] as const;

const shared = {
  head: wordList(["polynomial", "relu"])
    .default(["polynomial", "relu"])
    .describe("robust heads to train (polynomial,relu)"),
  set: wordList(["isotropic", "ellipsoid"])
    .default(["isotropic", "ellipsoid"])
    .describe("perturbation sets in feature space (isotropic,ellipsoid)"),
  radius: numericList(z.number().positive())
    .default([0.1])
    .describe(
      "training radius of the isotropic set, in units of the mean centred feature norm; several are chosen from on validation data",
    ),
  tau: numericList(z.number().positive())
    .default([0.25])
    .describe(
      "radius of the ellipsoid set, in units of the displacement by PGD at the calibration budget; several are chosen from",
    ),
  calibrationEpsilon: numeric(epsilon)
    .default(1 / 255)
    .describe("pixel budget (l-infinity) at which feature displacements are measured"),
  calibrationImages: count().optional().describe("training images used to measure displacements and Jacobians"),
  beta: numericList(z.number().positive())
    .default([1e-3])
    .describe("weight of the regulariser; several are chosen from on validation data"),
  gates: count().default(40).describe("sampled activation patterns of the ReLU head"),
  tolerance: numeric(z.number().positive().max(1))
    .default(0.01)
    .describe("certified relative gap at which polynomial training stops"),
  reluTolerance: numeric(z.number().positive().max(1))
    .default(0.05)
    .describe("certified relative gap at which ReLU training stops"),
  multiclass: z
    .enum(multiclassNames)
    .default("one-vs-all")
    .describe(`polynomial training: each class against the rest, or all together (${multiclassNames.join(", ")})`),
  classWeights: z
    .enum(["none", "balanced"])
    .default("none")
    .describe("weights of the classes in polynomial training (none, balanced)"),
  epsilon: numericList(epsilon)
    .default([1 / 255, 2 / 255, 4 / 255, 8 / 255])
    .describe("attack budgets in pixel units, l-infinity (1/255,2/255 or 1/255..8/255)"),
  steps: count().default(10).describe("steps of PGD"),
  restarts: count(0).default(1).describe("restarts of PGD"),
  train: count(2).optional().describe("training images"),
  validation: count(2).optional().describe("validation images, for choices only"),
  test: count().optional().describe("test images, used once"),
  dataDir: z.string().min(1).optional().describe("folder with the data files (or WORSTCASE_DATA)"),
  weights: z.string().min(1).optional().describe("weights of the backbone: safetensors or a PyTorch state_dict"),
  cacheDir: z.string().min(1).optional().describe("folder of the feature cache (or WORSTCASE_CACHE)"),
  download: z.boolean().default(false).describe("download missing data from its official address, hash checked"),
  backend: z.enum(backendNames).default("auto").describe("tensor backend"),
  workers: count(0).optional().describe("worker threads of the wasm backend"),
  seed: count(0).default(0).describe("seed of everything random"),
};

export const robustifySchema = z.strictObject({
  data: z.enum(["embedded", "cifar10"]).default("embedded").describe("data set (embedded, cifar10)"),
  backbone: z
    .enum(backboneNames)
    .optional()
    .describe(`network whose features are used (${backboneNames.join(", ")})`),
  ...shared,
});

/** Sizes used when none are given. */
const defaultSizes = {
  embedded: { train: 1500, validation: 500, test: 120, calibrationImages: 30 },
  cifar10: { train: 5000, validation: 1000, test: 1000, calibrationImages: 100 },
};

export type RobustifySettings = z.output<typeof robustifySchema>;
export interface RobustifyConfig extends RobustifySettings {
  readonly backbone: (typeof backboneNames)[number];
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  readonly calibrationImages: number;
}

/** Fills in what depends on the data set. */
export function completeConfig(settings: RobustifySettings): RobustifyConfig {
  const sizes = defaultSizes[settings.data];
  return {
    ...settings,
    backbone: settings.backbone ?? (settings.data === "embedded" ? "embedded" : "resnet20"),
    train: settings.train ?? sizes.train,
    validation: settings.validation ?? sizes.validation,
    test: settings.test ?? sizes.test,
    calibrationImages: settings.calibrationImages ?? sizes.calibrationImages,
    epsilon: [...new Set(settings.epsilon)].sort((a, b) => a - b) as [number, ...number[]],
  };
}

/** Heads trained for one beta: per kind one that is not robust, and one for every radius of every set. */
export function pairsOf({ head, set, radius, tau }: Pick<RobustifyConfig, "head" | "set" | "radius" | "tau">): number {
  const robust = set.reduce((sum, kind) => sum + (kind === "isotropic" ? radius : tau).length, 0);
  return head.length * (1 + robust);
}
