// `worstcase fit`: a robust polynomial network on anyone's labelled table, with its certificate.

import { basename } from "node:path";
import { DataError, type NumericBatch, SettingError, UnsupportedError, type Warning } from "@worstcase/core";
import { readTable, type Table } from "@worstcase/datasets";
import {
  type FitOptions,
  fitPolynomial,
  fitStandardisation,
  type MoveOptions,
  PolynomialModel,
  standardise,
} from "@worstcase/polynomial";
import { type Command, Option } from "commander";
import { addSchemaOptions, resolveSettings } from "../config/options.js";
import { column, columns, type FitConfig, fitSchema, type TrainConfig } from "../config/table.js";
import { curvePlotSvg } from "../plot/curvePlot.js";
import { checkOutputFile, writeOutputFile } from "../run/outputFile.js";
import { type Accuracy, formatAccuracy, shareOf } from "../table/accuracy.js";
import { type CrossValidation, crossValidate } from "../table/crossValidate.js";
import { withFlagNames } from "../table/flagErrors.js";
import { radiusUnits } from "../table/modelFile.js";
import { formatMoves, movesFor, namesOfFixed } from "../table/moves.js";
import { pathPlot } from "../table/pathPlot.js";
import { exitCodes } from "../terminal/exitCodes.js";
import { formatTable, percent } from "../terminal/table.js";
import { runFitTargets } from "./regressionReports.js";

/** Pairs of classes are trained jointly: beyond this a fit without a limit takes very long. */
const mostClasses = 30;

interface FitFlags {
  readonly config?: string;
  readonly out?: string;
  readonly plot?: string;
  readonly json?: boolean;
  readonly range?: string;
}

export function addFit(command: Command): void {
  command.argument("<table>", "CSV file with a label column and numeric features; header and separator are detected");
  addSchemaOptions(command, fitSchema);
  command
    .option("--config <file>", "JSON file with settings; flags win over it")
    .option("--out <file>", "write the model as JSON, standardisation included")
    .option("--plot <file>", "with --folds: write cross-validated accuracies against radius, a curve per beta, as SVG")
    .option("--json", "print one JSON object on stdout")
    .addOption(new Option("--range <file>").hideHelp())
    .addHelpText(
      "after",
      `
Radius and distances are l2 lengths in the space the network sees: with --standardize train, one unit is one standard
deviation of each feature in this table (constant features are only centred); with --standardize none, the features' own units.
Two classes give one score f, positive for the label that is +1. More classes give one score each, trained jointly
(Weston-Watkins hinge on exact pairwise worst margins); their gap is 1e-2 unless --tolerance says otherwise.
With --loss squared the label column holds numbers: the mean squared worst error of the prediction is minimised, certified alike.
Columns of --immutable are seen by the network and cannot be changed by the adversary; certify uses the list stored in the model.
With --folds, every row is judged once by a network that has not seen it; the setting with the best exact robust accuracy
at --evaluation-radius is fitted to all rows. Its cross-validated share is that of a winner: a little too good.
Exit code 3: a limit was reached before the gap; the model is written and its gap is honest.`,
    )
    .action((file: string, flags: FitFlags & Record<string, unknown>) => run(file, flags));
}

/** What both trainers report. */
interface Trained {
  readonly model: PolynomialModel;
  readonly loss: string;
  readonly method: string;
  readonly objective: number;
  readonly lowerBound: number;
  readonly gap: number;
  readonly neurons: number;
  readonly iterations: number;
  readonly seconds: number;
  readonly backend: string;
  readonly status: string;
  readonly warnings: readonly Warning[];
}

async function run(file: string, flags: FitFlags & Record<string, unknown>): Promise<void> {
  if (flags.range !== undefined) {
    const hint =
      "fit without it: the ball contains the part of it that ranges leave, so the certificate holds there too; then worstcase certify --range";
    const expected = "--radius, --immutable and --ellipsoid for training";
    throw new UnsupportedError({ argument: "--range", expected, received: flags.range, hint });
  }
  const config = await resolveSettings(fitSchema, flags, flags.config);
  checkLists(config);
  await checkOutputFile(flags.out);
  await checkOutputFile(flags.plot, "--plot");
  if (flags.plot !== undefined && config.folds === undefined) {
    const hint = "accuracy against radius of a written model: worstcase certify --plot";
    throw new SettingError({ argument: "--plot", expected: "--folds", received: "none", hint });
  }
  if (config.loss === "squared") {
    await runFitTargets(file, config, flags);
    return;
  }
  const warnings: Warning[] = [];
  const table = await withFlagNames(() =>
    readTable(
      { path: file },
      {
        label: column(config.label),
        ignore: columns(config.ignore),
        missing: config.missing,
        onEvent: (event) => event.type === "warning" && warnings.push(event.warning),
      },
    ),
  );
  const [classes, labels] = orderClasses(table, config.positive);
  if (classes.length > mostClasses && config.timeLimit === undefined) {
    const hint =
      "a column of numbers is predicted with --loss squared; so many classes take long and need --time-limit";
    const expected = `at most ${mostClasses} different labels`;
    throw new DataError({ argument: "--label", expected, received: classes.length, hint });
  }
  const moves = await movesFor(config, table);
  const train = (inputs: NumericBatch, rows: Int32Array, setting: TrainConfig) =>
    classes.length === 2
      ? trainTwo(inputs, rows, setting, moves)
      : trainSeveral(inputs, rows, classes.length, setting, moves);
  const [crossValidation, trained, { radius, beta }] = await withFlagNames(() => {
    const validated = config.folds === undefined ? null : validate(table.inputs, labels, classes, config, train);
    const setting = validated?.chosen ?? { radius: config.radius[0]!, beta: config.beta[0]! };
    return [validated, train(table.inputs, labels, { ...config, ...setting }), setting] as const;
  });
  const { model: plain, warnings: more, ...result } = trained;
  const facts = {
    classes,
    positive: classes.length === 2 ? classes[1]! : null,
    features: table.featureNames,
    label: config.label,
    standardize: config.standardize,
    radius,
    radiusUnits: radiusUnits(plain),
    immutable: namesOfFixed(moves, table.featureNames),
    ellipsoid: config.ellipsoid ?? null,
    beta,
    ...result,
  };
  const notes = { ...facts, ...(config.ignore && { ignore: config.ignore }) };
  const { quadratics, standardisation } = plain;
  const model = new PolynomialModel({ quadratics, standardisation, moves, details: notes });
  const rows = labels.length;
  const predicted = model.predict(table.inputs);
  const radii = model.robustRadii(table.inputs, labels);
  const training = {
    accuracy: shareOf(rows, (i) => predicted[i] === labels[i]),
    robustAccuracy: shareOf(rows, (i) => predicted[i] === labels[i] && radii[i]! > radius),
  };
  if (flags.plot !== undefined && crossValidation) {
    const plot = pathPlot(crossValidation, basename(file), radiusUnits(plain));
    await writeOutputFile(flags.plot, await curvePlotSvg(plot), "--plot");
  }
  if (flags.out !== undefined) await writeOutputFile(flags.out, `${JSON.stringify(model)}\n`);
  const { features: _, ...shown } = facts;
  const report = {
    table: file,
    rows,
    features: model.features,
    ...shown,
    training,
    crossValidation,
    model: flags.out ?? null,
    plot: flags.plot ?? null,
  };
  const all = [...warnings, ...more];
  if (flags.json) process.stdout.write(`${JSON.stringify({ ...report, warnings: all })}\n`);
  else process.stdout.write(`${formatReport({ ...report, warnings: all })}\n`);
  process.exitCode = /optimal$/.test(result.status) ? exitCodes.done : exitCodes.limitReached;
}

function checkLists({ radius, beta, folds, evaluationRadius }: FitConfig): void {
  if (folds !== undefined) return;
  const hint = "or give --folds to choose among several by cross-validation";
  for (const [argument, { length }] of Object.entries({ "--radius": radius, "--beta": beta })) {
    if (length > 1) throw new SettingError({ argument, expected: "one value", received: `${length} values`, hint });
  }
  if (evaluationRadius !== undefined) {
    const argument = "--evaluation-radius";
    throw new SettingError({ argument, expected: "--folds beside it", received: evaluationRadius });
  }
}

function validate(
  inputs: NumericBatch,
  labels: Int32Array,
  classes: readonly string[],
  config: FitConfig,
  train: (inputs: NumericBatch, labels: Int32Array, setting: TrainConfig) => Trained,
): CrossValidation {
  return crossValidate(inputs, labels, {
    settings: config.radius.flatMap((radius) => config.beta.map((beta) => ({ radius, beta }))),
    ...{ folds: config.folds!, seed: config.seed, classes },
    evaluationRadius: config.evaluationRadius ?? Math.max(...config.radius),
    train: (part, rows, setting) => train(part, rows, { ...config, ...setting }),
  });
}

/** Class names in the order of the scores, and labels `[rows]` that count in it: of two, the one that is +1 comes second. */
function orderClasses(table: Table, positive: string | undefined): [string[], Int32Array] {
  const classes = [...table.classNames];
  if (positive === undefined) return [classes, table.labels];
  if (classes.length !== 2 || !classes.includes(positive)) {
    const expected = classes.length === 2 ? classes.join(" or ") : `two classes, not ${classes.length}`;
    throw new SettingError({ argument: "--positive", expected, received: positive });
  }
  if (classes[1] === positive) return [classes, table.labels];
  return [classes.reverse(), table.labels.map((label) => 1 - label)];
}

function trainTwo(inputs: NumericBatch, labels: Int32Array, config: TrainConfig, moves: MoveOptions): Trained {
  const { radius, beta, method, tolerance, timeLimit, backend } = config;
  const standardisation = config.standardize === "train" ? fitStandardisation(inputs) : null;
  const loss = `${config.reduction}-${config.loss}` as NonNullable<FitOptions["loss"]>;
  const fit = fitPolynomial(
    standardise(inputs, standardisation),
    Float64Array.from(labels, (label) => (label === 1 ? 1 : -1)),
    {
      ...{ radius, beta, loss, method, kernels: backend, ...moves },
      ...(tolerance !== undefined && { tolerance }),
      ...(timeLimit !== undefined && { timeLimitSeconds: timeLimit }),
    },
  );
  const { status, lowerBound, gap, iterations, seconds, warnings, kernels } = fit;
  const model = new PolynomialModel({ quadratics: [fit.quadratic], standardisation, moves });
  checkFinite(fit.objective.total, model);
  return {
    ...{ model, loss, method: fit.method },
    ...{ objective: fit.objective.total, lowerBound, gap, neurons: fit.neurons.weights.length, iterations, seconds },
    ...{ backend: kernels, status, warnings },
  };
}

function trainSeveral(
  inputs: NumericBatch,
  labels: Int32Array,
  classCount: number,
  config: TrainConfig,
  moves: MoveOptions,
): Trained {
  const { radius, beta, method, tolerance, timeLimit, backend, standardize } = config;
  const unsupported = (argument: string, expected: string, received: string) => {
    const hint = "the table has more than two classes";
    throw new UnsupportedError({ argument, expected, received, hint });
  };
  if (config.loss !== "hinge") unsupported("--loss", "hinge for several classes", config.loss);
  if (config.reduction !== "mean") unsupported("--reduction", "mean for several classes", config.reduction);
  if (method === "exact") unsupported("--method", "auto or factored for several classes", method);
  const fitted = PolynomialModel.fit(inputs, labels, {
    ...{ radius, beta, standardise: standardize, kernels: backend, classCount, ...moves },
    ...(tolerance !== undefined && { tolerance }),
    ...(timeLimit !== undefined && { timeLimitSeconds: timeLimit }),
  });
  const { objective, lowerBound, gap, networks, iterations, seconds, kernels, status, warnings } = fitted.fit;
  checkFinite(objective.total, fitted);
  const neurons = networks.reduce((sum, { weights }) => sum + weights.length, 0);
  return {
    ...{
      model: fitted,
      loss: `mean-hinge (${fitted.fit.loss})`,
      method: "joint",
      objective: objective.total,
      lowerBound,
    },
    ...{ gap, neurons, iterations, seconds, backend: kernels, status, warnings },
  };
}

/** Features of absurd size overflow, here or in the standardisation; such a model must not be written. */
function checkFinite(objective: number, { standardisation }: PolynomialModel): void {
  const numbers = [objective, ...(standardisation ? [...standardisation.means, ...standardisation.scales] : [])];
  const received = numbers.find((value) => !Number.isFinite(value));
  if (received === undefined) return;
  const hint = "the features are too large for float64; rescale them";
  throw new DataError({ argument: "table", expected: "features of moderate size", received, hint });
}

interface Report extends Omit<Trained, "model"> {
  readonly table: string;
  readonly rows: number;
  readonly features: number;
  readonly classes: readonly string[];
  readonly positive: string | null;
  readonly radius: number;
  readonly radiusUnits: string;
  readonly immutable: readonly string[];
  readonly ellipsoid: string | null;
  readonly training: { readonly accuracy: Accuracy; readonly robustAccuracy: Accuracy };
  readonly crossValidation: CrossValidation | null;
  readonly model: string | null;
}

function formatReport(report: Report): string {
  const { table, rows, features, classes, positive, radius, training, warnings, model } = report;
  const { status, objective, lowerBound, gap, neurons, iterations, seconds, backend, method } = report;
  return [
    `${table}: ${rows} rows, ${features} features, ${classes.length} classes (${classes.slice(0, 10).join(", ")})${positive === null ? "" : `; +1 is ${positive}`}`,
    `${status}: objective ${objective.toPrecision(8)}   lower bound ${lowerBound.toPrecision(8)}   gap ${gap.toExponential(1)}`,
    `${neurons} neurons   ${method} trainer   ${iterations} iterations   ${seconds.toFixed(2)} s   ${backend} kernels`,
    `training rows, clean:        ${formatAccuracy(training.accuracy)}`,
    `training rows, l2 radius ${radius}: ${formatAccuracy(training.robustAccuracy)}, exact`,
    `radius in ${report.radiusUnits}`,
    ...formatMoves(report),
    ...(report.crossValidation ? [formatPath(report.crossValidation)] : []),
    ...(model === null ? [] : [`written to ${model}`]),
    ...warnings.map(({ message, code }) => `warning: ${message} [${code}]`),
  ].join("\n");
}

function formatPath({ folds, evaluationRadius, path, chosen }: CrossValidation): string {
  const share = ({ value, interval: [lower, upper] }: Accuracy) =>
    `${percent(value)} (${percent(lower)} to ${percent(upper)})`;
  const rows = path.map(({ radius, beta, accuracy, robustAccuracy, worstGap }) => [
    `${radius}${radius === chosen.radius && beta === chosen.beta ? " *" : ""}`,
    ...[`${beta}`, share(accuracy), share(robustAccuracy), worstGap.toExponential(1)],
  ]);
  const header = ["radius", "beta", "accuracy", `exact at l2 ${evaluationRadius}`, "worst gap"];
  return `\n${folds}-fold cross-validation, percent with 95 % intervals; * chosen\n${formatTable(header, rows)}\n`;
}
