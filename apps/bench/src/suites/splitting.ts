// The first-order solver on SDPLIB against SCS 3 (PyPI `scs`, where python3 has it): iterations and CPU seconds of one run each.
// Both must reach errors of 1e-5, measured alike: primal 2-norm residual / (1 + max |F_0|), dual / (1 + max |c|). SCS's own
// criterion is relative to its iterates, so it is run at 1e-5, 1e-6, 1e-7 until that holds; the last run counts.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readSdpa, type SdpProblem, type SdpResult, solve, splitting } from "@worstcase/sdp";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

const names = [
  ...["theta1", "theta2", "theta3", "mcp100", "mcp124-1", "mcp124-4", "mcp250-2", "gpp100"],
  ...["control1", "truss1", "truss3", "truss5", "qap5", "qap7", "hinf1", "infp1", "infd1"],
];
const maximumIterations = 5000;

export const splittingSuite: Suite = {
  name: "splitting",
  summary: "first-order SDP solver on SDPLIB to 1e-5: CPU seconds and iterations against SCS",
  async run(context) {
    const present = spawnSync("python3", ["-c", "import scs"]).status === 0;
    if (!present) context.skip("SCS", "python3 with the package scs is not here");
    for (const name of context.quick ? ["theta1", "truss1"] : names) measure(context, name, present);
  },
};

function measure(context: SuiteContext, name: string, withScs: boolean): void {
  const file = dataFile(`sdplib/${name}.dat-s.gz`);
  if (!file) {
    context.skip(name, "no sdplib folder; set WORSTCASE_DATA");
    return;
  }
  const problem = readSdpa(readFileSync(file));
  const before = process.cpuUsage();
  const result = solve(problem, { solver: splitting, maximumIterations });
  const { user, system } = process.cpuUsage(before);
  const own = (user + system) / 1e6;
  const scs = withScs ? runScs(problem) : undefined;
  const row = (title: string, seconds: number) => ({
    name: title,
    median: seconds,
    minimum: seconds,
    repeats: 1,
    ratio: own / seconds,
  });
  const rows = [row(`splitting, ${result.status}`, own)];
  if (scs) rows.push(row(`SCS, ${scs.status}`, scs.seconds));
  const notes = {
    iterations: result.iterations,
    errors: errorsOf(result),
    ...(scs ? { "SCS iterations": scs.iterations, "SCS errors": `${scs.primal} primal, ${scs.dual} dual` } : {}),
  };
  context.report({ title: name, unit: unit.seconds, rows, notes });
}

function errorsOf(result: SdpResult): string {
  if ("certificate" in result) return `certificate ${result.check.worst.toExponential(1)}`;
  const { check } = result;
  return check ? `${check.dimacs[2].toExponential(1)} primal, ${check.dimacs[0].toExponential(1)} dual` : "no point";
}

/** SCS: minimise c'x, A x + s = b, s in nonnegative x psd cones (lower triangles by columns, off-diagonal times sqrt 2). */
function runScs({ objective, blocks }: SdpProblem) {
  const ordered = [...blocks].sort((a, b) => Number(a.kind === "psd") - Number(b.kind === "psd"));
  const [row, column, value, right]: number[][] = [[], [], [], []];
  let from = 0;
  for (const { kind, size, entries } of ordered) {
    const length = kind === "psd" ? (size * (size + 1)) / 2 : size;
    for (let p = 0; p < length; p++) right.push(0);
    entries.value.forEach((v, e) => {
      const [i, j, k] = [entries.row[e], entries.column[e], entries.matrix[e]];
      const place = from + (kind === "psd" ? i * size - (i * (i - 1)) / 2 + j - i : i);
      const scaled = -v * (i === j ? 1 : Math.SQRT2);
      if (k === 0) right[place] += scaled;
      else {
        row.push(place);
        column.push(k - 1);
        value.push(scaled);
      }
    });
    from += length;
  }
  const cone = {
    l: ordered.reduce((sum, { kind, size }) => sum + (kind === "psd" ? 0 : size), 0),
    s: ordered.filter(({ kind }) => kind === "psd").map(({ size }) => size),
  };
  const input = JSON.stringify({ c: [...objective], row, column, value, right, cone, limit: maximumIterations });
  const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
  const { stdout, stderr, status } = spawnSync("python3", ["-c", script], { input, env, maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`SCS failed: ${stderr}`);
  return JSON.parse(String(stdout)) as Record<"iterations" | "seconds", number> &
    Record<"status" | "primal" | "dual", string>;
}

const script = `
import json, sys, time
import numpy as np, scipy.sparse as sp, scs
d = json.load(sys.stdin)
b, c = np.array(d["right"], float), np.array(d["c"], float)
A = sp.csc_matrix((np.array(d["value"], float), (d["row"], d["column"])), shape=(len(b), len(c)))
for eps in (1e-5, 1e-6, 1e-7):
    start = time.process_time()
    solver = scs.SCS(dict(A=A, b=b, c=c), d["cone"], eps_abs=eps, eps_rel=eps, max_iters=d["limit"], verbose=False)
    r = solver.solve()
    seconds = time.process_time() - start
    primal = np.linalg.norm(A @ r["x"] + r["s"] - b) / (1 + np.abs(b).max())
    dual = np.linalg.norm(A.T @ r["y"] + c) / (1 + np.abs(c).max())
    if not max(primal, dual) > 1e-5 or r["info"]["status"] != "solved":
        break
print(json.dumps(dict(status="%s at %.0e" % (r["info"]["status"], eps), iterations=r["info"]["iter"], seconds=seconds, primal="%.1e" % primal, dual="%.1e" % dual)))
`;
