// Choice of the penalty sigma: a large sigma drives the primal residual down, a small one the dual residual. After every
// window of iterations sigma is multiplied by the geometric mean of sqrt(primal / dual) over the window, kept within a factor
// of 10, when that is far enough from 1; windows grow, so that in the end sigma is constant and the method converges.

export interface Balance {
  /** Takes the residuals of one iteration and returns the factor for sigma: 1 for no change. */
  next(primal: number, dual: number): number;
}

export function createBalance(): Balance {
  let window = 20;
  let count = 0;
  let sum = 0;
  return {
    next(primal, dual) {
      const tiny = 1e-14;
      sum += Math.log((primal + tiny) / (dual + tiny));
      count++;
      if (count < window) return 1;
      const factor = Math.min(10, Math.max(0.1, Math.exp((0.5 * sum) / count)));
      count = 0;
      sum = 0;
      if (factor > 1 / 1.3 && factor < 1.3) return 1;
      window = Math.min(2000, Math.ceil(1.3 * window));
      return factor;
    },
  };
}
