// Head-to-head of the exact trainer with general conic solvers on the same robust program (solvers.md 1.1): CPU seconds to the answer, and the
// error of each answer against our certified lower bound. The peers run in child processes, one thread, default settings, each at most a
// third of --limit (20 seconds by default: the whole table in less than ten minutes); a peer that does not finish is not started on larger
// problems of its kind. The row with the bar, wdbc n=455, comes first, and there SCS has three times --limit. The penalty trainer of the paper runs beside them as the baseline without constraints (solvers.md 1.2).

import { createRng } from "@worstcase/core";
import { findNative } from "@worstcase/linalg";
import { type FitResult, fitPenalty, fitPolynomial } from "@worstcase/polynomial";
import { median, type Row } from "../harness/compare.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";
import { type Instance, synth, wdbc, wdbcUnit } from "./exact/instances.js";
import { type Peer, type PeerResult, runPeer } from "./exact/peers.js";
import { runCsdp, runSdpa } from "./exact/programs.js";

interface NamedPeer {
  readonly name: string;
  run(instance: Instance, limitSeconds: number): PeerResult;
}

const python = (name: string, solver: Peer["solver"], form: Peer["form"]): NamedPeer => ({
  name,
  run: (instance, limit) => runPeer({ name, solver, form }, instance, limit),
});
const direct = [
  python("SCS direct", "SCS", "direct"),
  python("Clarabel direct", "CLARABEL", "direct"),
  { name: "CSDP", run: runCsdp },
  { name: "SDPA", run: runSdpa },
];
const modelled = [
  python("cvxpy + Clarabel", "CLARABEL", "cvxpy"),
  python("cvxpy + SCS", "SCS", "cvxpy"),
  python("cvxpy + CVXOPT", "CVXOPT", "cvxpy"),
];

export const exact: Suite = {
  name: "exact",
  summary:
    "CPU seconds to a certified gap of 1e-6, against SCS, Clarabel, CSDP and SDPA on direct cone data, and through cvxpy",
  async run(context) {
    const peers = [...direct, ...modelled];
    if (context.quick) {
      measure(context, synth(3, 40), peers, context.limitSeconds);
      return;
    }
    const limit = context.limitSeconds / 3;
    await family(context, [() => wdbc(455)], [direct[0]], 3 * context.limitSeconds);
    await family(context, [() => wdbc(50), () => wdbc(100), () => wdbc(200)], peers, limit);
    await family(context, [wdbcUnit], [direct[0]], limit);
    await family(
      context,
      [5, 10, 20, 30].map((d) => () => synth(d, 100)),
      peers,
      limit,
    );
    for (const { name } of peers.slice(1)) context.skip(`${name} on wdbc n=455`, "see the largest n that it finished");
  },
};

/** Instances of one kind, smallest first. */
async function family(
  context: SuiteContext,
  instances: readonly (() => Instance | null)[],
  peers: readonly NamedPeer[],
  limitSeconds: number,
): Promise<void> {
  let running = peers;
  for (const make of instances) {
    const instance = make();
    if (!instance) {
      context.skip("wdbc", "uci/wdbc.data is in no data folder (WORSTCASE_DATA)");
      continue;
    }
    for (const { name } of peers.filter((peer) => !running.includes(peer))) {
      context.skip(`${name} on ${instance.name}`, "it did not finish on a smaller one");
    }
    const unfinished = measure(context, instance, running, limitSeconds);
    running = running.filter(({ name }) => !unfinished.includes(name));
  }
}

/** Returns the names of the peers that did not finish. */
function measure(
  context: SuiteContext,
  instance: Instance,
  peers: readonly NamedPeer[],
  limitSeconds: number,
): string[] {
  const unfinished: string[] = [];
  const { name, points, labels, radius, beta } = instance;
  const repeats = context.quick ? 1 : 5;
  const backends = (["native", "wasm", "js"] as const).filter((kernels) => {
    const native = kernels === "native" ? findNative() : null;
    if (!native || native.kernels) return true;
    context.skip(`native kernels on ${name}`, native.detail);
    return false;
  });
  const times = backends.map((): number[] => []);
  const fits: FitResult[] = [];
  // Interleaved, so that a load that comes and goes hits all alike. The first run of each includes compiling the code.
  for (let round = 0; round < repeats; round++) {
    for (const [k, kernels] of backends.entries()) {
      // The slow fallback once is enough.
      if (kernels === "js" && round > 0) continue;
      const fit = () => fitPolynomial(points, labels, { radius, beta, tolerance: 1e-6, method: "exact", kernels });
      times[k].push(cpuSeconds(() => fits.push(fit())));
    }
  }
  const rows: Row[] = [];
  for (const [k, kernels] of backends.entries()) rows.push(row(`ours, ${kernels}`, times[k], rows));
  const fit = fits[0];
  const notes: Record<string, number | string> = {
    seconds: "CPU, build and solve",
    status: fit.status,
    objective: fit.objective.total.toFixed(8),
    gap: Math.max(...fits.map(({ gap }) => gap)),
    iterations: fit.iterations,
    "working set": fit.workingSet ?? 0,
    neurons: fit.neurons.weights.length,
  };
  for (const peer of peers) {
    const result = peer.run(instance, limitSeconds);
    if (result.kind === "absent") context.skip(`${peer.name} on ${name}`, result.reason);
    else if (result.kind === "unfinished") {
      notes[peer.name] = result.reason;
      unfinished.push(peer.name);
    } else {
      rows.push(row(peer.name, [result.cpuSeconds], rows));
      notes[`error of ${peer.name}`] = (result.objective - fit.lowerBound) / fit.objective.total;
      if (!/solved|optimal/i.test(result.status)) notes[`status of ${peer.name}`] = result.status;
    }
  }
  const epochs = context.quick ? 50 : 300;
  let total = 0;
  let overstated = 0;
  const spent = cpuSeconds(() => {
    const baseline = fitPenalty(points, labels, { radius, beta, epochs, penalty: 0.1, rng: createRng(1) });
    total = baseline.objective.total;
    overstated = baseline.violations.overstatedMargins;
  });
  const baseline = `penalty trainer, ${epochs} epochs`;
  rows.push(row(baseline, [spent], rows));
  notes[`error of the ${baseline}`] = (total - fit.lowerBound) / fit.objective.total;
  notes["margins it overstates"] = overstated;
  context.report({ title: `${name}, radius ${radius}, beta ${beta}`, unit: unit.seconds, rows, notes });
  return unfinished;
}

function cpuSeconds(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function row(name: string, times: number[], earlier: readonly Row[]): Row {
  const middle = median(times);
  const first = earlier[0]?.median ?? middle;
  return { name, median: middle, minimum: Math.min(...times), repeats: times.length, ratio: first / middle };
}
