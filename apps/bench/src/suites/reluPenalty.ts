// The certified trainers against the paper's penalty trainer with ten times their processor time (relu/againstPenalty.ts), in suites of a few
// minutes each. At radius 0.1 on the 60 features of Sonar over a hundred neurons flip inside a ball, a node of the branching takes seconds, and
// few of them are afforded: true objectives and worst cases are wider intervals there.

import type { Suite } from "../harness/suite.js";
import { againstPenalty } from "./relu/againstPenalty.js";
import type { UciName } from "./relu/uciTables.js";

type Part = readonly [set: UciName, radius: number, nodes?: number];

const suite = (name: string, parts: readonly Part[]): Suite => ({
  name,
  summary: `ReLU programs against the penalty trainer run ten times longer: ${parts.map(([set, radius]) => `${set} at ${radius}`).join(", ")}`,
  async run(context) {
    for (const part of context.quick ? parts.slice(0, 2) : parts) await againstPenalty(context, ...part);
  },
});

export const reluPenalty = suite("relu-penalty", [
  ["Breast Cancer", 0.01],
  ["Breast Cancer", 0.1],
  ["wdbc", 0.01],
  ["wdbc", 0.1],
]);
export const reluPenaltyWide = suite("relu-penalty-wide", [
  ["Ionosphere", 0.01],
  ["Ionosphere", 0.1],
  ["Sonar", 0.01],
]);
export const reluPenaltySonar = suite("relu-penalty-sonar", [["Sonar", 0.1, 4]]);
