// Regression from the command line: `fit --loss squared` on a numeric target column, and `certify` of such a model.
//   prediction f(x)    lowest, highest: exact range of f on the l2 ball    worstError = max(t - lowest, highest - t)

import { DataError, type NumericBatch, SettingError, type Warning } from "@worstcase/core";
import { readTable } from "@worstcase/datasets";
import type { Kernels } from "@worstcase/linalg";
import {
  evaluateQuadratic,
  fitRegression,
  fitStandardisation,
  linfLowerBounds,
  type MoveOptions,
  PolynomialModel,
  predictionRange,
  standardise,
} from "@worstcase/polynomial";
import { column, columns, type FitConfig } from "../config/table.js";
import { withFlagNames } from "./flagErrors.js";
import { radiusUnits } from "./modelFile.js";
import { movesFor, namesOfFixed } from "./moves.js";

/** Reads the table and trains; the model keeps its standardisation and says `task: regression`. */
export async function fitTargets(file: string, config: FitConfig) {
  refuse(config);
  const warnings: Warning[] = [];
  const table = await withFlagNames(() =>
    readTable(
      { path: file },
      {
        ...{ label: column(config.label), ignore: columns(config.ignore), missing: config.missing },
        ...{ purpose: "regression", onEvent: (event) => event.type === "warning" && warnings.push(event.warning) },
      },
    ),
  );
  const { inputs, featureNames } = table;
  const moves = await movesFor(config, table);
  const targets = table.targets!;
  const standardisation = config.standardize === "train" ? fitStandardisation(inputs) : null;
  const { tolerance, timeLimit, reduction, backend } = config;
  const fit = await withFlagNames(() =>
    fitRegression(standardise(inputs, standardisation), targets, {
      ...{ radius: config.radius[0]!, beta: config.beta[0]!, reduction, kernels: backend, ...moves },
      ...(tolerance !== undefined && { tolerance }),
      ...(timeLimit !== undefined && { timeLimitSeconds: timeLimit }),
    }),
  );
  if (!Number.isFinite(fit.objective.total)) {
    const hint = "the features or targets are too large for float64; rescale them";
    throw new DataError({ argument: "table", expected: "numbers of moderate size", received: "overflow", hint });
  }
  const { status, lowerBound, gap, iterations, seconds, radius, beta } = fit;
  const plain = new PolynomialModel({ quadratics: [fit.quadratic], standardisation });
  const facts = {
    ...{ task: "regression", label: config.label, standardize: config.standardize, radius },
    ...{ radiusUnits: radiusUnits(plain), beta, loss: `${reduction}-squared`, method: "exact" },
    ...{ objective: fit.objective.total, lowerBound, gap, neurons: fit.neurons.weights.length, iterations, seconds },
    ...{ backend: fit.kernels, status, immutable: namesOfFixed(moves, featureNames) },
    ellipsoid: config.ellipsoid ?? null,
  };
  const notes = { ...facts, features: featureNames, ...(config.ignore && { ignore: config.ignore }) };
  const model = new PolynomialModel({ quadratics: [fit.quadratic], standardisation, moves, details: notes });
  const training = errorsOf(
    targets,
    predictionsOf(model, inputs).map((value, i) => Math.abs(value - targets[i]!)),
    fit.worstErrors,
  );
  const all: readonly Warning[] = [...warnings, ...fit.warnings];
  return { model, facts: { ...facts, rows: targets.length, training, warnings: all } };
}

function refuse({ folds, positive, method, radius, beta }: FitConfig): void {
  const hint = "--loss squared predicts numbers";
  const given: [string, unknown, boolean][] = [
    ["--folds", folds, folds !== undefined],
    ["--positive", positive, positive !== undefined],
    ["--method", method, method === "factored"],
    ["--radius", radius, radius.length > 1],
    ["--beta", beta, beta.length > 1],
  ];
  for (const [argument, received, wrong] of given) {
    if (wrong) throw new SettingError({ argument, expected: "none or one exact setting", received, hint });
  }
}

/** f of every row, `[rows]`. */
function predictionsOf(model: PolynomialModel, points: NumericBatch): Float64Array {
  const { data, shape } = standardise(points, model.standardisation);
  const [rows, d] = [shape[0]!, model.features];
  const score = model.quadratics[1]!;
  return Float64Array.from({ length: rows }, (_, i) => evaluateQuadratic(score, data.subarray(i * d, (i + 1) * d)));
}

export interface ErrorSummary {
  readonly rootMeanSquareError: number;
  /** The same of the largest error on every row's ball. */
  readonly rootMeanSquareWorstError: number;
  readonly largestWorstError: number;
  /** 1 - squared errors / squared deviations from the mean target; null when all targets are equal. */
  readonly explained: number | null;
}

function errorsOf(targets: Float64Array, errors: Float64Array, worst: Float64Array): ErrorSummary {
  const n = targets.length;
  const rootMeanSquare = (values: Float64Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / n);
  const mean = targets.reduce((sum, t) => sum + t / n, 0);
  const spread = rootMeanSquare(targets.map((t) => t - mean));
  const error = rootMeanSquare(errors);
  return {
    rootMeanSquareError: error,
    rootMeanSquareWorstError: rootMeanSquare(worst),
    largestWorstError: worst.reduce((most, value) => Math.max(most, value), 0),
    explained: spread > 0 ? 1 - (error / spread) ** 2 : null,
  };
}

export interface PredictedRow {
  readonly row: number;
  readonly target: number | null;
  readonly prediction: number;
  readonly lowest: number;
  readonly highest: number;
  readonly worstError: number | null;
  /** Certified range on the l-infinity box; null unless a size is given. */
  readonly linfLowest: number | null;
  readonly linfHighest: number | null;
}

/** Ranges of every row; points `[rows, features]` as in the table. */
export function certifyTargets(
  model: PolynomialModel,
  points: NumericBatch,
  targets: Float64Array | null,
  settings: { radius: number; epsilonInf: number | null; kernels: Kernels; moves: MoveOptions },
): { rows: PredictedRow[]; summary: ErrorSummary | null } {
  const { radius, epsilonInf, kernels, moves } = settings;
  const box = { kernels, ...(moves.immutable && { immutable: moves.immutable }) };
  const predictions = predictionsOf(model, points);
  const inputs = standardise(points, model.standardisation);
  const score = model.quadratics[1]!;
  const { lowest, highest } = predictionRange(score, inputs, radius, { kernels, ...moves });
  const side = (label: number) =>
    epsilonInf === null
      ? null
      : linfLowerBounds(score, inputs, new Float64Array(predictions.length).fill(label), epsilonInf, box).lowerBounds;
  const [below, above] = [side(1), side(-1)];
  const worst = targets?.map((t, i) => Math.max(t - lowest[i]!, highest[i]! - t)) ?? null;
  const rows = Array.from(predictions, (prediction, row) => ({
    ...{ row, target: targets ? targets[row]! : null, prediction, lowest: lowest[row]!, highest: highest[row]! },
    worstError: worst ? worst[row]! : null,
    linfLowest: below ? below[row]! : null,
    linfHighest: above ? -above[row]! : null,
  }));
  const errors = targets && predictions.map((value, i) => Math.abs(value - targets[i]!));
  return { rows, summary: targets && errors && worst ? errorsOf(targets, errors, worst) : null };
}
