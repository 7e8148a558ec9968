// `worstcase certify`: a model (or any quadratic) on a labelled table, row by row, exactly in l2 and certified in l-infinity.

import { basename } from "node:path";
import { DataError, SettingError, type Warning } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import type { Command } from "commander";
import { addSchemaOptions, resolveSettings } from "../config/options.js";
import { certifySchema } from "../config/table.js";
import { curvePlotSvg } from "../plot/curvePlot.js";
import { checkOutputFile, writeOutputFile } from "../run/outputFile.js";
import { formatAccuracy, shareOf } from "../table/accuracy.js";
import { accuracyCurves } from "../table/accuracyCurves.js";
import { type CertifiedRow, certifyRows, type MarginColumns } from "../table/certifyRows.js";
import { withFlagNames } from "../table/flagErrors.js";
import { radiusUnits, readModel } from "../table/modelFile.js";
import { formatMoves, movesFor, namesOfFixed } from "../table/moves.js";
import { readRange } from "../table/ranges.js";
import { readRows } from "../table/readRows.js";
import { exitCodes } from "../terminal/exitCodes.js";
import { runCertifyTargets } from "./regressionReports.js";

interface CertifyFlags {
  readonly config?: string;
  readonly json?: boolean;
  readonly plot?: string;
}

export function addCertify(command: Command): void {
  command
    .argument("<model>", "JSON written by worstcase fit, or a bare quadratic {Q, q, s}: f(x) = x'Qx + q'x + s")
    .argument("<table>", "CSV file with the model's features, in its order, and a label column if there are labels");
  addSchemaOptions(command, certifySchema);
  command
    .option("--config <file>", "JSON file with settings; flags win over it")
    .option("--plot <file>", "write accuracy against radius as SVG: clean, exact l2, certified and exact l-infinity")
    .option("--json", "print one JSON object on stdout, with one entry per row")
    .addHelpText(
      "after",
      `
Radii, distances and the l-infinity size are in the model's units: standard deviations of each feature in the training
table when the model standardises, else the features' own units ("radiusUnits" of the output says which).
Each row: score (two classes: f, positive for the second class; several: the label's score minus the largest other),
worstMargin (exact minimum of the label's margin over the l2 ball), boundaryDistance (l2 distance at which the prediction
changes, null where it never does), linfBound (certified lower bound of the margin over the box) and linfExact (its minimum;
null where the first box with more than --exact-features features, or --max-nodes boxes, did not find it). A row is robust when its margin stays positive.
Columns that the model names as immutable (or --immutable) stay as they are in every margin and distance, l2 and l-infinity; with
--ellipsoid worstMargin is over L z, |z| <= radius, and boundaryDistance the least |z| (the l-infinity columns keep their box).
With --range, rangeBound is a certified lower bound of the margin over the part of the l2 ball whose values are valid, rangeExact its
minimum where branch and bound found it (else null), and the l-infinity box is cut to the ranges too.
A table of just the model's features (or --label none) has no labels: margins and robustness are then those of the predicted
class, and no accuracies are given.
Models of fit --loss squared: rows hold target, prediction, its exact range on the l2 ball (lowest, highest), worstError and the
certified range on the box (linfLowest, linfHighest); the target column may be missing.
A bare quadratic may name "classes": [second argument of the sign last]; else the table's labels in ascending order.`,
    )
    .action((model: string, table: string, flags: CertifyFlags & Record<string, unknown>) => run(model, table, flags));
}

async function run(modelFile: string, file: string, flags: CertifyFlags & Record<string, unknown>): Promise<void> {
  const started = performance.now();
  await checkOutputFile(flags.plot, "--plot");
  const config = await resolveSettings(certifySchema, flags, flags.config);
  const stored = await readModel(modelFile);
  const { model, notes } = stored;
  const radius = config.radius ?? notes.radius;
  if (radius === undefined) {
    const hint = "this model does not say the radius it was trained for";
    throw new SettingError({ argument: "--radius", expected: "an l2 radius", received: "none", hint });
  }
  if (notes.task === "regression") {
    if (config.range !== undefined) {
      const hint = "ranges are for models of classes";
      throw new SettingError({ argument: "--range", expected: "a model of classes", received: config.range, hint });
    }
    const settings = { radius, kernels: chooseKernels(config.backend), started };
    await runCertifyTargets({ model: modelFile, table: file }, stored, config, settings, flags);
    return;
  }
  const warnings: Warning[] = [];
  const { inputs, classes, labels, table: columns } = await readRows(file, config, stored);
  const moves = await movesFor(config, columns, model.moves);
  if (flags.plot !== undefined && labels === null) {
    const hint = "accuracy needs labels";
    throw new DataError({ argument: "--plot", expected: "a table with labels", received: file, hint });
  }
  const kernels = chooseKernels(config.backend);
  const range = config.range === undefined ? null : await readRange(config.range, columns, model, moves);
  const { rows, linf, ranged } = await withFlagNames(() =>
    certifyRows(model, inputs, labels ?? model.predict(inputs), {
      ...{ radius, exactFeatures: config.exactFeatures, maxNodes: config.maxNodes, kernels, moves },
      ...{ epsilonInf: config.epsilonInf ?? null, range },
    }),
  );
  const unfinite = rows.find(({ score, worstMargin }) => !Number.isFinite(score) || !Number.isFinite(worstMargin));
  if (unfinite) {
    const hint = "the numbers of this row are too large for float64";
    const argument = `${file}, row ${unfinite.row} (from 0)`;
    throw new DataError({ argument, expected: "a finite margin", received: unfinite.worstMargin, hint });
  }
  const undecided = rows.filter(({ linfExact }) => linf && linfExact === null).length;
  if (undecided > 0 && model.features <= config.exactFeatures) {
    const message = `branch and bound stopped after ${config.maxNodes} boxes on ${undecided} rows`;
    warnings.push({ code: "node-limit", message });
  }
  const units = radiusUnits(model);
  if (flags.plot !== undefined && labels !== null) {
    const { exactFeatures, maxNodes, plotRadius: largest } = config;
    const drawn = accuracyCurves(model, inputs, labels, { largest, exactFeatures, maxNodes, kernels, moves });
    if (drawn.undecided > 0) {
      const message = `branch and bound stopped ${drawn.undecided} times for the plot; those rows count as not robust`;
      warnings.push({ code: "node-limit", message });
    }
    const { radius: trained } = notes;
    const marks = trained !== undefined && trained > 0 && trained <= drawn.largest ? [trained] : [];
    const svg = await curvePlotSvg({
      title: `Accuracy on ${basename(file)} against the size of the perturbation`,
      subtitle: `${basename(modelFile)}, ${rows.length} rows; bands: 95 % Wilson intervals`,
      xLabel: `radius, in ${units}`,
      yLabel: "accuracy",
      curves: drawn.curves,
      marks: marks.map((x) => ({ x, label: "trained, l2" })),
    });
    await writeOutputFile(flags.plot, svg, "--plot");
  }
  const facts = {
    ...{ model: modelFile, table: file, samples: rows.length, features: model.features, classes },
    ...{ positive: classes.length === 2 ? classes[1]! : null, radius, epsilonInf: config.epsilonInf ?? null },
    radiusUnits: units,
    immutable: namesOfFixed(moves, columns.featureNames),
    ellipsoid:
      config.ellipsoid === undefined
        ? moves.ellipsoid
          ? "the model"
          : null
        : moves.ellipsoid
          ? config.ellipsoid
          : null,
    range: config.range ?? null,
    summary: summarise(rows, linf, ranged, labels !== null, radius),
    plot: flags.plot ?? null,
    backend: kernels.name,
    seconds: (performance.now() - started) / 1000,
    warnings,
  };
  if (flags.json) {
    const named = rows.map(({ label, predicted, ...row }) => ({
      ...{ row: row.row, label: labels === null ? null : classes[label], predicted: classes[predicted] },
      ...row,
    }));
    process.stdout.write(`${JSON.stringify({ ...facts, rows: named })}\n`);
  } else process.stdout.write(`${formatReport(facts)}\n`);
  process.exitCode = exitCodes.done;
}

/** Shares need labels; without them only how many predictions hold. */
function summarise(
  rows: readonly CertifiedRow[],
  linf: MarginColumns | null,
  ranged: MarginColumns | null,
  labelled: boolean,
  radius: number,
) {
  const share = (hit: (row: CertifiedRow, i: number) => boolean) => shareOf(rows.length, (i) => hit(rows[i]!, i));
  const correct = ({ label, predicted }: CertifiedRow) => label === predicted;
  const distances = rows.filter(correct).map(({ boundaryDistance }) => boundaryDistance ?? Number.POSITIVE_INFINITY);
  const median = distances.sort((a, b) => a - b)[Math.floor(distances.length / 2)];
  const certified = linf && share((row) => row.linfBound! > 0 || (row.linfExact !== null && row.linfExact > 0));
  return {
    accuracy: labelled ? share(correct) : null,
    /** Exact: the label wins on the whole l2 ball. */
    l2Accuracy: labelled ? share((row) => row.worstMargin > 0) : null,
    /** Share of predictions, right or wrong, that hold on the whole l2 ball. */
    l2Constant: share(({ boundaryDistance }) => boundaryDistance === null || boundaryDistance > radius),
    /** Of rows classified correctly; null when that has no flip. */
    medianBoundaryDistance: median !== undefined && Number.isFinite(median) ? median : null,
    /** Lower and upper bound of the true l-infinity accuracy, equal where every row is decided. */
    linfCertified: labelled ? certified : null,
    /** The same for the l2 ball cut with the valid ranges. */
    rangeCertified: labelled && ranged ? share((_, i) => ranged.bounds[i]! > 0) : null,
    rangeUnbroken: labelled && ranged ? share((_, i) => ranged.attacked[i]! > 0) : null,
    linfUnbroken: labelled && linf ? share((_, i) => linf.attacked[i]! > 0) : null,
  };
}

interface Facts {
  readonly model: string;
  readonly table: string;
  readonly samples: number;
  readonly features: number;
  readonly positive: string | null;
  readonly radius: number;
  readonly radiusUnits: string;
  readonly immutable: readonly string[];
  readonly ellipsoid: string | null;
  readonly epsilonInf: number | null;
  readonly summary: ReturnType<typeof summarise>;
  readonly plot: string | null;
  readonly backend: string;
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

function formatReport(facts: Facts): string {
  const { model, table, samples, features, positive, radius, epsilonInf, summary, backend, seconds, warnings } = facts;
  const { accuracy, l2Accuracy, l2Constant, linfCertified, linfUnbroken, medianBoundaryDistance } = summary;
  const { rangeCertified, rangeUnbroken } = summary;
  return [
    `${model} on ${table}: ${samples} rows, ${features} features${positive === null ? "" : `; +1 is ${positive}`}`,
    ...(accuracy ? [`clean:                    ${formatAccuracy(accuracy)}`] : ["no labels: no accuracies"]),
    ...(l2Accuracy ? [`l2 ${radius}, exact: ${formatAccuracy(l2Accuracy)}`] : []),
    `predictions that hold at l2 ${radius}, exact: ${formatAccuracy(l2Constant)}`,
    ...(linfCertified ? [`l-infinity ${epsilonInf}, certified: ${formatAccuracy(linfCertified)}`] : []),
    ...(linfUnbroken ? [`l-infinity ${epsilonInf}, not broken: ${formatAccuracy(linfUnbroken)}`] : []),
    ...(rangeCertified ? [`l2 ${radius} in the ranges, certified: ${formatAccuracy(rangeCertified)}`] : []),
    ...(rangeUnbroken ? [`l2 ${radius} in the ranges, not broken: ${formatAccuracy(rangeUnbroken)}`] : []),
    `median distance to the boundary, ${accuracy ? "correct" : "all"} rows: ${medianBoundaryDistance?.toPrecision(4) ?? "none"}`,
    `radii in ${facts.radiusUnits}; rows with --json`,
    ...formatMoves(facts),
    ...(facts.plot === null ? [] : [`plot written to ${facts.plot}`]),
    `${seconds.toFixed(2)} s   ${backend} kernels`,
    ...warnings.map(({ message, code }) => `warning: ${message} [${code}]`),
  ].join("\n");
}
