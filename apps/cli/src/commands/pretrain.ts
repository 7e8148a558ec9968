// `worstcase pretrain`: train a backbone from scratch.

import { join } from "node:path";
import { SettingError } from "@worstcase/core";
import type { Command } from "commander";
import { addSchemaOptions, checkSettings, resolveSettings } from "../config/options.js";
import { pretrainSchema } from "../config/pretrain.js";
import { type PretrainReport, pretrain } from "../pipeline/pretrain.js";
import { RunFolder } from "../run/runFolder.js";
import { exitCodes } from "../terminal/exitCodes.js";
import { runWithProgress } from "../terminal/runWithProgress.js";
import { percent } from "../terminal/table.js";

interface PretrainFlags {
  readonly config?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
}

export function addPretrain(command: Command): void {
  addSchemaOptions(command, pretrainSchema);
  command
    .option("--config <file>", "JSON file with settings; flags win over it")
    .option("--out <folder>", "run folder (default: runs/pretrain-<data>-<time>)")
    .option("--resume <folder>", "continue after the last finished epoch, with the settings the run was started with")
    .option("--json", "print one JSON object on stdout, everything else on stderr")
    .action((flags: PretrainFlags & Record<string, unknown>) => run(flags));
}

async function run(flags: PretrainFlags & Record<string, unknown>): Promise<void> {
  if (flags.resume !== undefined && flags.out !== undefined) {
    throw new SettingError({ argument: "--out", expected: "no --out together with --resume", received: flags.out });
  }
  const stored = flags.resume === undefined ? null : await RunFolder.open(flags.resume);
  const config = stored
    ? checkSettings(pretrainSchema, stored.config)
    : await resolveSettings(pretrainSchema, flags, flags.config);
  const time = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  const folder =
    stored?.folder ?? (await RunFolder.create(flags.out ?? join("runs", `pretrain-${config.data}-${time}`), config));
  const report = await runWithProgress(folder, (tools) => pretrain(config, folder, tools));
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : formatReport(report));
  process.exitCode = report.status === "finished" ? exitCodes.done : exitCodes.otherOutcome;
}

function formatReport({ status, weights, epochs, validationAccuracy }: PretrainReport): string {
  const rows = epochs.map(
    ({ epoch, loss, accuracy, validationAccuracy: validation, imagesPerSecond }) =>
      `epoch ${epoch}: loss ${loss.toFixed(4)}  train ${percent(accuracy)} %  validation ${percent(validation)} %  ${imagesPerSecond.toFixed(0)} images/s`,
  );
  return `${[...rows, `${status}: ${percent(validationAccuracy)} % on validation images`, `weights in ${weights}`].join("\n")}\n`;
}
