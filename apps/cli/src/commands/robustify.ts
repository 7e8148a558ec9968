// `worstcase robustify`: retrain the last layers of a backbone robustly and print what that bought.

import { homedir } from "node:os";
import { join } from "node:path";
import { SettingError } from "@worstcase/core";
import type { Command } from "commander";
import { addSchemaOptions, checkSettings, checkUnchanged, resolveSettings } from "../config/options.js";
import { completeConfig, type RobustifyConfig, robustifySchema } from "../config/robustify.js";
import type { Evaluation } from "../pipeline/evaluation.js";
import { planRun } from "../pipeline/plan.js";
import { robustify } from "../pipeline/robustify.js";
import { RunFolder } from "../run/runFolder.js";
import { exitCodes } from "../terminal/exitCodes.js";
import { formatEvaluation } from "../terminal/robustnessTable.js";
import { runWithProgress } from "../terminal/runWithProgress.js";

interface RunFlags {
  readonly config?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function addRobustify(command: Command): void {
  addSchemaOptions(command, robustifySchema);
  command
    .option("--config <file>", "JSON file with settings; flags win over it")
    .option("--out <folder>", "run folder (default: runs/<data>-<backbone>-<time>)")
    .option("--resume <folder>", "continue a run that was stopped, with the settings it was started with")
    .option("--dry-run", "print settings, sizes, memory and a time estimate, and stop")
    .option("--json", "print one JSON object on stdout, everything else on stderr")
    .action((flags: RunFlags & Record<string, unknown>) => run(flags));
}

async function run(flags: RunFlags & Record<string, unknown>): Promise<void> {
  for (const name of ["out", "config"] as const) {
    if (flags.resume === undefined || flags[name] === undefined) continue;
    const expected = `no --${name} together with --resume`;
    throw new SettingError({ argument: `--${name}`, expected, received: flags[name] });
  }
  const stored = flags.resume === undefined ? null : await RunFolder.open(flags.resume);
  const settings = stored
    ? checkSettings(robustifySchema, stored.config)
    : await resolveSettings(robustifySchema, flags, flags.config);
  const config = completeConfig(settings);
  if (stored) {
    checkUnchanged(robustifySchema, config, flags, (values) => completeConfig(checkSettings(robustifySchema, values)));
  }
  if (flags.dryRun) return printPlan(config, flags.json === true);
  const folder = stored?.folder ?? (await RunFolder.create(flags.out ?? defaultFolder(config), config));
  const cacheDir = config.cacheDir ?? join(homedir(), ".cache", "worstcase");
  const evaluation = await runWithProgress(folder, (tools) => robustify(config, folder, { ...tools, cacheDir }));
  process.stdout.write(
    flags.json ? `${JSON.stringify(evaluation)}\n` : `\n${formatEvaluation(evaluation)}\n\nwritten to ${folder.path}\n`,
  );
  process.exitCode = exitCodeOf(evaluation);
}

function exitCodeOf(evaluation: Evaluation): number {
  return evaluation.heads.every(({ training }) => training?.solved ?? true) ? exitCodes.done : exitCodes.limitReached;
}

function defaultFolder(config: RobustifyConfig): string {
  const time = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  return join("runs", `${config.data}-${config.backbone}-${time}`);
}

async function printPlan(config: RobustifyConfig, json: boolean): Promise<void> {
  const plan = await planRun(config);
  if (json) process.stdout.write(`${JSON.stringify({ config, plan })}\n`);
  else {
    const lines = Object.entries(config).map(
      ([name, value]) => `${name.padEnd(18)}  ${Array.isArray(value) ? value.join(", ") : value}`,
    );
    const facts = plan.map(
      ({ step, size, memoryMiB, seconds }) =>
        `${step.padEnd(34)}  ${size.padEnd(34)}  ${memoryMiB.toFixed(0).padStart(6)} MiB  about ${seconds.toFixed(0)} s`,
    );
    const total = plan.reduce((sum, step) => sum + step.seconds, 0);
    process.stdout.write(
      `${[...lines, "", ...facts, "", `about ${Math.ceil(total / 60)} min in all on this machine`].join("\n")}\n`,
    );
  }
}
