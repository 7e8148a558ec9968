// The command line: commands, exit codes, one clear line for every misuse.
//   0 done   1 misuse   2 other mathematical outcome   3 limit reached with a usable result   130 interrupted, checkpoint kept

import { AbortedError, isWorstcaseError } from "@worstcase/core";
import { Command, CommanderError } from "commander";
import { addDoctor } from "./commands/doctor.js";
import { addPretrain } from "./commands/pretrain.js";
import { addRobustify } from "./commands/robustify.js";
import { version } from "./run/environment.js";
import { exitCodes } from "./terminal/exitCodes.js";

const program = new Command("worstcase")
  .description("Retrain the last layers of a network against the worst case, with certificates.")
  .version(version)
  .configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, "worstcase: ").replace(/\n(?=.)/g, " ")),
  })
  .exitOverride();
addRobustify(program);
addPretrain(program);
addDoctor(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.misuse;
  if (error instanceof AbortedError) {
    process.stderr.write("worstcase: interrupted; continue with --resume\n");
    return exitCodes.interrupted;
  }
  if (isWorstcaseError(error)) process.stderr.write(`worstcase: ${error.message}\n`);
  else
    process.stderr.write(
      `worstcase: unexpected failure, please report it\n${error instanceof Error ? error.stack : String(error)}\n`,
    );
  return exitCodes.misuse;
}
