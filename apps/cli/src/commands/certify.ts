// `worstcase certify`: a model (or any quadratic) on a labelled table, row by row, exactly in l2 and certified in l-infinity.

import { DataError, SettingError, UnsupportedError, type Warning } from "@worstcase/core";
import { readTable, type Table } from "@worstcase/datasets";
import { chooseKernels } from "@worstcase/linalg";
import type { Command } from "commander";
import { addSchemaOptions, resolveSettings } from "../config/options.js";
import { type CertifyConfig, certifySchema, column, columns } from "../config/table.js";
import { formatAccuracy, shareOf } from "../table/accuracy.js";
import { type CertifiedRow, certifyRows, type LinfColumns } from "../table/certifyRows.js";
import { withFlagNames } from "../table/flagErrors.js";
import { radiusUnits, readModel, type StoredModel } from "../table/modelFile.js";
import { exitCodes } from "../terminal/exitCodes.js";

interface CertifyFlags {
  readonly config?: string;
  readonly json?: boolean;
}

export function addCertify(command: Command): void {
  command
    .argument("<model>", "JSON written by worstcase fit, or a bare quadratic {Q, q, s}: f(x) = x'Qx + q'x + s")
    .argument("<table>", "CSV file with a label column and the model's features, in its order");
  addSchemaOptions(command, certifySchema);
  command
    .option("--config <file>", "JSON file with settings; flags win over it")
    .option("--json", "print one JSON object on stdout, with one entry per row")
    .addHelpText(
      "after",
      `
Radii, distances and the l-infinity size are in the model's units: standard deviations of each feature in the training
table when the model standardises, else the features' own units ("radiusUnits" of the output says which).
Each row: score (two classes: f, positive for the second class; several: the label's score minus the largest other),
worstMargin (exact minimum of the label's margin over the l2 ball), boundaryDistance (l2 distance at which the prediction
changes, null where it never does), linfBound (certified lower bound of the margin over the box) and linfExact (its minimum;
null with more than --exact-features features or beyond --max-nodes boxes). A row is robust when its margin stays positive.
A bare quadratic may name "classes": [second argument of the sign last]; else the table's labels in ascending order.`,
    )
    .action((model: string, table: string, flags: CertifyFlags & Record<string, unknown>) => run(model, table, flags));
}

async function run(modelFile: string, file: string, flags: CertifyFlags & Record<string, unknown>): Promise<void> {
  const started = performance.now();
  const config = await resolveSettings(certifySchema, flags, flags.config);
  const stored = await readModel(modelFile);
  const { model, notes } = stored;
  const radius = config.radius ?? notes.radius;
  if (radius === undefined) {
    const hint = "this model does not say the radius it was trained for";
    throw new SettingError({ argument: "--radius", expected: "an l2 radius", received: "none", hint });
  }
  const warnings: Warning[] = [];
  const table = await readRows(file, config, stored);
  checkFeatures(file, table, stored);
  const [classes, labels] = matchClasses(file, table, stored);
  const kernels = chooseKernels(config.backend);
  const { rows, linf } = certifyRows(model, table.inputs, labels, {
    ...{ radius, exactFeatures: config.exactFeatures, maxNodes: config.maxNodes, kernels },
    epsilonInf: config.epsilonInf ?? null,
  });
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
  const facts = {
    ...{ model: modelFile, table: file, samples: rows.length, features: model.features, classes },
    ...{ positive: classes.length === 2 ? classes[1]! : null, radius, epsilonInf: config.epsilonInf ?? null },
    radiusUnits: radiusUnits(model),
    summary: summarise(rows, linf),
    backend: kernels.name,
    seconds: (performance.now() - started) / 1000,
    warnings,
  };
  if (flags.json) {
    const named = rows.map(({ label, predicted, ...row }) => ({
      ...{ row: row.row, label: classes[label], predicted: classes[predicted] },
      ...row,
    }));
    process.stdout.write(`${JSON.stringify({ ...facts, rows: named })}\n`);
  } else process.stdout.write(`${formatReport(facts)}\n`);
  process.exitCode = exitCodes.done;
}

function readRows(file: string, config: CertifyConfig, { notes }: StoredModel): Promise<Table> {
  const label = config.label ?? notes.label;
  return withFlagNames(() =>
    readTable(
      { path: file },
      {
        ...(label !== undefined && { label: column(label) }),
        ignore: columns(config.ignore ?? notes.ignore),
        missing: config.missing,
      },
    ),
  );
}

function checkFeatures(file: string, { featureNames }: Table, { model, notes }: StoredModel): void {
  const hint = "leave other columns out with --ignore and name the label with --label";
  if (featureNames.length !== model.features) {
    const expected = `the model's ${model.features} features`;
    throw new DataError({ argument: file, expected, received: featureNames.length, hint });
  }
  const k = notes.features?.findIndex((name, position) => name !== featureNames[position]) ?? -1;
  if (k < 0) return;
  throw new DataError({
    argument: `${file}, feature ${k}`,
    expected: notes.features![k]!,
    received: featureNames[k],
    hint,
  });
}

/** Class names of the model and the table's labels as indices into them. */
function matchClasses(
  file: string,
  { classNames, labels }: Table,
  { model, notes }: StoredModel,
): [readonly string[], Int32Array] {
  const classes = notes.classes ?? classNames;
  if (classes.length !== model.classCount) {
    const expected = `the model's ${model.classCount} classes`;
    const hint = "the model does not name its classes, so the table has to have all of them";
    throw new UnsupportedError({ argument: `${file}, labels`, expected, received: classes.length, hint });
  }
  const indices = classNames.map((name) => classes.indexOf(name));
  const unknown = indices.indexOf(-1);
  if (unknown >= 0) {
    const expected = `the model's classes ${classes.slice(0, 10).join(", ")}`;
    throw new DataError({ argument: `${file}, labels`, expected, received: classNames[unknown] });
  }
  return [classes, labels.map((label) => indices[label]!)];
}

function summarise(rows: readonly CertifiedRow[], linf: LinfColumns | null) {
  const share = (hit: (row: CertifiedRow, i: number) => boolean) => shareOf(rows.length, (i) => hit(rows[i]!, i));
  const correct = ({ label, predicted }: CertifiedRow) => label === predicted;
  const distances = rows.filter(correct).map(({ boundaryDistance }) => boundaryDistance ?? Number.POSITIVE_INFINITY);
  const median = distances.sort((a, b) => a - b)[Math.floor(distances.length / 2)];
  return {
    accuracy: share(correct),
    /** Exact: the label wins on the whole l2 ball. */
    l2Accuracy: share((row) => row.worstMargin > 0),
    /** Of rows classified correctly; null when that has no flip. */
    medianBoundaryDistance: median !== undefined && Number.isFinite(median) ? median : null,
    /** Lower and upper bound of the true l-infinity accuracy, equal where every row is decided. */
    linfCertified: linf && share((row) => row.linfBound! > 0 || (row.linfExact !== null && row.linfExact > 0)),
    linfUnbroken: linf && share((_, i) => linf.attacked[i]! > 0),
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
  readonly epsilonInf: number | null;
  readonly summary: ReturnType<typeof summarise>;
  readonly backend: string;
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

function formatReport(facts: Facts): string {
  const { model, table, samples, features, positive, radius, epsilonInf, summary, backend, seconds, warnings } = facts;
  const { accuracy, l2Accuracy, linfCertified, linfUnbroken, medianBoundaryDistance } = summary;
  return [
    `${model} on ${table}: ${samples} rows, ${features} features${positive === null ? "" : `; +1 is ${positive}`}`,
    `clean:                    ${formatAccuracy(accuracy)}`,
    `l2 ${radius}, exact: ${formatAccuracy(l2Accuracy)}`,
    ...(linfCertified ? [`l-infinity ${epsilonInf}, certified: ${formatAccuracy(linfCertified)}`] : []),
    ...(linfUnbroken ? [`l-infinity ${epsilonInf}, not broken: ${formatAccuracy(linfUnbroken)}`] : []),
    `median distance to the boundary, correct rows: ${medianBoundaryDistance?.toPrecision(4) ?? "none"}`,
    `radii in ${facts.radiusUnits}; rows with --json`,
    `${seconds.toFixed(2)} s   ${backend} kernels`,
    ...warnings.map(({ message, code }) => `warning: ${message} [${code}]`),
  ].join("\n");
}
