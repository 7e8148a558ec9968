// Is the prediction the same on the whole box? Cheapest answer first (math.md 12.2):
//   outer l2 ball of radius epsilon sqrt(d)  ->  coordinate attack  ->  diagonal S-procedure and an attack from its mean
//   ->  branch and bound.
// `robust` rests on a rigorous lower bound, `broken` on a point; what neither settles is `unknown`.

import { checkLabels, gatherBatch, type NumericBatch, type Radius, ShapeError } from "@worstcase/core";
import { checkPoints, type SignLabels } from "../inputs.js";
import { type Quadratic, subtractQuadratics } from "../quadratic.js";
import { worstCase } from "../worstCase/worstCase.js";
import { epsilonValue } from "./boxProblem.js";
import { type LinfOptions, linfAttack, linfLowerBounds, linfWorstCase } from "./linfBounds.js";

export type LinfVerdict = "robust" | "broken" | "unknown";

export interface LinfRobustness {
  /** `[samples]` */
  readonly verdicts: readonly LinfVerdict[];
  /** Share certified robust, and the share no attack broke: the true robust accuracy is between them. */
  readonly certified: number;
  readonly unbroken: number;
  /** Samples settled by each stage. */
  readonly stages: {
    readonly ball: number;
    readonly relaxation: number;
    readonly attack: number;
    readonly exact: number;
  };
}

export interface LinfRobustnessOptions extends LinfOptions {
  /** Branch and bound for what is left: always, never, or `auto` (default): with more than 20 features the first box only. */
  readonly exact?: "auto" | "always" | "never";
  /** Boxes of branch and bound a sample may take. Default 20000. */
  readonly maxNodes?: number;
}

const exactFeatures = 20;

/** Verdict per point on y f > 0 over the box. points `[samples, features]`, labels +1 / -1. Throws as `linfLowerBounds`. */
export function linfRobustness(
  quadratic: Quadratic,
  points: NumericBatch,
  labels: SignLabels,
  epsilon: number | Radius,
  options: LinfRobustnessOptions = {},
): LinfRobustness {
  const { exact = "auto", maxNodes, ...shared } = options;
  const width = epsilonValue(epsilon);
  const [samples, d] = checkPoints(points, "points", quadratic.dimension);
  const verdicts: LinfVerdict[] = new Array(samples).fill("unknown");
  const stages = { ball: 0, relaxation: 0, attack: 0, exact: 0 };
  let open = Array.from({ length: samples }, (_, i) => i);
  const settle = (stage: keyof typeof stages, verdictOf: (t: number) => LinfVerdict) => {
    open = open.filter((i, t) => {
      verdicts[i] = verdictOf(t);
      if (verdicts[i] === "unknown") return true;
      stages[stage]++;
      return false;
    });
  };
  const rows = () => gatherBatch(points, open);
  const signs = () => Float64Array.from(open, (i) => labels[i]);
  const kernels = shared.kernels ? { kernels: shared.kernels } : {};
  const immutable = Array.from(options.immutable ?? []);
  // With nothing left to move any ball contains the box.
  const held = immutable.length > 0 && immutable.length < d ? { immutable } : {};
  const reach = width * Math.sqrt(d - ("immutable" in held ? immutable.length : 0));
  const ball = worstCase(quadratic, points, labels, reach, { ...kernels, ...held, points: false });
  settle("ball", (t) => (ball.values[t] > 0 ? "robust" : "unknown"));
  if (open.length > 0) {
    const { values } = linfAttack(quadratic, rows(), signs(), width, shared);
    settle("attack", (t) => (values[t] <= 0 ? "broken" : "unknown"));
  }
  if (open.length > 0) {
    const { lowerBounds, means } = linfLowerBounds(quadratic, rows(), signs(), width, shared);
    const starts = Float64Array.from(open.flatMap((_, t) => Array.from(means.subarray(t * d, (t + 1) * d))));
    const attack = linfAttack(quadratic, rows(), signs(), width, { ...shared, starts });
    const certified = lowerBounds.map((bound) => (bound > 0 ? 1 : 0));
    settle("relaxation", (t) => (certified[t] ? "robust" : "unknown"));
    const values = attack.values.filter((_, t) => !certified[t]);
    settle("attack", (t) => (values[t] <= 0 ? "broken" : "unknown"));
  }
  if (open.length > 0 && exact !== "never") {
    const branches = exact === "always" || d <= exactFeatures;
    const limits = branches ? (maxNodes === undefined ? {} : { maxNodes }) : { maxNodes: 1 };
    const outcome = linfWorstCase(quadratic, rows(), signs(), width, { ...shared, ...limits, decide: 0 });
    settle("exact", (t) => (outcome.lowerBounds[t] > 0 ? "robust" : outcome.values[t] <= 0 ? "broken" : "unknown"));
  }
  return summary(verdicts, stages);
}

/**
 * The same for the argmax of several scores: robust when f_y - f_c is positive on the box for every other class c.
 * points `[samples, features]`, labels: class indices `[samples]`.
 */
export function linfArgmaxRobustness(
  quadratics: readonly Quadratic[],
  points: NumericBatch,
  labels: Int32Array,
  epsilon: number | Radius,
  options: LinfRobustnessOptions = {},
): LinfRobustness {
  if (quadratics.length < 2) {
    throw new ShapeError({ argument: "quadratics", expected: "at least two classes", received: quadratics.length });
  }
  const [samples] = checkPoints(points, "points", quadratics[0].dimension);
  checkLabels(labels, samples, quadratics.length);
  const verdicts: LinfVerdict[] = new Array(samples).fill("robust");
  const stages = { ball: 0, relaxation: 0, attack: 0, exact: 0 };
  for (let first = 0; first < quadratics.length; first++) {
    for (let second = first + 1; second < quadratics.length; second++) {
      const open: number[] = [];
      for (let i = 0; i < samples; i++) {
        if ((labels[i] === first || labels[i] === second) && verdicts[i] !== "broken") open.push(i);
      }
      if (open.length === 0) continue;
      const signs = Float64Array.from(open, (i) => (labels[i] === first ? 1 : -1));
      const difference = subtractQuadratics(quadratics[first], quadratics[second]);
      const pair = linfRobustness(difference, gatherBatch(points, open), signs, epsilon, options);
      for (const stage of ["ball", "relaxation", "attack", "exact"] as const) stages[stage] += pair.stages[stage];
      open.forEach((i, t) => {
        if (pair.verdicts[t] !== "robust") verdicts[i] = pair.verdicts[t];
      });
    }
  }
  return summary(verdicts, stages);
}

function summary(verdicts: LinfVerdict[], stages: LinfRobustness["stages"]): LinfRobustness {
  const share = (keep: (verdict: LinfVerdict) => boolean) => verdicts.filter(keep).length / verdicts.length;
  return {
    verdicts,
    certified: share((verdict) => verdict === "robust"),
    unbroken: share((verdict) => verdict !== "broken"),
    stages,
  };
}
