// Robust polynomial head: one quadratic score per class, trained with a certificate, the argmax of the scores as prediction.
// Robustness of the argmax in feature space is exact: pairwise differences of quadratics, each minimised on the ball (math.md 10).

import {
  checkLabels,
  type NumericBatch,
  SettingError,
  sampleCount,
  type Warning,
  type WorkOptions,
} from "@worstcase/core";
import {
  createPolynomialClassifier,
  pairwiseWorstMargins,
  paperActivation,
  type Quadratic,
  quadraticFromNeurons,
} from "@worstcase/polynomial";
import { withScaling } from "./attach.js";
import { toIsotropic } from "./commonCoordinates.js";
import { applyScaling, type FeatureScaling } from "./featureScaling.js";
import {
  type CertifiedProblem,
  type Multiclass,
  multiclassKinds,
  type PolynomialTraining,
  problemsOf,
  trainJointly,
  trainOneVersusAll,
} from "./polynomialTraining.js";
import type { Remember, RobustHead } from "./robustHead.js";

export interface PolynomialHeadOptions extends WorkOptions {
  readonly name: string;
  readonly scaling: FeatureScaling;
  /** l2 training radius in scaled coordinates; 0 trains the non-robust head. */
  readonly radius: number;
  readonly beta: number;
  readonly classCount: number;
  /**
   * `one-vs-all` (default) trains every class against the rest; `weston-watkins` and `crammer-singer` train all classes together on their
   * exact pairwise margins, whose scores get close to constants only at larger radii.
   */
  readonly multiclass?: Multiclass;
  /** Certified relative gap at which training stops: of each class one-vs-all, else of the whole. */
  readonly tolerance: number;
  /** `balanced`: equal total weight of both sides of every one-vs-all problem, or of all classes of a joint one. */
  readonly classWeights: "none" | "balanced";
  /** Keeps finished problems (the classes of one-vs-all, the whole of a joint training), so that an interrupted training goes on. */
  readonly remember?: Remember;
}

/**
 * Trains on raw features `[samples, features]` and class indices. An ellipsoid is a ball in the scaled coordinates, so every `multiclass`
 * takes both kinds of sets. Throws as `fitPolynomial` and `fitPairwise`, SettingError on an unknown `multiclass`, AbortedError.
 */
export async function trainPolynomialHead(
  features: NumericBatch,
  labels: Int32Array,
  options: PolynomialHeadOptions,
): Promise<RobustHead> {
  const { classCount, scaling, multiclass = "one-vs-all" } = options;
  if (!multiclassKinds.includes(multiclass)) {
    const expected = `one of ${multiclassKinds.join(", ")}`;
    throw new SettingError({ argument: "options.multiclass", expected, received: multiclass });
  }
  checkLabels(labels, sampleCount(features), classCount);
  const points = applyScaling(scaling, features);
  const training =
    multiclass === "one-vs-all"
      ? await trainOneVersusAll(points, labels, options)
      : await trainJointly(points, labels, multiclass, options);
  return polynomialHeadOf(training, options);
}

/** The head of a finished training. */
export function polynomialHeadOf(
  training: PolynomialTraining,
  options: Pick<PolynomialHeadOptions, "name" | "scaling" | "radius" | "beta" | "tolerance">,
): RobustHead {
  const { name, scaling, radius, beta } = options;
  const quadratics = training.classes.map(({ directions, weights }) =>
    quadraticFromNeurons(
      { directions: Float64Array.from(directions), weights: Float64Array.from(weights), activation: paperActivation },
      scaling.centre.length,
    ),
  );
  const problems = problemsOf(training);
  const sum = (pick: (problem: CertifiedProblem) => number) =>
    problems.reduce((total, problem) => total + pick(problem), 0);
  return {
    name,
    kind: "polynomial",
    trained: { kind: "polynomial", training },
    scaling,
    radius: { space: "feature", norm: "l2", value: radius },
    beta,
    classifier: withScaling(scaling, createPolynomialClassifier({ quadratics, id: name }), name),
    surrogate: null,
    evidence: {
      objective: sum((problem) => problem.objective),
      lowerBound: sum((problem) => problem.lowerBound),
      gap: Math.max(...problems.map((problem) => problem.gap)),
      statuses: problems.map((problem) => problem.status),
      solved: problems.every((problem) => problem.gap <= options.tolerance),
      seconds: sum((problem) => problem.seconds),
    },
    warnings: mergeWarnings(problems),
    robustness: (features, labels, ball, metric) => ({
      kind: "exact",
      robust: robustSamples(
        metric === scaling ? quadratics : quadratics.map((quadratic) => toIsotropic(quadratic, scaling, metric)),
        applyScaling(metric, features),
        labels,
        ball,
      ),
    }),
  };
}

/** Samples whose argmax is right on the whole l2 ball, `[samples]`: every exact pairwise margin is positive. */
export function robustSamples(
  quadratics: readonly Quadratic[],
  points: NumericBatch,
  labels: Int32Array,
  radius: number,
): Uint8Array {
  const { worst } = pairwiseWorstMargins(quadratics, points, labels, radius);
  return Uint8Array.from(worst, (margin) => (margin > 0 ? 1 : 0));
}

/** One warning per code; that of the first problem speaks for the others, whose classes are named. */
function mergeWarnings(problems: readonly CertifiedProblem[]): Warning[] {
  const merged = new Map<string, { message: string; classes: number[] }>();
  for (const [c, { warnings }] of problems.entries()) {
    for (const { code, message } of warnings) {
      const entry = merged.get(code) ?? { message, classes: [] };
      merged.set(code, { ...entry, classes: [...entry.classes, c] });
    }
  }
  return [...merged].map(([code, { message, classes: affected }]) => ({
    code,
    message: affected.length === 1 ? message : `${message} (likewise classes ${affected.slice(1).join(", ")})`,
  }));
}
