// The command line: commands, exit codes, one clear line for every misuse.
//   0 done   1 misuse   2 other mathematical outcome   3 limit reached with a usable result   130 interrupted, checkpoint kept

import { AbortedError, isWorstcaseError } from "@worstcase/core";
import { Command, CommanderError } from "commander";
import { version } from "./run/environment.js";
import { exitCodes } from "./terminal/exitCodes.js";

/** A command's code is loaded only when its name is among the arguments, so that each starts as fast as it can. */
const commands = [
  {
    name: "robustify",
    description:
      "train robust heads on a backbone's features, attack them, and print clean and robust accuracy with certificates",
    load: async () => (await import("./commands/robustify.js")).addRobustify,
  },
  {
    name: "attack",
    description: "run the standard suite of attacks on saved heads and print accuracy under attack with intervals",
    load: async () => (await import("./commands/attack.js")).addAttack,
  },
  {
    name: "pretrain",
    description: "train a residual network from scratch (SGD, optionally sharpness-aware)",
    load: async () => (await import("./commands/pretrain.js")).addPretrain,
  },
  {
    name: "solve",
    description: "solve a semidefinite program in an SDPA sparse file and check the result",
    load: async () => (await import("./commands/solve.js")).addSolve,
  },
  {
    name: "fit",
    description: "train a robust polynomial network on a labelled table, with a certified gap",
    load: async () => (await import("./commands/fit.js")).addFit,
  },
  {
    name: "certify",
    description: "exact worst margins, distances to the boundary and l-infinity certificates of a model on a table",
    load: async () => (await import("./commands/certify.js")).addCertify,
  },
  {
    name: "doctor",
    description: "show versions, tensor backends and float64 kernels found on this machine",
    load: async () => (await import("./commands/doctor.js")).addDoctor,
  },
];

// A reader that has seen enough, such as `head`, closes the pipe: no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.done);
});

const program = new Command("worstcase")
  .description("Retrain the last layers of a network against the worst case, with certificates.")
  .version(version)
  .configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, "worstcase: ").replace(/\n(?=.)/g, " ")),
  })
  .exitOverride();

try {
  for (const { name, description, load } of commands) {
    const command = program.command(name).description(description);
    if (process.argv.slice(2).includes(name)) (await load())(command);
  }
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
  if (isWorstcaseError(error)) process.stderr.write(`worstcase: ${error.message.replace(/\s*\n\s*/g, " ")}\n`);
  else
    process.stderr.write(
      `worstcase: unexpected failure, please report it\n${error instanceof Error ? error.stack : String(error)}\n`,
    );
  return exitCodes.misuse;
}
