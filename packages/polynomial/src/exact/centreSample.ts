// The centre of what a sample with a hinge can choose when U is given: its multiplier l, slack x and dual block for mu,
//   minimise kappa x - mu (log det S + log l + log x),   S = [H + l I, v; v', y f - l - target + x] with H = y r^2 F11
// With h the eigenvalues of H, v in their basis, and s = x - t what is left of the corner after elimination of the block,
//   t(l) = target - y f + l + sum v_k^2 / (h_k + l),   kappa = mu / s + mu / x   (s in closed form for every t),
//   (mu / s) t'(l) = mu (sum 1 / (h_k + l) + 1 / l)   (increasing in l: bisection)
// Then Y = mu S^-1, nu = mu / l and eta = mu / x meet every dual equation of the sample.

/** Eigenvalues h `[d]` and squares of v `[d]`, ascending with h. */
interface SampleShape {
  readonly curvatures: Float64Array;
  readonly squares: Float64Array;
  /** target - y f */
  readonly missing: number;
}

export interface Centre {
  multiplier: number;
  slack: number;
}

const halvings = 50;

/** Writes the centre for weight kappa > 0 and mu > 0. */
export function centreSample(
  { curvatures, squares, missing }: SampleShape,
  kappa: number,
  mu: number,
  out: Centre,
): void {
  const d = curvatures.length;
  let lowest = 0;
  for (let k = 0; k < d; k++) lowest = Math.max(lowest, -curvatures[k]);
  // Bisection on the logarithm of l - lowest.
  let low = 1e-14 * (1 + lowest);
  let high = 1;
  while (tooSmall(lowest + high) && high < 1e15) {
    low = high;
    high *= 8;
  }
  for (let step = 0; step < halvings && high > 1.0001 * low; step++) {
    const middle = Math.sqrt(low * high);
    if (tooSmall(lowest + middle)) low = middle;
    else high = middle;
  }
  const l = lowest + high;
  const t = shortage(l);
  out.multiplier = l;
  out.slack = remainder(t) + t;
  // For very negative t the sum cancels; kappa = mu / s + mu / x has x below then.
  if (t < 0) out.slack = Math.max(out.slack, (mu * t) / (kappa * t - mu));

  function shortage(l: number): number {
    let t = missing + l;
    for (let k = 0; k < d; k++) t += squares[k] / (curvatures[k] + l);
    return t;
  }

  /** s > 0 with kappa = mu / s + mu / (s + t). */
  function remainder(t: number): number {
    const rest = 2 * mu - kappa * t;
    const root = Math.hypot(kappa * t, 2 * mu);
    return rest > 0 ? (rest + root) / (2 * kappa) : (2 * mu * t) / (root - rest);
  }

  function tooSmall(l: number): boolean {
    let slope = 1;
    let barrier = 1 / l;
    for (let k = 0; k < d; k++) {
      const q = 1 / (curvatures[k] + l);
      slope -= squares[k] * q * q;
      barrier += q;
    }
    return slope < barrier * remainder(shortage(l));
  }
}
