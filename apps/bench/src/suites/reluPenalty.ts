// The certified trainers against the paper's penalty trainer with ten times their processor time (relu/againstPenalty.ts), two UCI tables a suite.

import type { Suite } from "../harness/suite.js";
import { againstPenalty } from "./relu/againstPenalty.js";
import type { UciName } from "./relu/uciTables.js";

const radii = [0.01, 0.1];

const suite = (name: string, sets: readonly UciName[]): Suite => ({
  name,
  summary: `ReLU programs against the penalty trainer run ten times longer: ${sets.join(", ")}`,
  async run(context) {
    for (const set of context.quick ? sets.slice(0, 1) : sets) {
      for (const radius of radii) await againstPenalty(context, set, radius);
    }
  },
});

export const reluPenalty = suite("relu-penalty", ["Breast Cancer", "wdbc"]);
export const reluPenaltyWide = suite("relu-penalty-wide", ["Ionosphere", "Sonar"]);
