// The two ways to train the scores of a polynomial head on scaled features `[samples, features]`:
//   one-vs-all: a certified two-class problem per class, each remembered when it is done
//   weston-watkins, crammer-singer: one certified problem over all classes, on exact pairwise worst margins (math.md 10)

import { type NumericBatch, throwIfAborted, type Warning } from "@worstcase/core";
import { fitClass, fitPairwise, type PairwiseLoss, prepareTrainingData } from "@worstcase/polynomial";
import type { PolynomialHeadOptions } from "./polynomialHead.js";
import { forget } from "./robustHead.js";

export const multiclassKinds = ["one-vs-all", "weston-watkins", "crammer-singer"] as const;
/** How several classes become training problems. */
export type Multiclass = (typeof multiclassKinds)[number];

/** How one certified problem ended. */
export interface CertifiedProblem {
  readonly status: string;
  readonly objective: number;
  readonly lowerBound: number;
  readonly gap: number;
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

/** The neurons of one class: plain JSON, numbers exact. */
export interface PolynomialScore {
  /** Row-major `[neurons, features]`, unit rows. */
  readonly directions: readonly number[];
  readonly weights: readonly number[];
}

/** What is kept of a class trained against the rest. */
export interface PolynomialClass extends PolynomialScore, CertifiedProblem {}

/** What is kept of all classes trained together. */
export interface JointTraining extends CertifiedProblem {
  readonly multiclass: PairwiseLoss;
  readonly classes: readonly PolynomialScore[];
}

export type PolynomialTraining =
  | { readonly multiclass: "one-vs-all"; readonly classes: readonly PolynomialClass[] }
  | JointTraining;

/** The certified problems behind a head: one per class, or one. */
export function problemsOf(training: PolynomialTraining): readonly CertifiedProblem[] {
  return training.multiclass === "one-vs-all" ? training.classes : [training];
}

export async function trainOneVersusAll(
  points: NumericBatch,
  labels: Int32Array,
  options: PolynomialHeadOptions,
): Promise<PolynomialTraining> {
  const { classCount, remember = forget, radius, beta, tolerance, signal, onEvent } = options;
  let data: ReturnType<typeof prepareTrainingData> | null = null;
  const classes: PolynomialClass[] = [];
  for (let c = 0; c < classCount; c++) {
    const trained = await remember(`class-${c}`, async (): Promise<PolynomialClass> => {
      data ??= prepareTrainingData(points);
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
    onEvent?.({ type: "progress", task: options.name, done: c + 1, total: classCount, values: { gap: trained.gap } });
  }
  return { multiclass: "one-vs-all", classes };
}

/** The whole training is one remembered piece; an abort inside it leaves nothing. */
export async function trainJointly(
  points: NumericBatch,
  labels: Int32Array,
  multiclass: PairwiseLoss,
  options: PolynomialHeadOptions,
): Promise<PolynomialTraining> {
  const { classCount, remember = forget, radius, beta, tolerance, signal, onEvent } = options;
  const maxRounds = 60;
  const training = await remember(multiclass, async (): Promise<JointTraining> => {
    throwIfAborted(signal, "joint training");
    const result = fitPairwise(points, labels, classCount, {
      radius,
      loss: multiclass,
      beta,
      tolerance,
      maxRounds,
      ...(options.classWeights === "balanced" ? { classWeights: "balanced" as const } : {}),
      signal,
      onEvent: ({ round, upper, gap }) =>
        onEvent?.({
          type: "progress",
          task: options.name,
          done: Math.min(round, maxRounds - 1),
          total: maxRounds,
          values: { objective: upper, gap },
        }),
    });
    return {
      multiclass,
      status: result.status,
      objective: result.objective.total,
      lowerBound: result.lowerBound,
      gap: result.gap,
      seconds: result.seconds,
      warnings: result.warnings,
      classes: result.networks.map(({ directions, weights }) => ({
        directions: [...directions],
        weights: [...weights],
      })),
    };
  });
  const values = { gap: training.gap };
  onEvent?.({ type: "progress", task: options.name, done: maxRounds, total: maxRounds, values });
  return training;
}
