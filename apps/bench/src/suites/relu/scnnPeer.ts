// R-FISTA of pilancilab/scnn on the non-robust gated program with squared loss and group norms, float64, one thread. Its source and that of
// the `lab` package it stands on are found through WORSTCASE_SCNN, a PYTHONPATH; WORSTCASE_PYTHON names the interpreter (default python3).
//   minimise 1/(2n) ||sum_p D_p X t_p - y||^2 + beta sum_p ||t_p||_2
// Run with its default tolerance first, then with tolerances 100 times smaller until the objective is within `within` of `target` (or
// 1e-14): the last run counts. The objective is evaluated from its weights and gates by this script.

import { spawnSync } from "node:child_process";

export interface ScnnRun {
  readonly objective: number;
  readonly seconds: number;
  readonly tolerance: number;
  readonly iterations: number;
}

export const environment = () => ({
  ...process.env,
  PYTHONPATH: process.env.WORSTCASE_SCNN ?? "",
  OMP_NUM_THREADS: "1",
  OPENBLAS_NUM_THREADS: "1",
});
export const python = () => process.env.WORSTCASE_PYTHON ?? "python3";

/** Why the peer cannot run, or null when it can. */
export function scnnMissing(): string | null {
  const { status } = spawnSync(python(), ["-c", "import scnn.optimize"], { env: environment() });
  return status === 0
    ? null
    : "python3 cannot import scnn and torch (set WORSTCASE_SCNN to the folders of scnn and lab)";
}

/** x `[n][d]` with its constant column, y `[n]`, gates `[P][d]`. */
export function runScnn(problem: {
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly gates: readonly (readonly number[])[];
  readonly beta: number;
  readonly target: number;
  readonly within: number;
}): ScnnRun {
  return runScript(script, problem) as ScnnRun;
}

/** Runs a script with the problem as JSON on its input; the last line of its output is the result. */
export function runScript(text: string, problem: object): unknown {
  const options = { env: environment(), input: JSON.stringify(problem), maxBuffer: 2 ** 28 };
  const { stdout, stderr, status } = spawnSync(python(), ["-c", text], options);
  if (status !== 0) throw new Error(`the peer failed: ${String(stderr).slice(-2000)}`);
  return JSON.parse(String(stdout).trim().split("\n").at(-1) ?? "");
}

const script = `
import json, sys, time
import numpy as np, torch
from scnn.models import ConvexGatedReLU
from scnn.solvers import RFISTA
from scnn.metrics import Metrics
from scnn.regularizers import NeuronGL1
from scnn.optimize import optimize_model
torch.set_num_threads(1)
d = json.load(sys.stdin)
X, y, G = np.array(d["x"]), np.array(d["y"])[:, None], np.array(d["gates"]).T

def objective(fitted):
    u, D = np.asarray(fitted.parameters[0])[0], (X @ np.asarray(fitted.G) > 0).astype(float)
    prediction = np.einsum("np,nd,pd->n", D, X, u, optimize=True)
    return ((prediction - y[:, 0]) ** 2).sum() / (2 * len(X)) + d["beta"] * np.linalg.norm(u, axis=1).sum()

def fit(tol):
    model = ConvexGatedReLU(G, c=1, bias=False)
    return optimize_model(model, RFISTA(model, max_iters=100000, tol=tol), Metrics(), X, y, X, y,
        NeuronGL1(d["beta"]), return_convex=True, unitize_data=False, device="cpu", dtype="float64")

fit(1e-2) # warm-up
tol = 1e-6
while True:
    start = time.process_time()
    fitted, metrics = fit(tol)
    seconds = time.process_time() - start
    value = objective(fitted)
    if value <= d["target"] * (1 + d["within"]) or tol < 1e-14:
        break
    tol /= 100
iterations = len(metrics.objective)
print(json.dumps(dict(objective=float(value), seconds=seconds, tolerance=tol, iterations=iterations)))
`;
