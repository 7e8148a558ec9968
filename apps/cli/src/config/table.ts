// Settings of `worstcase fit` and `worstcase certify`.

import { z } from "zod";
import { count, numeric, numericList } from "./fields.js";

const shared = {
  ignore: z.string().min(1).optional().describe("columns that are no features, by name or position, with commas"),
  missing: z
    .enum(["error", "zero", "mean"])
    .default("error")
    .describe("empty cells and ?: error, zero, or mean of the column in this table"),
  backend: z
    .enum(["auto", "js", "wasm", "wasm-simd", "wasm-fma", "native"])
    .default("auto")
    .describe("float64 kernels (auto, js, wasm, wasm-simd, wasm-fma, native)"),
};

const immutable = z.string().min(1).optional();
const ellipsoid = z.string().min(1).optional();
const limit = numeric(z.number().min(0));
const positive = numeric(z.number().positive());

export const fitSchema = z.strictObject({
  label: z.string().min(1).describe("label column, by name or by position from 0 (-1 is the last)"),
  positive: z.string().min(1).optional().describe("label that is +1, of two (default: the second in ascending order)"),
  ...shared,
  radius: numericList(z.number().min(0)).describe(
    "l2 radius of the adversary, in standard deviations unless --standardize none; several with commas need --folds",
  ),
  beta: numericList(z.number().positive())
    .default([1e-3])
    .describe("weight of the sum of |alpha|; several with commas need --folds"),
  folds: count(2).optional().describe("cross-validate every radius and beta on this many folds, then fit the best"),
  evaluationRadius: limit
    .optional()
    .describe("l2 radius whose exact robust accuracy decides in cross-validation (default: the largest --radius)"),
  seed: count(0).default(0).describe("seed of the folds"),
  immutable: immutable.describe("columns that perturbations cannot change, by name or position, with commas"),
  ellipsoid: ellipsoid.describe(
    "JSON file with a lower triangular matrix L, [[..], ..] in the model's units: perturbations are L z, |z| <= radius",
  ),
  loss: z
    .enum(["hinge", "squared-hinge", "logistic", "squared"])
    .default("hinge")
    .describe(
      "loss of the worst margin (hinge, squared-hinge, logistic; several classes: hinge), or squared: worst error of a number",
    ),
  reduction: z.enum(["mean", "sum"]).default("mean").describe("mean or sum over the rows; several classes: mean"),
  standardize: z
    .enum(["train", "none"])
    .default("train")
    .describe("train: features minus mean over deviation, kept in the model; none: as they are"),
  method: z
    .enum(["auto", "exact", "factored"])
    .default("auto")
    .describe("exact interior point or factored network; several classes: joint factored"),
  tolerance: positive.optional().describe("relative gap to reach (default: 1e-6 exact, 1e-2 factored)"),
  timeLimit: positive.optional().describe("stop after this many seconds with the best network"),
});

export const certifySchema = z.strictObject({
  label: z
    .string()
    .min(1)
    .optional()
    .describe("label column (default: the model's, else the last); none: the table has no labels"),
  ...shared,
  radius: limit.optional().describe("l2 radius, in the model's units (default: the training radius)"),
  immutable: immutable.describe(
    "columns that perturbations cannot change (default: the model's); none: all can change",
  ),
  ellipsoid: ellipsoid.describe("as for fit, for radius and distances (default: the model's); none: the l2 ball"),
  epsilonInf: limit.optional().describe("l-infinity radius, in the model's units (default: no l-infinity columns)"),
  range: z
    .string()
    .min(1)
    .optional()
    .describe(
      'JSON file {"column": [low, high]} of valid values in the table\'s units: adds rangeBound and rangeExact',
    ),
  plotRadius: positive.optional().describe("largest radius of --plot (default: where 9 of 10 rows are lost in l2)"),
  exactFeatures: count(0).default(20).describe("most features for exact l-infinity minima by branch and bound"),
  maxNodes: count(1).default(20_000).describe("boxes that branch and bound may take for a row and pair of classes"),
});

/** Settings of one training run. */
export type TrainConfig = Omit<FitConfig, "radius" | "beta"> & { readonly radius: number; readonly beta: number };
export type FitConfig = z.output<typeof fitSchema>;
export type CertifyConfig = z.output<typeof certifySchema>;

/** A column as `readTable` wants it: an integer is a position. */
export const column = (text: string): string | number => (/^-?\d+$/.test(text.trim()) ? Number(text) : text.trim());

/** Columns written with commas. */
export const columns = (text: string | undefined): (string | number)[] => text?.split(",").map(column) ?? [];
