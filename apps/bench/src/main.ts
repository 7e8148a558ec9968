// bench [suite ...] [--quick] [--limit SECONDS] [--out FOLDER]: runs suites, prints tables, writes FOLDER/<suite>.json. Times never decide an exit code.

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine, load } from "./harness/machine.js";
import type { Group, Suite } from "./harness/suite.js";
import { formatGroup } from "./harness/table.js";
import { attackGaps } from "./suites/attackGap.js";
import { attackAgreement } from "./suites/attacks.js";
import { exact } from "./suites/exact.js";
import { features } from "./suites/features.js";
import { linalg } from "./suites/linalg.js";
import { oracle } from "./suites/oracle.js";
import { relu } from "./suites/relu.js";
import { reluCones, reluConesLarge } from "./suites/reluCones.js";
import { reluGaps } from "./suites/reluGaps.js";
import { reluLarge } from "./suites/reluLarge.js";
import { reluMethods } from "./suites/reluMethods.js";
import { reluPaths } from "./suites/reluPaths.js";
import { reluPenalty, reluPenaltySonar, reluPenaltyWide } from "./suites/reluPenalty.js";
import { reluScnn } from "./suites/reluScnn.js";
import { sdp } from "./suites/sdp.js";
import { splittingSuite } from "./suites/splitting.js";
import { throughput } from "./suites/throughput.js";
import { trainer } from "./suites/trainer.js";
import { trainerWide } from "./suites/trainerWide.js";

const suites: readonly Suite[] = [
  oracle,
  linalg,
  features,
  trainer,
  trainerWide,
  attackAgreement,
  attackGaps,
  exact,
  sdp,
  splittingSuite,
  relu,
  reluGaps,
  reluCones,
  reluConesLarge,
  reluPaths,
  reluScnn,
  reluPenalty,
  reluPenaltyWide,
  reluPenaltySonar,
  reluMethods,
  reluLarge,
  throughput,
];
const packages = [
  ...["@worstcase/linalg", "@worstcase/polynomial", "@worstcase/relu", "@worstcase/resnet", "@worstcase/tensor"],
  ...["ml-matrix", "@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-wasm"],
];

async function runSuite(suite: Suite, quick: boolean, limitSeconds: number, folder: string | null): Promise<void> {
  const groups: Group[] = [];
  const skipped: { what: string; reason: string }[] = [];
  console.log(`\n== ${suite.name}: ${suite.summary}\n`);
  const before = load();
  // written after every group, so that an interrupted run keeps what is finished
  const write = () => {
    if (!folder) return;
    const record = {
      suite: suite.name,
      summary: suite.summary,
      quick,
      date: new Date().toISOString().slice(0, 10),
      machine: describeMachine(packages),
      load: { before, after: load() },
      groups,
      skipped,
    };
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `${suite.name}.json`);
    writeFileSync(`${file}.part`, `${JSON.stringify(record, null, 2)}\n`);
    renameSync(`${file}.part`, file);
  };
  await suite.run({
    quick,
    limitSeconds,
    report(group) {
      groups.push(group);
      console.log(`${formatGroup(group)}\n`);
      write();
    },
    skip(what, reason) {
      skipped.push({ what, reason });
      console.log(`skipped ${what}: ${reason}\n`);
      write();
    },
  });
  if (!folder) return;
  const file = path.relative(process.cwd(), path.join(folder, `${suite.name}.json`));
  console.log(`load ${before} before, ${load()} after; written to ${file}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      limit: { type: "string", default: "60" },
      out: { type: "string" },
    },
  });
  const limit = Number(values.limit);
  if (!(limit > 0)) {
    console.error(`--limit: expected seconds, got ${values.limit}`);
    return 1;
  }
  const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`no suite ${unknown.join(", ")}; there are ${suites.map(({ name }) => name).join(", ")}`);
    return 1;
  }
  // quick runs are no measurements: without --out they are not written
  const results = values.quick ? null : fileURLToPath(new URL("../results", import.meta.url));
  const folder = values.out ? path.resolve(values.out) : results;
  for (const suite of suites) {
    if (positionals.length === 0 || positionals.includes(suite.name))
      await runSuite(suite, values.quick, limit, folder);
  }
  return 0;
}

process.exitCode = await main();
