// Settings of `worstcase attack`: which heads (of a finished run, of a file, or the backbone's own), which images, how they are attacked.

import type { Norm } from "@worstcase/core";
import { SettingError } from "@worstcase/core";
import { z } from "zod";
import { count, numericList, wordList } from "./fields.js";
import { backboneNames, backendNames } from "./robustify.js";

export const attackSchema = z.strictObject({
  run: z.string().min(1).optional().describe("folder of a finished robustify run: its heads, backbone and images"),
  head: z
    .string()
    .min(1)
    .optional()
    .describe("head file; with --run one of its heads by name (default: all). Without both, the backbone's own head"),
  model: z
    .string()
    .min(1)
    .optional()
    .describe(
      "a whole model instead of a head: tfjs:PATH/model.json, or onnx:PATH (needs onnxruntime-node; black box)",
    ),
  mean: numericList(z.number())
    .optional()
    .describe("with --model: subtracted from each channel of the pixels in [0, 1] (default: nothing)"),
  std: numericList(z.number().positive())
    .optional()
    .describe("with --model: each channel is divided by it afterwards (default: 1)"),
  layout: z
    .enum(["channels-first", "channels-last"])
    .default("channels-first")
    .describe("order in which an ONNX model takes images (channels-first, channels-last)"),
  data: z.enum(["embedded", "cifar10"]).optional().describe("data set (embedded, cifar10; default: embedded)"),
  backbone: z
    .enum(backboneNames)
    .optional()
    .describe(`network whose features are used (${backboneNames.join(", ")})`),
  weights: z.string().min(1).optional().describe("weights of the backbone: safetensors or a PyTorch state_dict"),
  preset: z
    .enum(["quick", "standard", "plus", "rand"])
    .default("standard")
    .describe("attacks (quick, standard, plus, rand)"),
  norm: z.enum(["linf", "l2", "l1"]).default("linf").describe("norm of perturbations (linf, l2, l1)"),
  compare: z
    .preprocess((value) => (value === "none" ? [] : value), z.union([z.tuple([]), wordList(["fgsm", "pgd"])]))
    .default(["fgsm", "pgd"])
    .describe("attacks on all images beside the suite: fgsm, pgd (100 steps; quick: 20), or none"),
  epsilon: numericList(z.number().positive())
    .optional()
    .describe("budgets in pixel units, 1/255,2/255 or 1/255..8/255 (default: linf 1,2,4,8/255; l2 0.5; l1 12)"),
  examples: count(0).default(8).describe("images of successful perturbations drawn for each model, 0 for none"),
  limit: count()
    .optional()
    .describe("test images, the first ones (default: those of the run; embedded 120, cifar10 1000)"),
  batch: count().default(128).describe("images given to the model at once; results do not depend on it"),
  dataDir: z.string().min(1).optional().describe("folder with the data files (or WORSTCASE_DATA)"),
  download: z.boolean().default(false).describe("download missing data from its official address, hash checked"),
  backend: z.enum(backendNames).optional().describe("tensor backend (default: that of the run's settings, or auto)"),
  workers: count(0).optional().describe("worker threads of the wasm backend"),
  seed: count(0).default(0).describe("seed of everything random"),
});

export type AttackConfig = z.output<typeof attackSchema>;

/** Budgets of the published tables of each norm. */
const usualEpsilons: Readonly<Record<Norm, readonly number[]>> = {
  linf: [1 / 255, 2 / 255, 4 / 255, 8 / 255],
  l2: [0.5],
  l1: [12],
};

/** Budgets in increasing order without repetition. Throws SettingError when a budget in linf exceeds the pixel range. */
export function budgetsOf({ norm, epsilon }: Pick<AttackConfig, "norm" | "epsilon">): readonly number[] {
  const epsilons = [...new Set(epsilon ?? usualEpsilons[norm])].sort((a, b) => a - b);
  const largest = epsilons[epsilons.length - 1]!;
  if (norm === "linf" && largest > 1) {
    const hint = `did you mean ${largest}/255?`;
    throw new SettingError({
      argument: "--epsilon",
      expected: "at most 1, the whole pixel range",
      received: largest,
      hint,
    });
  }
  return epsilons;
}

/** Throws SettingError when settings are given that exclude each other. */
export function checkAttack(config: AttackConfig): void {
  budgetsOf(config);
  for (const name of ["mean", "std"] as const) {
    if (config[name] === undefined || config.model !== undefined) continue;
    const hint = "heads and backbones know their own normalisation";
    throw new SettingError({ argument: `--${name}`, expected: "none without --model", received: config[name], hint });
  }
  for (const name of ["run", "head", "backbone", "weights"] as const) {
    if (config.model === undefined || config[name] === undefined) continue;
    const hint = "--model is a whole model, from pixels to logits";
    throw new SettingError({
      argument: `--${name}`,
      expected: "none together with --model",
      received: config[name],
      hint,
    });
  }
  if (config.run === undefined) return;
  for (const name of ["data", "backbone", "weights"] as const) {
    if (config[name] === undefined) continue;
    const hint = "the run says which data and backbone its heads belong to";
    throw new SettingError({
      argument: `--${name}`,
      expected: "none together with --run",
      received: config[name],
      hint,
    });
  }
}
