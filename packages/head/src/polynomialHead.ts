// Robust polynomial head: one certified two-class problem per class (one-vs-all), the argmax of the scores as prediction.
// Robustness of the argmax in feature space is exact: pairwise differences of quadratics, each minimised on the ball (math.md 10).

import { checkLabels, type NumericBatch, sampleCount, type Warning, type WorkOptions } from "@worstcase/core";
import {
  createPolynomialClassifier,
  fitClass,
  pairwiseWorstMargins,
  paperActivation,
  prepareTrainingData,
  type Quadratic,
  quadraticFromNeurons,
} from "@worstcase/polynomial";
import { withScaling } from "./attach.js";
import { toIsotropic } from "./commonCoordinates.js";
import { applyScaling, type FeatureScaling } from "./featureScaling.js";
import { forget, type Remember, type RobustHead } from "./robustHead.js";

export interface PolynomialHeadOptions extends WorkOptions {
  readonly name: string;
  readonly scaling: FeatureScaling;
  /** l2 training radius in scaled coordinates; 0 trains the non-robust head. */
  readonly radius: number;
  readonly beta: number;
  readonly classCount: number;
  /** Certified relative gap per class at which training stops. */
  readonly tolerance: number;
  readonly classWeights: "none" | "balanced";
  /** Keeps finished classes, so that an interrupted training goes on with the next one. */
  readonly remember?: Remember;
}

/** What is kept of one trained class: plain JSON, numbers exact. */
export interface PolynomialClass {
  readonly status: string;
  readonly objective: number;
  readonly lowerBound: number;
  readonly gap: number;
  /** Row-major `[neurons, features]`, unit rows. */
  readonly directions: readonly number[];
  readonly weights: readonly number[];
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

/** Trains on raw features `[samples, features]` and class indices. Throws as `fitPolynomial`. */
export async function trainPolynomialHead(
  features: NumericBatch,
  labels: Int32Array,
  options: PolynomialHeadOptions,
): Promise<RobustHead> {
  const { classCount, remember = forget, scaling, radius, beta, tolerance } = options;
  checkLabels(labels, sampleCount(features), classCount);
  const points = applyScaling(scaling, features);
  let data: ReturnType<typeof prepareTrainingData> | null = null;
  const classes: PolynomialClass[] = [];
  for (let c = 0; c < classCount; c++) {
    const trained = await remember(`class-${c}`, async (): Promise<PolynomialClass> => {
      data ??= prepareTrainingData(points);
      const { signal, onEvent } = options;
      const result = fitClass(data, labels, c, {
        classCount,
        radius,
        beta,
        tolerance,
        ...(options.classWeights === "balanced" ? { classWeights: "balanced" as const } : {}),
        signal,
        onEvent: ({ upper, gap }) =>
          onEvent?.({
            type: "progress",
            task: options.name,
            done: c,
            total: classCount,
            values: { class: c, objective: upper, gap },
          }),
      });
      return {
        status: result.status,
        objective: result.objective.total,
        lowerBound: result.lowerBound,
        gap: result.gap,
        directions: [...result.neurons.directions],
        weights: [...result.neurons.weights],
        seconds: result.seconds,
        warnings: result.warnings,
      };
    });
    classes.push(trained);
    options.onEvent?.({
      type: "progress",
      task: options.name,
      done: c + 1,
      total: classCount,
      values: { gap: trained.gap },
    });
  }
  return polynomialHeadOf(classes, options);
}

/** The head of trained classes. */
export function polynomialHeadOf(
  classes: readonly PolynomialClass[],
  options: Pick<PolynomialHeadOptions, "name" | "scaling" | "radius" | "beta" | "tolerance">,
): RobustHead {
  const { name, scaling, radius, beta } = options;
  const quadratics = classes.map(({ directions, weights }) =>
    quadraticFromNeurons(
      { directions: Float64Array.from(directions), weights: Float64Array.from(weights), activation: paperActivation },
      scaling.centre.length,
    ),
  );
  const sum = (pick: (trained: PolynomialClass) => number) =>
    classes.reduce((total, trained) => total + pick(trained), 0);
  return {
    name,
    kind: "polynomial",
    trained: { kind: "polynomial", classes },
    scaling,
    radius: { space: "feature", norm: "l2", value: radius },
    beta,
    classifier: withScaling(scaling, createPolynomialClassifier({ quadratics, id: name }), name),
    surrogate: null,
    evidence: {
      objective: sum((trained) => trained.objective),
      lowerBound: sum((trained) => trained.lowerBound),
      gap: Math.max(...classes.map((trained) => trained.gap)),
      statuses: classes.map((trained) => trained.status),
      solved: classes.every((trained) => trained.gap <= options.tolerance),
      seconds: sum((trained) => trained.seconds),
    },
    warnings: mergeWarnings(classes),
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

/** One warning per code; that of the first class speaks for the others, which are named. */
function mergeWarnings(classes: readonly PolynomialClass[]): Warning[] {
  const merged = new Map<string, { message: string; classes: number[] }>();
  for (const [c, trained] of classes.entries()) {
    for (const { code, message } of trained.warnings) {
      const entry = merged.get(code) ?? { message, classes: [] };
      merged.set(code, { ...entry, classes: [...entry.classes, c] });
    }
  }
  return [...merged].map(([code, { message, classes: affected }]) => ({
    code,
    message: affected.length === 1 ? message : `${message} (likewise classes ${affected.slice(1).join(", ")})`,
  }));
}
