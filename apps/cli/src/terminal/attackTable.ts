// The table of `worstcase attack`: one line per model and epsilon.

import type { Norm } from "@worstcase/core";
import type { AttackReport, AttackRow } from "../pipeline/attack.js";
import { formatTable, percent } from "./table.js";

export function formatAttackReport({ rows, backbone, data }: AttackReport): string {
  const { norm, suite } = rows[0]!;
  const titles = [...new Set(rows.flatMap(({ attacks }) => attacks.map(({ name }) => name)))];
  const beside = [...new Set(rows.flatMap(({ compared }) => compared.map(({ name }) => name)))];
  const header = [
    "model",
    "epsilon",
    "clean",
    ...beside,
    ...titles,
    "suite",
    "95 %",
    "forward",
    "gradient",
    "s",
    "masking",
  ];
  const unit = norm === "linf" ? "l-infinity, pixels in [0, 1]" : `${norm}, pixels in [0, 1]`;
  const choices = [...new Set(rows.flatMap((row) => row.suite.choices))];
  const warnings = rows.flatMap((row) =>
    row.warnings.map(({ message, code }) => `warning (${row.model}): ${message} [${code}]`),
  );
  return [
    `${backbone.id} on ${data.id}: ${data.test} test images; preset ${suite.preset}, ${unit}; accuracy in percent`,
    "",
    formatTable(
      header,
      rows.flatMap((row) => linesOf(row, beside, titles)),
    ),
    "",
    ...(beside.length > 0
      ? [`${beside.join(", ")}: on all images, with the cross-entropy, not part of the suite`]
      : []),
    "attacks: accuracy after the attack and all before it, each on the images that survived; upper bounds on robust accuracy",
    "95 %: Wilson interval of the suite; forward, gradient: images given to the model, over all epsilons; masking: codes of warnings",
    ...choices.map((choice) => `suite: ${choice}`),
    ...(warnings.length > 0 ? ["", ...warnings] : []),
  ].join("\n");
}

function linesOf(row: AttackRow, beside: readonly string[], titles: readonly string[]): string[][] {
  return row.epsilons.map((epsilon, e) => {
    const { value, interval } = row.suite.accuracy[e]!;
    const find = (from: AttackRow["attacks"], titles: readonly string[]) =>
      titles.map((title) => from.find(({ name }) => name === title)?.accuracy[e]?.value ?? null);
    const first = e === 0;
    return [
      first ? row.model : "",
      formatEpsilon(epsilon, row.norm),
      percent(row.clean.value),
      ...[...find(row.compared, beside), ...find(row.attacks, titles)].map(percent),
      percent(value),
      interval.map(percent).join(" - "),
      ...(first ? [String(row.calls.forward), String(row.calls.gradient), row.seconds.toFixed(1)] : ["", "", ""]),
      first ? (row.masking.suspected ? row.masking.codes.join(" ") : "no") : "",
    ];
  });
}

/** Budgets in l-infinity as multiples of 1/255 where they are. */
function formatEpsilon(epsilon: number, norm: Norm): string {
  const levels = Math.round(epsilon * 255e6) / 1e6;
  return norm === "linf" && Number.isInteger(levels) ? `${levels}/255` : String(Number(epsilon.toPrecision(4)));
}
