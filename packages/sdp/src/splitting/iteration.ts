// One iteration of the splitting method, with its memory: see splitting.ts for the formulas.
//   split:  W = S - T          solve: M x = <F_k, S + T + F_0> - c / sigma         V = sum x_k F_k - F_0
//   f = relaxation (V - S),  g = W + f,  W <- g or the accelerated candidate
// A candidate is judged by |f| at the next iteration: above twice the |f| it came from, W goes back to that g.

import { type Workspace, workspaceSize } from "@worstcase/linalg/kernels";
import { accelerationSize, createAcceleration } from "./acceleration.js";
import { createBalance } from "./balance.js";
import { measurePoint, type Residuals } from "./measure.js";
import { factorNormalEquations, factorSize } from "./normalEquations.js";
import { createProjection, type Projection, projectionSize } from "./projection.js";
import { combine, innerProducts, type ScaledProblem } from "./scaledProblem.js";

/** Largest growth of |f| that an accelerated step may cause. */
const GROWTH = 2;

export interface Iteration {
  /** One iteration; false when an eigendecomposition failed on NaN or infinite numbers. */
  step(): boolean;
  /** Starts at W = S - T instead of 0; scaled slack, and T for penalty sigma. */
  startAt(slack: Float64Array, dual: Float64Array, sigma: number): void;
  /** Of the last step: x, S, T with Y = sigma T, <F_k, T>, <F_0, T> + b't. */
  readonly x: Float64Array;
  readonly slack: Float64Array;
  readonly dual: Float64Array;
  readonly products: Float64Array;
  constant: number;
  sigma: number;
  readonly residuals: Residuals;
  readonly projection: Projection;
  /** Three `[N]` arrays that hold nothing between steps. */
  readonly scratch: readonly [Float64Array, Float64Array, Float64Array];
}

export interface IterationOptions {
  readonly relaxation: number;
  readonly accelerationMemory: number;
}

/** Numbers of workspace that an iteration takes. */
export function iterationSize(
  problem: Pick<ScaledProblem, "length" | "parts" | "variables">,
  groups: readonly Int32Array[],
  memory: number,
): number {
  const { length, parts } = problem;
  const vectors = workspaceSize(...new Array<number>(7).fill(length));
  return vectors + projectionSize(parts) + factorSize(groups) + accelerationSize(memory, length);
}

/** Undefined when the normal equations cannot be factored. */
export function createIteration(
  problem: ScaledProblem,
  groups: readonly Int32Array[],
  options: IterationOptions,
  workspace: Workspace,
): Iteration | undefined {
  const { length, parts, variables, objective } = problem;
  const [w, slack, dual, value, f, g, fallback] = Array.from({ length: 7 }, () => workspace.float64(length));
  const projection = createProjection(parts, workspace);
  const equations = factorNormalEquations(problem, groups, workspace);
  if (!equations) return undefined;
  const acceleration = createAcceleration(options.accelerationMemory, length, workspace);
  const balance = createBalance();
  const x = new Float64Array(variables);
  const right = new Float64Array(variables);
  const products = new Float64Array(variables);
  /** <F_k, F_0>. */
  const constants = new Float64Array(variables);
  combine(problem, x, g);
  innerProducts(problem, g, constants);
  for (let k = 0; k < variables; k++) constants[k] = -constants[k];
  g.fill(0);
  const residuals: Residuals = { primal: 0, dual: 0, gap: 0, primalObjective: 0, dualObjective: 0 };
  let factor = 1;
  /** |f| that the pending candidate must not exceed; Infinity when there is none pending. */
  let limit = Infinity;

  const iteration: Iteration = {
    step,
    startAt,
    x,
    slack,
    dual,
    products,
    constant: 0,
    sigma: 1,
    residuals,
    projection,
    scratch: [value, f, g],
  };

  function startAt(startSlack: Float64Array, startDual: Float64Array, sigma: number): void {
    for (let p = 0; p < length; p++) w[p] = startSlack[p] - startDual[p];
    iteration.sigma = sigma;
  }

  function step(): boolean {
    if (!projection.split(w, slack, dual)) return false;
    if (factor !== 1) changePenalty();
    // <F_k, S> into `right`, <F_k, T> into `products`
    innerProducts(problem, slack, right);
    iteration.constant = innerProducts(problem, dual, products);
    const { sigma } = iteration;
    for (let k = 0; k < variables; k++) right[k] += products[k] + constants[k] - objective[k] / sigma;
    equations!.solve(right, x);
    combine(problem, x, value);
    let square = 0;
    let valueSquare = 0;
    let slackSquare = 0;
    for (let p = 0; p < length; p++) {
      valueSquare += value[p] * value[p];
      slackSquare += slack[p] * slack[p];
      const difference = options.relaxation * (value[p] - slack[p]);
      f[p] = difference;
      g[p] = w[p] + difference;
      square += difference * difference;
    }
    measurePoint(problem, x, slack, value, products, iteration.constant, sigma, residuals);
    const size = Math.sqrt(square);
    if (size > limit) {
      w.set(fallback);
      limit = Infinity;
      acceleration.reset();
      return true;
    }
    factor = balancePenalty(size / options.relaxation, Math.max(valueSquare, slackSquare));
    acceleration.push(f, g);
    fallback.set(g);
    if (acceleration.propose(f, g, w)) limit = GROWTH * size;
    else {
      w.set(g);
      limit = Infinity;
    }
    return true;
  }

  /**
   * Factor for sigma from the scaled residuals of this step, |V - S| and |<F_k, Y> - c_k|, each the geometric mean of two relative
   * sizes: against the data, which have norm 1, and against the iterates (|V| or |S|, and |<F_k, Y>|).
   */
  function balancePenalty(difference: number, valueSquare: number): number {
    let productSquare = 1;
    let defectSquare = 0;
    for (let k = 0; k < variables; k++) {
      const product = iteration.sigma * products[k];
      productSquare += product * product;
      defectSquare += (product - objective[k]) ** 2;
    }
    const primal = difference / (1 + valueSquare) ** 0.25;
    const dual = Math.sqrt(defectSquare) / productSquare ** 0.25;
    return balance.next(primal, dual);
  }

  /** Keeps S and Y, so T and W change; the fixed-point map is another one from here on. */
  function changePenalty(): void {
    iteration.sigma *= factor;
    for (let p = 0; p < length; p++) {
      dual[p] /= factor;
      w[p] = slack[p] - dual[p];
    }
    factor = 1;
    limit = Infinity;
    acceleration.reset();
  }

  return iteration;
}
