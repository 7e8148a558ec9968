// The interior point on SDPLIB against CSDP (Debian package coinor-csdp): CPU seconds with one thread each, runs interleaved.
// Ours is a solve inside this warm process, file read, small problems repeated until its compiler has settled; CSDP is its
// whole process. Optima are compared with the published ones, errors are the six DIMACS measures from the caller's data.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { chooseKernels, type KernelRequest } from "@worstcase/linalg";
import { readSdpa, type SdpResult, solve } from "@worstcase/sdp";
import { median } from "../harness/compare.js";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

interface Run {
  readonly seconds: number;
  readonly summary: string;
}

interface Competitor {
  readonly name: string;
  run(): Run;
}

export const sdp: Suite = {
  name: "sdp",
  summary: "interior point on SDPLIB: CPU seconds against CSDP, one thread each",
  async run(context) {
    const list = dataFile("sdplib/optima.csv");
    if (!list) return context.skip("everything", "no sdplib folder; set WORSTCASE_DATA");
    const lines = readFileSync(list, "utf8").trim().split(/\r?\n/).slice(1);
    const problems = lines.map((line) => line.split(",")).map(([name, , , optimum]) => ({ name, optimum }));
    const backends = availableBackends(context);
    const withCsdp = spawnSync("csdp", []).error === undefined;
    if (!withCsdp) context.skip("CSDP", "no program csdp; Debian package coinor-csdp");
    const ratios = new Map<string, number[]>();
    for (const { name, optimum } of problems) {
      if (context.quick && !["theta1", "truss1", "infp1"].includes(name)) continue;
      measure(context, name, optimum, backends, withCsdp, ratios);
    }
    for (const [what, values] of ratios) {
      const mean = Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
      const row = { name: what, median: mean, minimum: Math.min(...values), repeats: values.length, ratio: 1 / mean };
      const title = `${what}: CPU time over CSDP's, ${values.length} problems on which CSDP takes 0.1 s or more`;
      const notes = { "geometric mean": mean, largest: Math.max(...values) };
      context.report({ title, unit: { name: "ratio", scale: 1 }, rows: [row], notes });
    }
  },
};

function availableBackends(context: SuiteContext): KernelRequest[] {
  return (["native", "wasm"] as const).filter((backend) => {
    try {
      chooseKernels(backend);
      return true;
    } catch (error) {
      context.skip(backend, (error as Error).message);
      return false;
    }
  });
}

function measure(
  context: SuiteContext,
  name: string,
  optimum: string,
  backends: readonly KernelRequest[],
  withCsdp: boolean,
  ratios: Map<string, number[]>,
): void {
  const file = dataFile(`sdplib/${name}.dat-s.gz`);
  if (!file) {
    context.skip(name, "no such file");
    return;
  }
  const bytes = readFileSync(file);
  const folder = mkdtempSync(path.join(tmpdir(), "sdp-bench-"));
  try {
    const text = path.join(folder, "problem.dat-s");
    writeFileSync(text, gunzipSync(bytes));
    const problem = readSdpa(bytes);
    const competitors: Competitor[] = backends.map((backend) => ({
      name: `${backend}`,
      run: () => {
        const before = process.cpuUsage();
        const result = solve(problem, { backend });
        const { user, system } = process.cpuUsage(before);
        return { seconds: (user + system) / 1e6, summary: summarise(result) };
      },
    }));
    if (withCsdp) competitors.push({ name: "CSDP", run: () => runCsdp(text) });
    const times = competitors.map((): number[] => []);
    const summaries = competitors.map(() => "");
    // ours until the compiler of the process has settled, then all in turn; what takes long runs twice only
    const settled = competitors.slice(0, backends.length).every((competitor) => settle(competitor));
    for (let round = 0; round < (settled ? 7 : 2); round++) {
      competitors.forEach((competitor, c) => {
        const { seconds, summary } = competitor.run();
        times[c].push(seconds);
        summaries[c] = summary;
      });
    }
    const medians = times.map(median);
    const csdp = withCsdp ? medians[medians.length - 1] : undefined;
    const rows = competitors.map((competitor, c) => ({
      name: competitor.name,
      median: medians[c],
      minimum: Math.min(...times[c]),
      repeats: times[c].length,
      ratio: (csdp ?? medians[0]) / medians[c],
    }));
    if (csdp !== undefined && csdp >= 0.1) {
      for (const [c, backend] of backends.entries())
        ratios.set(backend, [...(ratios.get(backend) ?? []), medians[c] / csdp]);
    }
    const notes = Object.fromEntries(competitors.map((competitor, c) => [competitor.name, summaries[c]]));
    const peak = `${Math.round(process.resourceUsage().maxRSS / 1024)} MB`;
    context.report({
      title: name,
      unit: unit.seconds,
      rows,
      notes: { optimum, ...notes, "peak of this process": peak },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Repeats for six seconds of CPU time, at most 60 times; false where one run takes more than two. */
function settle(competitor: Competitor): boolean {
  let total = 0;
  for (let repeat = 0; repeat < 60 && total < 6; repeat++) {
    const { seconds } = competitor.run();
    if (seconds > 2) return false;
    total += seconds;
  }
  return true;
}

function summarise(result: SdpResult): string {
  const accuracy = "accuracy" in result ? ` (${result.accuracy})` : "";
  const worst = result.check ? `, worst error ${result.check.worst.toExponential(1)}` : "";
  const objective =
    result.check && "objective" in result.check ? `, ${result.check.objective.primal.toPrecision(9)}` : "";
  return `${result.status}${accuracy}, ${result.iterations} iterations${objective}${worst}, ${Math.round(result.bytes / 1e6)} MB`;
}

/**
 * CPU seconds of the child by the shell's `times`, whose second line is user and system time of its children. A shell whose
 * input is a socket, as a child of Node has it, would read its start-up file and count that too.
 */
function runCsdp(file: string): Run {
  const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
  const { stdout } = spawnSync("bash", ["--norc", "-c", 'csdp "$0" 2>&1; times', file], { env, maxBuffer: 2 ** 26 });
  const lines = String(stdout).trim().split("\n");
  const seconds = [...(lines.at(-1) ?? "").matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + 60 * Number(minutes) + Number(rest),
    0,
  );
  const errors = (lines.find((line) => line.startsWith("DIMACS")) ?? "").match(/-?\d\.\d+e[+-]\d+/g)?.map(Number) ?? [];
  const status = lines.find((line) => /^(Success|Partial|Stuck|Lack|Declaring|Failure|Maximum)/.test(line)) ?? "";
  const worst = errors.length > 0 ? `, worst error ${Math.max(...errors.map(Math.abs)).toExponential(1)}` : "";
  return { seconds, summary: `${status}${worst}` };
}
