// Anderson acceleration of a fixed-point iteration w <- g(w) = w + f(w) (type II; Walker and Ni 2011):
//   with dF = (f_j - f_{j-1}), dG = (g_j - g_{j-1}) over the last `memory` steps,
//   gamma = argmin |f - dF' gamma|^2 + rho |gamma|^2,   candidate = g - dG' gamma
// The caller safeguards: a candidate whose residual grows is dropped for g (see splitting.ts).
// dF, dG: [memory, N]

import { type Workspace, workspaceSize } from "@worstcase/linalg/kernels";

export interface Acceleration {
  /** Takes note of f and g at the present point; call once per accepted step. */
  push(f: Float64Array, g: Float64Array): void;
  /** Writes the candidate into `out` and returns true, or returns false when there is no history or no sound solution. */
  propose(f: Float64Array, g: Float64Array, out: Float64Array): boolean;
  /** Forgets everything: the fixed-point map has changed. */
  reset(): void;
}

export function accelerationSize(memory: number, length: number): number {
  return memory === 0 ? 0 : workspaceSize(memory * length, memory * length, length, length, memory, memory);
}

/** With memory 0 nothing is ever proposed. */
export function createAcceleration(memory: number, length: number, workspace: Workspace): Acceleration {
  if (memory === 0) return { push() {}, propose: () => false, reset() {} };
  const changesF = workspace.float64(memory * length);
  const changesG = workspace.float64(memory * length);
  const previousF = workspace.float64(length);
  const previousG = workspace.float64(length);
  const products = workspace.float64(memory);
  const gamma = workspace.float64(memory);
  const rowsF = Array.from({ length: memory }, (_, i) => changesF.subarray(i * length, (i + 1) * length));
  const gram = new Float64Array(memory * memory);
  const factor = new Float64Array(memory * memory);
  let seen = 0;

  function push(f: Float64Array, g: Float64Array): void {
    if (seen > 0) {
      const row = (seen - 1) % memory;
      const at = row * length;
      for (let p = 0; p < length; p++) {
        changesF[at + p] = f[p] - previousF[p];
        changesG[at + p] = g[p] - previousG[p];
      }
      workspace.gemv(false, memory, length, 1, changesF, length, rowsF[row], 0, products);
      for (let i = 0; i < memory; i++) gram[row * memory + i] = gram[i * memory + row] = products[i];
    }
    previousF.set(f);
    previousG.set(g);
    seen++;
  }

  function propose(f: Float64Array, g: Float64Array, out: Float64Array): boolean {
    const count = Math.min(seen - 1, memory);
    if (count < 1) return false;
    workspace.gemv(false, memory, length, 1, changesF, length, f, 0, products);
    let trace = 0;
    for (let i = 0; i < count; i++) trace += gram[i * memory + i];
    if (!(trace > 0) || !solveRegularised(count, 1e-9 * trace)) return false;
    let size = 0;
    for (let i = 0; i < count; i++) size += Math.abs(gamma[i]);
    if (!(size < 1e6)) return false;
    out.set(g);
    workspace.gemv(true, count, length, -1, changesG, length, gamma, 1, out);
    return true;
  }

  /** gamma = (gram + rho I)^-1 products by a Cholesky factor of order `count`. */
  function solveRegularised(count: number, rho: number): boolean {
    for (let i = 0; i < count; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = gram[i * memory + j] + (i === j ? rho : 0);
        for (let k = 0; k < j; k++) sum -= factor[i * memory + k] * factor[j * memory + k];
        if (i === j) {
          if (!(sum > 0)) return false;
          factor[i * memory + i] = Math.sqrt(sum);
        } else factor[i * memory + j] = sum / factor[j * memory + j];
      }
    }
    gamma.fill(0);
    for (let i = 0; i < count; i++) {
      let sum = products[i];
      for (let k = 0; k < i; k++) sum -= factor[i * memory + k] * gamma[k];
      gamma[i] = sum / factor[i * memory + i];
    }
    for (let i = count - 1; i >= 0; i--) {
      let sum = gamma[i];
      for (let k = i + 1; k < count; k++) sum -= factor[k * memory + i] * gamma[k];
      gamma[i] = sum / factor[i * memory + i];
    }
    return true;
  }

  function reset(): void {
    seen = 0;
    gram.fill(0);
    changesF.fill(0);
    changesG.fill(0);
  }

  return { push, propose, reset };
}
