// The peers, as a Python script fed through standard input: one solver, one instance, one process. Needs numpy, scipy and
// the solver's package (pip install cvxpy scs clarabel cvxopt). First line in: JSON of the instance; last line out: JSON.
//   form "direct": hand-written sparse cone data, the smallest formulation we know (corner of Z', s and w eliminated)
//   form "cvxpy":  the program of math.md 4.2 written literally through the modelling layer
// cpu counts build and solve, user and system, of the one process, one thread.

export const peersScript = `
import os, sys, json
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np

job = json.loads(sys.stdin.readline())
n, d, r, beta = job["n"], job["d"], job["r"], job["beta"]
a, b, c = job["activation"]
X = np.array(job["X"]).reshape(n, d); y = np.array(job["y"])
solver, form = job["solver"], job["form"]
try:
    if form == "cvxpy":
        import cvxpy as cp
    if solver == "SCS":
        import scs
    if solver == "CLARABEL":
        import clarabel
    if solver == "CVXOPT":
        import cvxopt
    import scipy.sparse as sp
except ImportError as error:
    print(json.dumps(dict(absent=str(error)))); sys.exit(0)

def cpu():
    t = os.times(); return t[0] + t[1] + t[2] + t[3]

def run_cvxpy():
    Z = cp.Variable((d + 1, d + 1), PSD=True); W = cp.Variable((d + 1, d + 1), PSD=True)
    Q = a * (Z[:d, :d] - W[:d, :d]); q = b * (Z[:d, d] - W[:d, d]); s = c * (Z[d, d] - W[d, d])
    cons = [cp.trace(Z[:d, :d]) == Z[d, d], cp.trace(W[:d, :d]) == W[d, d]]
    lam = cp.Variable(n, nonneg=True); w = cp.Variable(n); I = np.eye(d)
    for i in range(n):
        v = cp.reshape(0.5 * y[i] * (q + 2 * Q @ X[i]), (d, 1), order="C")
        f = X[i] @ Q @ X[i] + q @ X[i] + s
        corner = cp.reshape(y[i] * f - lam[i] * r * r - w[i], (1, 1), order="C")
        cons.append(cp.bmat([[lam[i] * I + y[i] * Q, v], [v.T, corner]]) >> 0)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.pos(1 - w)) / n + beta * (Z[d, d] + W[d, d])), cons)
    problem.solve(solver=solver)
    return Z.value, W.value, problem.status

def direct_data():
    # x = [Q upper (N1), q (d), Z'1 upper (N1), Z'2 (d), lambda (n), xi (n)], Z'4 = tr Z'1, s = (c/a) tr Q, w = 1 - xi
    p = d + 1; T = p * (p + 1) // 2
    iu = np.triu_indices(d); N1 = len(iu[0])
    oq = N1; oZ1 = N1 + d; oZ2 = 2 * N1 + d; ol = 2 * (N1 + d); ox = ol + n; nv = ox + n
    dg = np.flatnonzero(iu[0] == iu[1])
    cost = np.zeros(nv); cost[dg] += beta / a; cost[oZ1 + dg] += 2 * beta; cost[ox:] = 1.0 / n
    R, C, V, K, B = [], [], [], [], []
    def add(blk, i, j, v, k):
        i = np.asarray(i)
        R.append(i); C.append(np.broadcast_to(j, i.shape)); V.append(np.broadcast_to(v, i.shape))
        K.append(np.broadcast_to(k, i.shape).astype(float)); B.append(np.full(i.shape, blk))
    j = np.arange(d); kk = np.arange(N1)
    for blk in (0, 1):
        add(blk, iu[0], iu[1], oZ1 + kk, 1.0); add(blk, j, d, oZ2 + j, 1.0); add(blk, np.full(d, d), d, oZ1 + dg, 1.0)
    add(1, iu[0], iu[1], kk, 1 / a); add(1, j, d, oq + j, 1 / b); add(1, np.full(d, d), d, dg, 1 / a)
    off = iu[0] != iu[1]
    for i in range(n):
        blk = 2 + i; x = X[i]; s = y[i]
        add(blk, iu[0], iu[1], kk, s); add(blk, j, j, ol + i, 1.0); add(blk, j, d, oq + j, 0.5 * s)
        add(blk, iu[0], d, kk, s * x[iu[1]]); add(blk, iu[1][off], d, kk[off], s * x[iu[0][off]])
        add(blk, np.full(N1, d), d, kk, s * x[iu[0]] * x[iu[1]] * np.where(off, 2, 1))
        add(blk, np.full(d, d), d, oq + j, s * x); add(blk, np.full(d, d), d, dg, s * c / a)
        add(blk, [d], d, ol + i, -r * r); add(blk, [d], d, ox + i, 1.0)
    R, C, V, K, B = map(np.concatenate, (R, C, V, K, B))
    if solver == "SCS":
        loc = R * p - R * (R - 1) // 2 + (C - R)          # lower triangle, column-major
        last = (p - 1) * p - (p - 1) * (p - 2) // 2
    else:
        loc = C * (C + 1) // 2 + R                        # upper triangle, column-major
        last = T - 1
    rows = 2 * n + B * T + loc
    scale = np.where(R == C, 1.0, np.sqrt(2.0))
    A = sp.coo_matrix((np.r_[-np.ones(2 * n), -K * scale], (np.r_[np.arange(2 * n), rows], np.r_[np.arange(ol, ol + 2 * n), V])),
                      shape=(2 * n + T * (n + 2), nv)).tocsc()
    right = np.zeros(A.shape[0]); right[2 * n + (2 + np.arange(n)) * T + last] = -1.0
    def matrices(x):
        Z1 = np.zeros((d, d)); Z1[iu] = x[oZ1:oZ1 + N1]; Z1 = Z1 + Z1.T - np.diag(np.diag(Z1))
        Q = np.zeros((d, d)); Q[iu] = x[:N1]; Q = Q + Q.T - np.diag(np.diag(Q))
        W = np.zeros((p, p)); W[:d, :d] = Z1; W[:d, d] = W[d, :d] = x[oZ2:oZ2 + d]; W[d, d] = np.trace(Z1)
        Z = W.copy(); Z[:d, :d] += Q / a; Z[:d, d] += x[oq:oq + d] / b; Z[d, :d] = Z[:d, d]; Z[d, d] = np.trace(Z[:d, :d])
        return Z, W
    return A, right, cost, nv, matrices

def run_direct():
    A, right, cost, nv, matrices = direct_data()
    if solver == "SCS":
        work = scs.SCS(dict(A=A, b=right, c=cost), dict(l=2 * n, s=[d + 1] * (n + 2)), verbose=False, time_limit_secs=job["limit"])
        found = work.solve(); x = found["x"]; status = found["info"]["status"]
    else:
        settings = clarabel.DefaultSettings(); settings.verbose = False; settings.time_limit = float(job["limit"])
        cones = [clarabel.NonnegativeConeT(2 * n)] + [clarabel.PSDTriangleConeT(d + 1)] * (n + 2)
        found = clarabel.DefaultSolver(sp.csc_matrix((nv, nv)), cost, A, right, cones, settings).solve()
        x = np.array(found.x); status = str(found.status)
    return (*matrices(x), status)

begin = cpu()
Z, W, status = run_cvxpy() if form == "cvxpy" else run_direct()
spent = cpu() - begin
print(json.dumps(dict(status=status, cpu=spent, positive=np.asarray(Z).ravel().tolist(), negative=np.asarray(W).ravel().tolist())))
`;
