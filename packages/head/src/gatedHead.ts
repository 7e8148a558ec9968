// Robust gated ReLU head: shared sampled gates, one linear map per gate and class, certified optimality over those gates (math.md 13).
// Its hard gates hide the effect of moving them from gradients, so a straight-through surrogate comes with it for attacks.

import type { NumericBatch, Rng, Warning, WorkOptions } from "@worstcase/core";
import { symmetricEigen } from "@worstcase/linalg";
import {
  certifiedMargins,
  createGatedClassifier,
  fitGatedRelu,
  type GatedReluJson,
  type GatedReluModel,
  gatedModelFromJson,
  gatedModelToJson,
  sampleGates,
} from "@worstcase/relu";
import { Matrix } from "ml-matrix";
import { withScaling } from "./attach.js";
import { applyScaling, type FeatureScaling } from "./featureScaling.js";
import { forget, type Remember, type RobustHead } from "./robustHead.js";

export interface GatedHeadOptions extends WorkOptions {
  readonly name: string;
  readonly scaling: FeatureScaling;
  /** l2 training radius in scaled coordinates; 0 trains the non-robust head. */
  readonly radius: number;
  readonly beta: number;
  readonly classCount: number;
  /** Gates to draw; equal patterns count once. */
  readonly gates: number;
  readonly tolerance: number;
  readonly rng: Rng;
  readonly remember?: Remember;
}

export interface GatedTraining {
  readonly status: string;
  readonly objective: number;
  readonly lowerBound: number;
  readonly gap: number;
  readonly model: GatedReluJson;
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

/** Trains on raw features `[samples, features]` and class indices. Throws as `fitGatedRelu`. */
export async function trainGatedHead(
  features: NumericBatch,
  labels: Int32Array,
  options: GatedHeadOptions,
): Promise<RobustHead> {
  const { classCount, remember = forget, scaling, radius, beta, tolerance, signal, onEvent } = options;
  const trained = await remember("model", async (): Promise<GatedTraining> => {
    const points = applyScaling(scaling, features);
    const gates = sampleGates(points, { count: options.gates, rng: options.rng, bias: true });
    const result = await fitGatedRelu(points, labels, classCount, {
      radius,
      norm: "l2",
      beta,
      gates,
      tolerance,
      signal,
      onEvent: ({ iteration, objective, gap }) =>
        onEvent?.({
          type: "progress",
          task: options.name,
          done: Math.min(iteration, 1999),
          total: 2000,
          values: { objective, gap },
        }),
    });
    onEvent?.({ type: "progress", task: options.name, done: 2000, total: 2000, values: { gap: result.gap } });
    return {
      status: result.status,
      objective: result.objective.total,
      lowerBound: result.lowerBound,
      gap: result.gap,
      model: gatedModelToJson(result.model),
      seconds: result.seconds,
      warnings: result.warnings,
    };
  });
  return gatedHeadOf(trained, options);
}

/** The head of a finished training. */
export function gatedHeadOf(
  trained: GatedTraining,
  options: Pick<GatedHeadOptions, "name" | "scaling" | "radius" | "beta" | "tolerance">,
): RobustHead {
  const { name, scaling, radius, beta, tolerance } = options;
  const model: GatedReluModel = gatedModelFromJson(trained.model);
  const classifier = (gradient: "exact" | "straight-through", id: string) =>
    withScaling(scaling, createGatedClassifier(model, { gradient }), id);
  return {
    name,
    kind: "gated-relu",
    trained: { kind: "gated-relu", training: trained },
    scaling,
    radius: { space: "feature", norm: "l2", value: radius },
    beta,
    classifier: classifier("exact", name),
    surrogate: classifier("straight-through", `${name}, straight-through`),
    evidence: {
      objective: trained.objective,
      lowerBound: trained.lowerBound,
      gap: trained.gap,
      statuses: [trained.status],
      solved: trained.gap <= tolerance,
      seconds: trained.seconds,
    },
    warnings: trained.warnings,
    robustness: (features, labels, ball, metric) => {
      // the ball of the metric lies inside a ball of the head's own coordinates, whose radius grows by the largest stretch between them
      const own = ball * largestStretch(metric, scaling);
      const margins = certifiedMargins(model, applyScaling(scaling, features), labels, { radius: own, norm: "l2" });
      return { kind: "certified", robust: Uint8Array.from(margins, (margin) => (margin > 0 ? 1 : 0)) };
    },
  };
}

/** Largest factor by which a vector grows from isotropic coordinates `from` to coordinates `to`, rounded up. */
function largestStretch(from: FeatureScaling, to: FeatureScaling): number {
  if (from === to) return 1;
  const ratio = from.scale / to.scale;
  if (!to.whitening) return ratio;
  const size = to.centre.length;
  const { values } = symmetricEigen(Matrix.from1DArray(size, size, to.whitening));
  return ratio * values[size - 1] * (1 + 1e-9);
}
