// The augmented Lagrangian method of pilancilab/scnn for the non-robust ReLU program with squared loss and group norms, float64, one thread
// (scnnPeer.ts says how its source is found).
//   minimise 1/(2n) ||sum_p D_p X (v_p - w_p) - y||^2 + beta sum_p (||v_p||_2 + ||w_p||_2),  (2 D_p - I) X v_p >= 0, the same for w
// Run with its default tolerances first, then with tolerances 100 times smaller until the objective is within `within` of `target` and the
// relative violation within `within`: the last run counts. All runs together get `secondsLimit` CPU seconds; a run is broken off there, and
// the result is then that of the run before (objective null if there is none) with `finished` false and all seconds spent. Objective and
// violation are evaluated by this script.

import { runScript } from "./scnnPeer.js";

export interface ScnnReluRun {
  readonly objective: number | null;
  /** Whether a run within the limit met the target. */
  readonly finished: boolean;
  /** max over samples and pieces of -s x'v / ||x||, at least 0, divided by the longest piece. */
  readonly violation: number | null;
  readonly seconds: number;
  readonly tolerance: number | null;
}

/** x `[n][d]` with its constant column, y `[n]`, gates `[P][d]`. */
export function runScnnRelu(problem: {
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly gates: readonly (readonly number[])[];
  readonly beta: number;
  readonly target: number;
  readonly within: number;
  readonly secondsLimit: number;
}): ScnnReluRun {
  return runScript(script, problem) as ScnnReluRun;
}

const script = `
import json, signal, sys, time
import numpy as np, torch
from scnn.models import ConvexReLU
from scnn.solvers import AL
from scnn.metrics import Metrics
from scnn.regularizers import NeuronGL1
from scnn.optimize import optimize_model
torch.set_num_threads(1)
d = json.load(sys.stdin)
X, y, G = np.array(d["x"]), np.array(d["y"])[:, None], np.array(d["gates"]).T

def judge(fitted):
    v, w = (np.asarray(part)[0] for part in fitted.parameters[:2])
    D = (X @ np.asarray(fitted.G) > 0).astype(float)
    prediction = np.einsum("np,nd,pd->n", D, X, v - w, optimize=True)
    value = ((prediction - y[:, 0]) ** 2).sum() / (2 * len(X))
    worst = 0.0
    for part in (v, w):
        value += d["beta"] * np.linalg.norm(part, axis=1).sum()
        size = np.linalg.norm(X, axis=1)[:, None] * max(np.linalg.norm(v, axis=1).max(), np.linalg.norm(w, axis=1).max())
        worst = max(worst, float((-(2 * D - 1) * (X @ part.T) / size).max()))
    return value, worst

class Spent(BaseException):
    pass

def spend(*_):
    raise Spent()

signal.signal(signal.SIGPROF, spend)
signal.setitimer(signal.ITIMER_PROF, d["secondsLimit"])
begin = time.process_time()
out = dict(objective=None, violation=None, tolerance=None, finished=False)
tol = 1e-6
try:
    while tol > 1e-15:
        model = ConvexReLU(G, c=1, bias=False)
        start = time.process_time()
        fitted, metrics = optimize_model(model, AL(model, tol=tol, constraint_tol=tol), Metrics(metric_freq=1000), X, y, X, y,
            NeuronGL1(d["beta"]), return_convex=True, unitize_data=False, device="cpu", dtype="float64")
        out["seconds"] = time.process_time() - start
        value, worst = judge(fitted)
        out.update(objective=float(value), violation=worst, tolerance=tol)
        out["finished"] = bool(abs(value / d["target"] - 1) <= d["within"] and worst <= d["within"])
        if out["finished"]:
            break
        tol /= 100
except Spent:
    pass
signal.setitimer(signal.ITIMER_PROF, 0)
if not out["finished"]:
    out["seconds"] = time.process_time() - begin
print(json.dumps(out))
`;
