// Settings of `worstcase pretrain`: a residual network trained from scratch on one of the image sets.

import { z } from "zod";
import { count, numeric } from "./fields.js";
import { backendNames } from "./robustify.js";

const fraction = numeric(z.number().min(0).max(1));

export const pretrainSchema = z.strictObject({
  data: z.enum(["embedded", "cifar10"]).default("embedded").describe("data set (embedded, cifar10)"),
  dataDir: z.string().min(1).optional().describe("folder with the data files (or WORSTCASE_DATA)"),
  download: z.boolean().default(false).describe("download missing data from its official address, hash checked"),
  train: count(2).default(8000).describe("training images"),
  validation: count(1).default(1000).describe("validation images"),
  architecture: z
    .enum(["preact-resnet18", "resnet20", "resnet56"])
    .default("preact-resnet18")
    .describe("network (preact-resnet18, resnet20, resnet56)"),
  width: numeric(z.number().positive().max(4)).default(0.125).describe("width multiplier of preact-resnet18"),
  finalNorm: z.boolean().default(false).describe("BatchNorm and ReLU after the last block of preact-resnet18"),
  epochs: count().default(12).describe("passes over the training images"),
  batchSize: count(2).default(64).describe("images per step"),
  learningRate: numeric(z.number().positive()).default(0.1).describe("peak learning rate of SGD"),
  schedule: z.enum(["one-cycle", "step"]).default("one-cycle").describe("learning rate schedule (one-cycle, step)"),
  momentum: fraction.default(0.9).describe("Nesterov momentum"),
  weightDecay: numeric(z.number().min(0)).default(5e-4).describe("weight decay of filters and linear weights"),
  labelSmoothing: fraction.default(0.1).describe("label smoothing"),
  rho: numeric(z.number().min(0)).default(0).describe("radius of sharpness-aware minimisation (SAM); 0 is plain SGD"),
  flip: z.boolean().default(false).describe("random horizontal flips"),
  shift: count(0).default(2).describe("random shifts by up to this many pixels (padded crop)"),
  backend: z.enum(backendNames).default("auto").describe("tensor backend"),
  seed: count(0).default(0).describe("seed of everything random"),
});

export type PretrainConfig = z.output<typeof pretrainSchema>;
