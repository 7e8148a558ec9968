// `worstcase solve`: a semidefinite program in an SDPA sparse file, its solution or certificate, and an independent check.

import { readFile } from "node:fs/promises";
import { DataError, SettingError } from "@worstcase/core";
import {
  findSolver,
  printTable,
  readSdpa,
  type SdpEvent,
  type SdpProblem,
  type SdpResult,
  type SolutionCheck,
  type SolveOptions,
  solveAsync,
  solvers,
  writeSdpaSolution,
} from "@worstcase/sdp";
import type { Command } from "commander";
import { checkOutputFile, writeOutputFile } from "../run/outputFile.js";
import { exitCodes } from "../terminal/exitCodes.js";

interface SolveFlags {
  readonly solver?: string;
  readonly tolerance?: string;
  readonly timeLimit?: string;
  readonly backend?: string;
  readonly json?: boolean;
  readonly out?: string;
}

export function addSolve(command: Command): void {
  command
    .argument("<file>", "SDPA sparse file (.dat-s), gzip or not; - reads standard input")
    .option("--solver <name>", `${solvers.map(({ name }) => name).join(" or ")} (default: ${solvers[0]!.name})`)
    .option("--tolerance <value>", "largest DIMACS error to be called solved (default: the solver's own)")
    .option("--time-limit <seconds>", "stop after this time with the best point")
    .option("--backend <name>", "float64 kernels: auto, js, wasm, wasm-simd, wasm-fma or native (default: auto)")
    .option("--out <file>", "write the solution or certificate, in the layout of CSDP's .sol files")
    .option("--json", "print one JSON object on stdout instead of the table")
    .action((file: string, flags: SolveFlags) => run(file, flags));
}

async function run(file: string, flags: SolveFlags): Promise<void> {
  const options = readOptions(flags);
  await checkOutputFile(flags.out);
  const problem = readSdpa(await readInput(file), { name: file });
  const line = (text: string) => void process.stdout.write(`${text}\n`);
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    process.stderr.write("stopping after this iteration; press Ctrl-C again to stop at once\n");
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  let result: SdpResult;
  try {
    const table = printTable(line);
    // the report below says more than the last line of the table
    const onEvent = flags.json ? undefined : (event: SdpEvent) => event.type !== "end" && table(event);
    result = await solveAsync(problem, { ...options, signal: controller.signal, onEvent });
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
  if (flags.out !== undefined) await writeResult(flags.out, problem, result);
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  if (flags.json) line(JSON.stringify(summary(file, result, peakBytes)));
  else for (const text of report(result, peakBytes)) line(text);
  process.exitCode = exitCodeOf(result);
}

function readOptions({ solver: name, tolerance, timeLimit, backend }: SolveFlags): SolveOptions {
  const solver = name === undefined ? solvers[0] : findSolver(name);
  if (!solver) {
    const expected = solvers.map((known) => known.name).join(" or ");
    throw new SettingError({ argument: "--solver", expected, received: name });
  }
  const number = (flag: string, text: string) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isFinite(value)) return value;
    throw new SettingError({ argument: flag, expected: "a number", received: text });
  };
  return {
    solver,
    ...(tolerance === undefined ? {} : { tolerance: number("--tolerance", tolerance) }),
    ...(timeLimit === undefined ? {} : { timeLimitSeconds: number("--time-limit", timeLimit) }),
    ...(backend === undefined ? {} : { backend: backend as Exclude<SolveOptions["backend"], object | undefined> }),
  };
}

async function readInput(file: string): Promise<Uint8Array> {
  try {
    if (file !== "-") return await readFile(file);
    const chunks: Uint8Array[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
    return Buffer.concat(chunks);
  } catch (error) {
    const hint = (error as Error).message;
    throw new DataError({ argument: "file", expected: "a readable file", received: file, hint });
  }
}

async function writeResult(path: string, problem: SdpProblem, result: SdpResult): Promise<void> {
  const solution = "certificate" in result ? result.certificate : result.point;
  if (!solution) return;
  await writeOutputFile(path, writeSdpaSolution(problem, solution));
}

/** The object that `--json` prints; numbers that are not finite become null. */
function summary(file: string, result: SdpResult, peakBytes: number): object {
  const { status, check, iterations, seconds, warnings } = result;
  const { objective, ...errors }: Partial<SolutionCheck> = check && "objective" in check ? check : {};
  return {
    file,
    status,
    accuracy: "accuracy" in result ? result.accuracy : null,
    objective: objective ?? null,
    check: objective ? errors : (check ?? null),
    iterations,
    seconds,
    solver: result.solver.name,
    backend: result.solver.backend,
    peakBytes,
    warnings,
  };
}

function report(result: SdpResult, peakBytes: number): string[] {
  const { status, check, seconds, iterations, warnings } = result;
  const head = "accuracy" in result ? `${status} (${result.accuracy} accuracy)` : status;
  const lines = ["", head];
  if (check && "objective" in check) {
    const { objective, dimacs, worst, smallestEigenvalues } = check;
    lines.push(
      `objective: primal ${objective.primal.toPrecision(10)}   dual ${objective.dual.toPrecision(10)}`,
      `check: worst DIMACS error ${worst.toExponential(1)}   (${dimacs.map((error) => error.toExponential(1)).join(" ")})`,
      `smallest eigenvalues: S ${smallestEigenvalues.slack.toExponential(1)}   Y ${smallestEigenvalues.dual.toExponential(1)}`,
    );
  } else if (check) {
    const { residual, coneViolation, explains } = check;
    lines.push(
      `certificate: residual ${residual.toExponential(1)}   cone violation ${coneViolation.toExponential(1)}   (relative)`,
      `carried by: ${explains.join(", ")}`,
    );
  } else lines.push("no point: the solver stopped before its first iteration");
  const memory = `${Math.round(peakBytes / 1e6)} MB peak memory`;
  lines.push(`${iterations} iterations   ${seconds.toFixed(2)} s   ${result.solver.backend} kernels   ${memory}`);
  for (const { message, code } of warnings) lines.push(`warning: ${message} [${code}]`);
  return lines;
}

function exitCodeOf(result: SdpResult): number {
  if (result.status === "optimal") return exitCodes.done;
  if (result.status === "aborted") return exitCodes.interrupted;
  const limited = result.status === "iteration-limit" || result.status === "time-limit";
  return limited && result.point ? exitCodes.limitReached : exitCodes.otherOutcome;
}
