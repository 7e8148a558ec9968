// A gated ReLU model f_c(x) = sum_p 1[g_p'x >= 0] x't_pc and its JSON form (math.md 13.2).
// gates g: [P, d (+1)]   weights t: [P, C, d (+1)]   the optional last entry multiplies the constant 1

import { FormatError, type NumericBatch, SettingError } from "@worstcase/core";
import { checkFeatures, checkModel } from "./checks.js";
import { checkGates, type GateSet } from "./patterns/gateSet.js";
import { withConstant } from "./program/program.js";

export interface GatedReluModel {
  readonly kind: "gated-relu";
  readonly gates: GateSet;
  readonly featureCount: number;
  readonly classCount: number;
  /** Whether the linear pieces have a constant term. */
  readonly bias: boolean;
  /** Row-major pieces, `[gates, classes, featureCount (+1)]`. */
  readonly weights: Float64Array;
}

export interface GatedReluJson {
  readonly format: "worstcase/gated-relu";
  readonly version: 1;
  readonly featureCount: number;
  readonly classCount: number;
  readonly bias: boolean;
  readonly gateBias: boolean;
  readonly gates: readonly number[];
  readonly gateScales: readonly number[];
  readonly weights: readonly number[];
}

/** Scores `[n, classCount]` of the model with gates that move with the input. Throws on features of another size or not finite. */
export function gatedScores(model: GatedReluModel, features: NumericBatch): NumericBatch {
  checkModel(model, ["gated-relu"]);
  checkFeatures(features, model.featureCount);
  const samples = features.shape[0];
  const { classCount, gates } = model;
  const width = model.featureCount + (model.bias ? 1 : 0);
  const gateWidth = gates.featureCount + (gates.bias ? 1 : 0);
  const inputs = withConstant(features, true);
  const data = new Float64Array(samples * classCount);
  for (let i = 0; i < samples; i++) {
    const x = i * (model.featureCount + 1);
    for (let p = 0; p < gates.count; p++) {
      let opening = 0;
      for (let k = 0; k < gateWidth; k++) opening += gates.gates[p * gateWidth + k] * inputs[x + k];
      if (opening < 0) continue;
      for (let c = 0; c < classCount; c++) {
        const from = (p * classCount + c) * width;
        let score = 0;
        for (let k = 0; k < width; k++) score += model.weights[from + k] * inputs[x + k];
        data[i * classCount + c] += score;
      }
    }
  }
  return { data, shape: [samples, classCount] };
}

/** Throws SettingError unless the model can be what a fit over other settings starts from. */
export function checkStart(
  start: GatedReluModel,
  {
    gateCount,
    featureCount,
    classCount,
    bias,
  }: { gateCount: number; featureCount: number; classCount: number; bias: boolean },
): void {
  checkModel(start, ["gated-relu"], "options.start");
  const fits =
    start.gates.count === gateCount &&
    start.featureCount === featureCount &&
    start.bias === bias &&
    start.classCount === classCount &&
    start.weights.length === gateCount * classCount * (featureCount + (bias ? 1 : 0));
  if (fits) return;
  const expected = `a model of ${gateCount} gates, ${featureCount} features and ${classCount} columns, ${bias ? "with" : "without"} bias`;
  const received = `${start.gates.count} gates, ${start.featureCount} features, ${start.classCount} columns`;
  throw new SettingError({ argument: "options.start", expected, received, hint: "train it with the same gates" });
}

/** A JSON value that keeps every number exactly. */
export function gatedModelToJson(model: GatedReluModel): GatedReluJson {
  checkModel(model, ["gated-relu"]);
  return {
    format: "worstcase/gated-relu",
    version: 1,
    featureCount: model.featureCount,
    classCount: model.classCount,
    bias: model.bias,
    gateBias: model.gates.bias,
    gates: [...model.gates.gates],
    gateScales: [...model.gates.scales],
    weights: [...model.weights],
  };
}

/** The model of a JSON value made by `gatedModelToJson`. Throws FormatError on anything else. */
export function gatedModelFromJson(json: unknown): GatedReluModel {
  const value = (typeof json === "object" && json !== null ? json : {}) as Partial<
    Record<keyof GatedReluJson, unknown>
  >;
  if (value.format !== "worstcase/gated-relu" || value.version !== 1) {
    const expected = "format worstcase/gated-relu, version 1";
    throw new FormatError({ argument: "json", expected, received: `${value.format}, version ${value.version}` });
  }
  const featureCount = wholeNumber(value.featureCount, "json.featureCount", 1);
  const classCount = wholeNumber(value.classCount, "json.classCount", 1);
  const bias = flag(value.bias, "json.bias");
  const gateBias = flag(value.gateBias, "json.gateBias");
  const scales = numbers(value.gateScales, "json.gateScales");
  const count = scales.length;
  const gates = numbers(value.gates, "json.gates", count * (featureCount + (gateBias ? 1 : 0)));
  const weights = numbers(value.weights, "json.weights", count * classCount * (featureCount + (bias ? 1 : 0)));
  const set: GateSet = { gates, count, featureCount, bias: gateBias, scales };
  if (count < 1) throw new FormatError({ argument: "json.gateScales", expected: "at least one gate", received: 0 });
  checkGates(set, featureCount, "json.gates");
  return { kind: "gated-relu", gates: set, featureCount, classCount, bias, weights };
}

export function wholeNumber(value: unknown, argument: string, least: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
  throw new FormatError({ argument, expected: `an integer >= ${least}`, received: value });
}

export function flag(value: unknown, argument: string): boolean {
  if (typeof value === "boolean") return value;
  throw new FormatError({ argument, expected: "true or false", received: value });
}

/** A list of finite numbers, of the given length if stated. */
export function numbers(value: unknown, argument: string, length?: number): Float64Array {
  const finite = Array.isArray(value) && value.every((entry) => typeof entry === "number" && Number.isFinite(entry));
  if (!finite || (length !== undefined && value.length !== length)) {
    const expected = `${length ?? "a list of"} finite numbers`;
    throw new FormatError({ argument, expected, received: Array.isArray(value) ? `${value.length} values` : value });
  }
  return Float64Array.from(value as number[]);
}
