// Runs one peer solver in a Python child process and grades its answer: Z and Z' are made feasible (negative eigenvalues
// clipped, trace and corner made equal, solvers.md 2.1) and the objective is evaluated with exact worst margins.

import { spawnSync } from "node:child_process";
import { symmetricEigen } from "@worstcase/linalg";
import { worstCase } from "@worstcase/polynomial";
import { Matrix } from "ml-matrix";
import { activation } from "./directProgram.js";
import type { Instance } from "./instances.js";
import { peersScript } from "./peersScript.js";

export interface Peer {
  readonly name: string;
  readonly solver: "SCS" | "CLARABEL" | "CVXOPT";
  readonly form: "direct" | "cvxpy";
}

export type PeerResult =
  | { readonly kind: "absent"; readonly reason: string }
  | { readonly kind: "unfinished"; readonly reason: string }
  | { readonly kind: "solved"; readonly status: string; readonly cpuSeconds: number; readonly objective: number };

/** Seconds, and share of the limit, for starting Python, building the problem and what the solvers do without looking at the clock. */
const grace = 5;
const graceShare = 0.15;

export function runPeer(peer: Peer, { points, labels, radius, beta }: Instance, limitSeconds: number): PeerResult {
  const [n, d] = points.shape;
  const job = {
    ...{ n, d, r: radius, beta, activation: [activation.a, activation.b, activation.c] },
    ...{ X: [...points.data], y: [...labels], solver: peer.solver, form: peer.form, limit: limitSeconds },
  };
  const child = spawnSync("python3", ["-c", peersScript], {
    input: `${JSON.stringify(job)}\n`,
    encoding: "utf8",
    timeout: Math.ceil(1000 * (grace + (1 + graceShare) * limitSeconds)),
    maxBuffer: 1 << 28,
  });
  const code = (child.error as NodeJS.ErrnoException | undefined)?.code;
  if (code === "ENOENT") return { kind: "absent", reason: "python3 is not installed" };
  if (code === "ETIMEDOUT") return { kind: "unfinished", reason: `> ${limitSeconds} s` };
  const line = child.stdout?.trim().split("\n").pop() ?? "";
  if (child.status !== 0 || !line.startsWith("{")) {
    const reason = child.stderr?.trim().split("\n").pop() || `exit code ${child.status}`;
    return { kind: /ModuleNotFoundError|ImportError/.test(reason) ? "absent" : "unfinished", reason };
  }
  const answer = JSON.parse(line);
  if (answer.absent) return { kind: "absent", reason: answer.absent };
  const objective = repairedObjective(answer.positive, answer.negative, { points, labels, radius, beta });
  return { kind: "solved", status: answer.status, cpuSeconds: answer.cpu, objective };
}

/** Exact robust objective of Z and Z' `[d + 1, d + 1]` after they are made feasible. */
export function repairedObjective(
  positive: number[],
  negative: number[],
  { points, labels, radius, beta }: Omit<Instance, "name">,
): number {
  const d = points.shape[1];
  const p = d + 1;
  const [z, w] = [positive, negative].map((entries) => repair(Float64Array.from(entries), p));
  const difference = z.map((value, i) => value - w[i]);
  const Q = new Float64Array(d * d);
  const q = new Float64Array(d);
  for (let k = 0; k < d; k++) {
    for (let l = 0; l < d; l++) Q[k * d + l] = activation.a * difference[k * p + l];
    q[k] = activation.b * difference[k * p + d];
  }
  const s = activation.c * difference[p * p - 1];
  const { values } = worstCase({ dimension: d, Q, q, s }, points, labels, radius, { points: false });
  const loss = values.reduce((sum, margin) => sum + Math.max(0, 1 - margin), 0) / values.length;
  return loss + beta * (z[p * p - 1] + w[p * p - 1]);
}

function repair(matrix: Float64Array, p: number): Float64Array {
  const d = p - 1;
  const full = new Matrix(p, p);
  for (let i = 0; i < p; i++) {
    for (let j = 0; j < p; j++) full.set(i, j, 0.5 * (matrix[i * p + j] + matrix[j * p + i]));
  }
  const { values, vectors } = symmetricEigen(full);
  const repaired = new Float64Array(p * p);
  for (let k = 0; k < p; k++) {
    if (values[k] <= 0) continue;
    for (let i = 0; i < p; i++) {
      for (let j = 0; j < p; j++) repaired[i * p + j] += values[k] * vectors.get(i, k) * vectors.get(j, k);
    }
  }
  let defect = -repaired[p * p - 1];
  for (let k = 0; k < d; k++) defect += repaired[k * (p + 1)];
  if (defect > 0) repaired[p * p - 1] += defect;
  else for (let k = 0; k < d; k++) repaired[k * (p + 1)] -= defect / d;
  return repaired;
}
