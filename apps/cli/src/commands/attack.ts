// `worstcase attack`: the standard suite of attacks on saved heads, as a table or as leaderboard rows.

import { join } from "node:path";
import { SettingError } from "@worstcase/core";
import type { Command } from "commander";
import { attackSchema, checkAttack } from "../config/attack.js";
import { addSchemaOptions, checkSettings, checkUnchanged, resolveSettings } from "../config/options.js";
import { attack } from "../pipeline/attack.js";
import { RunFolder } from "../run/runFolder.js";
import { formatAttackReport } from "../terminal/attackTable.js";
import { runWithProgress } from "../terminal/runWithProgress.js";

interface AttackFlags {
  readonly config?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
}

export function addAttack(command: Command): void {
  addSchemaOptions(command, attackSchema);
  command
    .option("--config <file>", "JSON file with settings; flags win over it")
    .option("--out <folder>", "folder of this evaluation (default: runs/attack-<preset>-<norm>-<time>)")
    .option("--resume <folder>", "continue an evaluation that was stopped, with the settings it was started with")
    .option("--json", "print one JSON object on stdout, everything else on stderr")
    .action((flags: AttackFlags & Record<string, unknown>) => run(flags));
}

async function run(flags: AttackFlags & Record<string, unknown>): Promise<void> {
  for (const name of ["out", "config"] as const) {
    if (flags.resume === undefined || flags[name] === undefined) continue;
    const expected = `no --${name} together with --resume`;
    throw new SettingError({ argument: `--${name}`, expected, received: flags[name] });
  }
  const stored = flags.resume === undefined ? null : await RunFolder.open(flags.resume);
  const config = stored
    ? checkSettings(attackSchema, stored.config)
    : await resolveSettings(attackSchema, flags, flags.config);
  checkAttack(config);
  if (stored) checkUnchanged(attackSchema, config, flags, (values) => checkSettings(attackSchema, values));
  const time = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  const place = flags.out ?? join("runs", `attack-${config.preset}-${config.norm}-${time}`);
  const folder = stored?.folder ?? (await RunFolder.create(place, config));
  const report = await runWithProgress(folder, (tools) => attack(config, folder, tools));
  process.stdout.write(
    flags.json ? `${JSON.stringify(report)}\n` : `\n${formatAttackReport(report)}\n\nwritten to ${folder.path}\n`,
  );
}
