// Clarabel (pip install clarabel) on the same non-robust ReLU program with squared loss and group norms, as a cone program of all its constraints:
//   minimise 1/(2n) ||r||^2 + beta sum tau   over v, w, tau, r
//   r = sum_p D_p X (v_p - w_p) - y,  (2 D_p - I) X v_p >= 0, the same for w,  (tau, v_p) in second-order cones, the same for w
// It says who is right where the peer of scnnReluPeer.ts does not converge. Tolerances 1e-9, one thread.

import { spawnSync } from "node:child_process";
import { environment, python, runScript } from "./scnnPeer.js";

export interface ClarabelReluRun {
  readonly status: string;
  readonly objective: number;
  readonly seconds: number;
}

/** Why the peer cannot run, or null when it can. */
export function clarabelMissing(): string | null {
  const { status } = spawnSync(python(), ["-c", "import clarabel, scipy"], { env: environment() });
  return status === 0 ? null : "python3 cannot import clarabel and scipy";
}

/** x `[n][d]` with its constant column, y `[n]`, gates `[P][d]`. */
export function runClarabelRelu(problem: {
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly gates: readonly (readonly number[])[];
  readonly beta: number;
  readonly secondsLimit: number;
}): ClarabelReluRun {
  return runScript(script, problem) as ClarabelReluRun;
}

const script = `
import json, sys, time
import numpy as np, scipy.sparse as sp, clarabel
job = json.load(sys.stdin)
X, y, G = np.array(job["x"]), np.array(job["y"], float), np.array(job["gates"])
start = time.process_time()
(n, d), P = X.shape, len(G)
D = X @ G.T >= 0
pieces, variables = 2 * P * d, 2 * P * d + 2 * P + n
quadratic = sp.diags(np.r_[np.zeros(pieces + 2 * P), np.full(n, 1 / n)], format="csc")
cost = np.r_[np.zeros(pieces), np.full(2 * P, job["beta"]), np.zeros(n)]
active = np.hstack([D[:, [p]] * X for p in range(P)])
equal = sp.hstack([sp.csc_matrix(active), sp.csc_matrix(-active), sp.csc_matrix((n, 2 * P)), -sp.identity(n)])
gated = [sp.csc_matrix((2 * D[:, [p]] - 1.0) * X) for p in range(P)]
inside = sp.block_diag(gated + gated)
inside = sp.hstack([-inside, sp.csc_matrix((inside.shape[0], 2 * P + n))])
entries = [(g * (d + 1) + 1 + k, g * d + k) for g in range(2 * P) for k in range(d)]
entries += [(g * (d + 1), pieces + g) for g in range(2 * P)]
rows, columns = zip(*entries)
norms = sp.csc_matrix((np.full(len(rows), -1.0), (rows, columns)), shape=(2 * P * (d + 1), variables))
A = sp.vstack([equal, inside, norms], format="csc")
right = np.r_[y, np.zeros(A.shape[0] - n)]
cones = [clarabel.ZeroConeT(n), clarabel.NonnegativeConeT(inside.shape[0])] + [clarabel.SecondOrderConeT(d + 1)] * (2 * P)
settings = clarabel.DefaultSettings()
settings.verbose, settings.time_limit, settings.max_threads = False, float(job["secondsLimit"]), 1
settings.tol_gap_rel, settings.tol_gap_abs, settings.tol_feas = 1e-9, 1e-10, 1e-9
found = clarabel.DefaultSolver(quadratic, cost, A, right, cones, settings).solve()
print(json.dumps(dict(status=str(found.status), objective=found.obj_val, seconds=time.process_time() - start)))
`;
