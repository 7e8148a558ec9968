// Exact worst cases as an attack, where the mathematics of a model gives them (linear, quadratic and gated heads over features). The method
// comes from outside as a function, so this package knows no model. Its points are verified by the harness like those of any attack.

import {
  type Bounds,
  type Budget,
  type Classifier,
  type LabelledBatch,
  type Norm,
  type NumericBatch,
  ShapeError,
} from "@worstcase/core";
import type { Attack } from "../attack.js";
import { checkAttackRun } from "../checks.js";
import { PerturbationSet } from "../perturbationSet.js";

/** Belongs to one model: the function knows its weights. */
export interface ExactWorstCase {
  /** For example `exact quadratic`. */
  readonly name: string;
  readonly norms: readonly Norm[];
  /** Everything that changes the points. JSON-serialisable. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** For every sample a point of the budget, inside the model's bounds, where its margin is largest; shape of `batch.inputs`. */
  worstPoints(
    batch: LabelledBatch,
    budget: Budget,
    context: { readonly bounds: Bounds; readonly signal?: AbortSignal | undefined },
  ): NumericBatch | Promise<NumericBatch>;
}

/**
 * The attack that returns exact worst cases. It is left out of masking warnings: that it beats gradient attacks says by how much they fall
 * short, see {@link attackGap}. Its `run` throws ShapeError when the method returns another shape.
 */
export function exactAttack(method: ExactWorstCase): Attack<Classifier> {
  const { name, norms, settings = {} } = method;
  const needs = { norms, gradients: false };
  return {
    name,
    kind: "exact",
    needs,
    settings,
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name, needs }, options);
      const points = await method.worstPoints(batch, options.budget, { bounds: model.bounds, signal: options.signal });
      if (points.data.length !== batch.inputs.data.length) {
        const expected = `shape [${batch.inputs.shape.join(", ")}], that of the inputs`;
        throw new ShapeError({ argument: `result of ${name}`, expected, received: points.shape });
      }
      const data = batch.inputs.data.slice();
      data.set(points.data);
      // float32 inputs: rounding may lead out of the budget by more than the harness allows
      if (data instanceof Float32Array) {
        const set = new PerturbationSet(batch.inputs, options.budget, model.bounds);
        for (let i = 0; i < batch.labels.length; i++) set.project(data, i, i);
      }
      return { data, shape: batch.inputs.shape };
    },
  };
}
