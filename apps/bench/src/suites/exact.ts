// Head-to-head of the exact trainer with general conic solvers on the same robust program (solvers.md 1.1): CPU seconds to the answer, and the
// error of each answer against our certified lower bound. The peers run in Python child processes, one thread, default settings.

import { type FitResult, fitPolynomial } from "@worstcase/polynomial";
import { median, type Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { type Instance, synth, wdbc } from "./exact/instances.js";
import { type Peer, runPeer } from "./exact/peers.js";

const scsDirect: Peer = { name: "SCS direct", solver: "SCS", form: "direct" };
const clarabelDirect: Peer = { name: "Clarabel direct", solver: "CLARABEL", form: "direct" };
const scsModelled: Peer = { name: "cvxpy + SCS", solver: "SCS", form: "cvxpy" };
const clarabelModelled: Peer = { name: "cvxpy + Clarabel", solver: "CLARABEL", form: "cvxpy" };
const everyone = [scsDirect, clarabelDirect, scsModelled, clarabelModelled];
/** A peer that takes longer than this (wall) is reported as unfinished. */
const limitSeconds = 400;

export const exact: Suite = {
  name: "exact",
  summary: "CPU seconds to a certified gap of 1e-6, against SCS and Clarabel, direct cone data and through cvxpy",
  async run(context) {
    if (context.quick) {
      measure(context, synth(3, 40), everyone, 60);
      return;
    }
    measure(context, synth(5, 100), everyone, limitSeconds);
    measure(context, synth(10, 100), everyone, limitSeconds);
    measure(context, synth(20, 100), [scsDirect, clarabelDirect], limitSeconds);
    measure(context, synth(30, 100), [scsDirect], limitSeconds);
    for (const samples of [50, 100, 200, 455]) {
      const instance = wdbc(samples);
      if (instance) measure(context, instance, [scsDirect], limitSeconds);
      else context.skip(`wdbc n=${samples}`, "uci/wdbc.data is in no data folder (WORSTCASE_DATA)");
    }
    context.skip("Clarabel from 30 features on", "does not finish in 5 minutes (solvers.md 1.1)");
    context.skip("CSDP, SDPA", "no Python package; solvers.md 1.1 has their numbers");
  },
};

function measure(context: SuiteContext, instance: Instance, peers: readonly Peer[], limit: number): void {
  const { name, points, labels, radius, beta } = instance;
  const repeats = context.quick ? 1 : 3;
  const rows: Row[] = [];
  const fits: FitResult[] = [];
  for (const kernels of ["wasm", "js"] as const) {
    // The first run includes compiling the code; it is measured too and shows in the median only for one repeat.
    const times: number[] = [];
    for (let run = 0; run < repeats; run++) {
      const before = process.cpuUsage();
      fits.push(fitPolynomial(points, labels, { radius, beta, tolerance: 1e-6, method: "exact", kernels }));
      const { user, system } = process.cpuUsage(before);
      times.push((user + system) / 1e6);
    }
    rows.push(row(`ours, ${kernels}`, times, rows));
  }
  const [fit] = fits;
  const notes: Record<string, number | string> = {
    seconds: "CPU, build and solve",
    status: fit.status,
    objective: fit.objective.total.toFixed(8),
    gap: fit.gap,
    iterations: fit.iterations,
    "working set": fit.workingSet ?? 0,
    neurons: fit.neurons.weights.length,
  };
  for (const peer of peers) {
    const result = runPeer(peer, instance, limit);
    if (result.kind === "absent") {
      context.skip(`${peer.name} on ${name}`, result.reason);
    } else if (result.kind === "unfinished") {
      notes[peer.name] = result.reason;
    } else {
      rows.push(row(peer.name, [result.cpuSeconds], rows));
      notes[`error of ${peer.name}`] = (result.objective - fit.lowerBound) / fit.objective.total;
      if (!/solved|optimal/i.test(result.status)) notes[`status of ${peer.name}`] = result.status;
    }
  }
  context.report({ title: `${name}, radius ${radius}, beta ${beta}`, unit: unit.seconds, rows, notes });
}

function row(name: string, times: number[], earlier: readonly Row[]): Row {
  const middle = median(times);
  const first = earlier[0]?.median ?? middle;
  return { name, median: middle, minimum: Math.min(...times), repeats: times.length, ratio: first / middle };
}
