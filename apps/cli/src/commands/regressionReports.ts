// What `fit --loss squared` and `certify` print about models that predict numbers.

import { SettingError } from "@worstcase/core";
import type { Kernels } from "@worstcase/linalg";
import type { CertifyConfig, FitConfig } from "../config/table.js";
import { writeOutputFile } from "../run/outputFile.js";
import { radiusUnits, type StoredModel } from "../table/modelFile.js";
import { formatMoves, movesFor, namesOfFixed } from "../table/moves.js";
import { readTargets } from "../table/readRows.js";
import { certifyTargets, type ErrorSummary, fitTargets } from "../table/regression.js";
import { exitCodes } from "../terminal/exitCodes.js";

interface Flags {
  readonly out?: string;
  readonly plot?: string;
  readonly json?: boolean;
}

export async function runFitTargets(file: string, config: FitConfig, flags: Flags): Promise<void> {
  refusePlot(flags);
  const { model, facts } = await fitTargets(file, config);
  if (flags.out !== undefined) await writeOutputFile(flags.out, `${JSON.stringify(model)}\n`);
  const report = { table: file, features: model.features, ...facts, model: flags.out ?? null };
  const { status, objective, lowerBound, gap, neurons, seconds, warnings } = report;
  const { rows, radiusUnits: units, training } = report;
  const lines = [
    `${file}: ${rows} rows, ${model.features} features, a number to predict`,
    `${status}: objective ${num(objective)}   lower bound ${num(lowerBound)}   gap ${gap.toExponential(1)}`,
    `${neurons} neurons   exact trainer   ${seconds.toFixed(2)} s`,
    ...errorLines(training, "training rows"),
    `radius in ${units}`,
    ...formatMoves(report),
    ...(flags.out === undefined ? [] : [`written to ${flags.out}`]),
    ...warnings.map(({ message, code }) => `warning: ${message} [${code}]`),
  ];
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : `${lines.join("\n")}\n`);
  process.exitCode = /optimal$/.test(facts.status) ? exitCodes.done : exitCodes.limitReached;
}

/** Throws DataError as `readRows`. */
export async function runCertifyTargets(
  names: { readonly model: string; readonly table: string },
  stored: StoredModel,
  config: CertifyConfig,
  settings: { readonly radius: number; readonly kernels: Kernels; readonly started: number },
  flags: Flags,
): Promise<void> {
  refusePlot(flags);
  const { radius, kernels, started } = settings;
  const { inputs, targets, table } = await readTargets(names.table, config, stored);
  const moves = await movesFor(config, table, stored.model.moves);
  const epsilonInf = config.epsilonInf ?? null;
  const { rows, summary } = certifyTargets(stored.model, inputs, targets, { radius, epsilonInf, kernels, moves });
  const facts = {
    ...{ model: names.model, table: names.table, task: "regression", samples: rows.length },
    ...{ features: stored.model.features, radius, epsilonInf, radiusUnits: radiusUnits(stored.model), summary },
    immutable: namesOfFixed(moves, table.featureNames),
    ...{ backend: kernels.name, seconds: (performance.now() - started) / 1000, warnings: [] },
  };
  const lines = [
    `${names.model} on ${names.table}: ${rows.length} rows, ${stored.model.features} features, a number to predict`,
    ...(summary ? errorLines(summary, `rows at l2 ${radius}`) : ["no targets: no errors"]),
    `radii in ${facts.radiusUnits}; rows with --json`,
  ];
  process.stdout.write(flags.json ? `${JSON.stringify({ ...facts, rows })}\n` : `${lines.join("\n")}\n`);
  process.exitCode = exitCodes.done;
}

function errorLines(summary: ErrorSummary, rows: string): string[] {
  const { rootMeanSquareError, rootMeanSquareWorstError, largestWorstError, explained } = summary;
  return [
    `${rows}: root mean square error ${num(rootMeanSquareError)}${explained === null ? "" : ` (${(100 * explained).toFixed(1)} % explained)`}`,
    `${rows}, largest error on every ball: root mean square ${num(rootMeanSquareWorstError)}, most ${num(largestWorstError)}, exact`,
  ];
}

function refusePlot({ plot }: Flags): void {
  if (plot === undefined) return;
  const hint = "plots show accuracies; this model predicts numbers";
  throw new SettingError({ argument: "--plot", expected: "a model of classes", received: plot, hint });
}

const num = (value: number) => value.toPrecision(7);
