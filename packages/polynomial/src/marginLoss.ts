// Convex losses of the worst margin w, as functions of the slack x = 1 - w (math.md 4, 7), for one sample of weight kappa:
//   hinge kappa max(0, x)    squared hinge kappa max(0, x)^2    logistic kappa log(1 + exp(x - 1))
// and their conjugates: sum_i conjugate(p_i) is the dual objective for weights p_i = kappa_i * derivative >= 0,
//   hinge p (p <= kappa)     squared hinge p - p^2 / (4 kappa)   logistic kappa H(p / kappa), H(t) = -t ln t - (1-t) ln(1-t)

export type MarginLoss = "hinge" | "squared-hinge" | "logistic";

/** The margin losses, and the squared error of regression: kappa x^2 of x = largest |f - target| on the ball. */
export type LossName = MarginLoss | "squared";

export interface LossShape {
  readonly name: LossName;
  /** The loss is flat for x <= 0, and x >= 0 is a constraint of the program. */
  readonly flatBelowZero: boolean;
  /** Supremum of the derivative over x, for kappa = 1: p_i / kappa_i stays below it. */
  readonly largestSlope: number;
  /** The derivative changes with x, so primal and dual steps must be taken together. */
  readonly curved: boolean;
  /** Longest change of x in one Newton step for which the second-order model is trusted. */
  readonly trust: number;
  value(x: number): number;
  slope(x: number): number;
  curvature(x: number): number;
  /** Largest lower bound of kappa loss + p w over w, for 0 <= p <= largest slope * kappa. */
  conjugate(p: number, kappa: number): number;
  /** d conjugate / d p */
  conjugateSlope(p: number, kappa: number): number;
}

const hinge: LossShape = {
  name: "hinge",
  flatBelowZero: true,
  largestSlope: 1,
  curved: false,
  trust: Number.POSITIVE_INFINITY,
  value: (x) => Math.max(0, x),
  slope: () => 1,
  curvature: () => 0,
  conjugate: (p) => p,
  conjugateSlope: () => 1,
};

const squaredHinge: LossShape = {
  name: "squared-hinge",
  flatBelowZero: true,
  largestSlope: Number.POSITIVE_INFINITY,
  curved: true,
  trust: Number.POSITIVE_INFINITY,
  value: (x) => (x > 0 ? x * x : 0),
  slope: (x) => 2 * x,
  curvature: () => 2,
  conjugate: (p, kappa) => p - (p * p) / (4 * kappa),
  conjugateSlope: (p, kappa) => 1 - p / (2 * kappa),
};

const logistic: LossShape = {
  name: "logistic",
  flatBelowZero: false,
  largestSlope: 1,
  curved: true,
  trust: 2,
  value: (x) => (x > 1 ? x - 1 + Math.log1p(Math.exp(1 - x)) : Math.log1p(Math.exp(x - 1))),
  slope: (x) => 1 / (1 + Math.exp(1 - x)),
  curvature: (x) => 1 / ((1 + Math.exp(1 - x)) * (1 + Math.exp(x - 1))),
  conjugate(p, kappa) {
    const t = p / kappa;
    if (!(t > 0 && t < 1)) return 0;
    return -kappa * (t * Math.log(t) + (1 - t) * Math.log1p(-t));
  },
  conjugateSlope(p, kappa) {
    const t = p / kappa;
    return t >= 1 ? Number.NEGATIVE_INFINITY : Math.log((1 - t) / t);
  },
};

/** Its dual couples the two sides of an error: see `certificate.ts`. */
const squared: LossShape = {
  ...squaredHinge,
  name: "squared",
  flatBelowZero: false,
  value: (x) => x * x,
};

const shapes: Readonly<Record<LossName, LossShape>> = { hinge, "squared-hinge": squaredHinge, logistic, squared };

export function lossShape(name: LossName): LossShape {
  return shapes[name];
}
