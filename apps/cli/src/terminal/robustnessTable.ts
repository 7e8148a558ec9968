// The table of a robustify run. Attacked cells hold one number per epsilon; every number says what it is in the legend.

import type { Accuracy } from "@worstcase/attacks";
import type { Evaluation, HeadResult } from "../pipeline/evaluation.js";
import { formatTable, percent } from "./table.js";

const columns = [
  ["FGSM", "fgsm margin"],
  ["PGD margin", "pgd margin"],
  ["PGD cross-entropy", "pgd cross-entropy"],
  ["through gates", "pgd margin, surrogate"],
  ["transfer", "transfer from backbone head"],
] as const;

export function formatEvaluation(evaluation: Evaluation): string {
  const budgets = evaluation.epsilons.map((epsilon) => Number((epsilon * 255).toPrecision(4))).join(" / ");
  const shown = columns.filter(([, attack]) => evaluation.heads.some((head) => head.attacked[attack]));
  const header = [
    "head",
    "clean",
    ...shown.map(([title]) => title),
    "worst per image",
    "feature l2",
    "gap",
    "training s",
  ];
  const rows = evaluation.heads.map((head) => [
    head.name,
    percent(head.clean.value),
    ...shown.map(([, attack]) => cell(head.attacked[attack])),
    cell(head.worst),
    `${percent(head.featureSpace.accuracy.value)}${head.featureSpace.kind === "exact" ? "" : " *"}`,
    head.training ? head.training.gap.toExponential(1) : "-",
    head.training ? head.training.seconds.toFixed(1) : "-",
  ]);
  const joint = evaluation.heads
    .map(({ training }) => training?.multiclass)
    .find((multiclass) => multiclass && multiclass !== "one-vs-all");
  const radius = evaluation.heads[0]?.featureSpace.radius;
  const lines = [
    `${evaluation.backbone.id} on ${evaluation.data.id}: ${evaluation.data.test} test images, heads trained on ${evaluation.data.train}; accuracy in percent`,
    `attacked at ${budgets} of 255 (l-infinity, pixels): upper bounds on robust accuracy`,
    "",
    formatTable(header, rows),
    "",
    `clean: accuracy without attack (95 % interval about +-${percent(halfWidth(evaluation.heads))} points)`,
    "worst per image: an image counts as robust when no attack of its row breaks it",
    `feature l2: exact accuracy of the argmax on balls of radius ${radius} mean feature norms around the features (* certified lower bound)`,
    "gap: certified relative distance of the training objective from the global optimum, largest over classes trained one by one",
    ...(joint ? [`polynomial heads: all classes trained together (${joint})`] : []),
  ];
  const warnings = evaluation.heads.flatMap((head) =>
    head.warnings.map((warning) => `warning (${head.name}): ${warning.message} [${warning.code}]`),
  );
  const general = evaluation.warnings.map((warning) => `warning: ${warning.message} [${warning.code}]`);
  return [...lines, ...(warnings.length + general.length > 0 ? ["", ...general, ...warnings] : [])].join("\n");
}

function cell(accuracies: readonly Accuracy[] | undefined): string {
  return accuracies ? accuracies.map((accuracy) => percent(accuracy.value)).join(" / ") : "-";
}

function halfWidth(heads: readonly HeadResult[]): number {
  return Math.max(...heads.map(({ clean }) => (clean.interval[1] - clean.interval[0]) / 2));
}
