// Views of a classifier for attacks: gradients from elsewhere, other bounds, and a meter.

import {
  type Bounds,
  type Classifier,
  type DifferentiableClassifier,
  evaluateLoss,
  type NumericBatch,
  ShapeError,
  sampleCount,
} from "@worstcase/core";
import { isDifferentiable } from "./checks.js";
import { countZeroRows } from "./gradient.js";

/**
 * The model with the gradients of `surrogate`: losses and logits stay those of the model, so success is measured on it. This is how a
 * head with hard gates is attacked through softened, straight-through ones. Throws ShapeError when inputs or classes differ.
 */
export function withSurrogateGradients(
  model: Classifier,
  surrogate: DifferentiableClassifier,
): DifferentiableClassifier {
  if (model.classCount !== surrogate.classCount || model.inputShape.join() !== surrogate.inputShape.join()) {
    const expected = `inputs [${model.inputShape.join(", ")}] and ${model.classCount} classes, as ${model.id}`;
    const received = `inputs [${surrogate.inputShape.join(", ")}] and ${surrogate.classCount} classes`;
    throw new ShapeError({ argument: "surrogate", expected, received });
  }
  return {
    id: `${model.id} through ${surrogate.id}`,
    inputShape: model.inputShape,
    classCount: model.classCount,
    bounds: model.bounds,
    logits: (inputs) => model.logits(inputs),
    async lossGradient(inputs, loss) {
      const { gradient } = await surrogate.lossGradient(inputs, loss);
      const logits = await model.logits(inputs);
      return { loss: evaluateLoss(logits, loss).loss, logits, gradient };
    },
  };
}

/**
 * The model behind a preprocessing step whose gradient is taken to be the identity (backward pass differentiable approximation,
 * Athalye et al. 2018, arXiv 1802.00420): logits are those of `model` at `preprocess(x)`, gradients those of `model` at that
 * point, passed straight through. For quantised or otherwise stepwise inputs. `id` names the joined model.
 */
export function withStraightThrough(
  model: DifferentiableClassifier,
  id: string,
  preprocess: (inputs: NumericBatch) => NumericBatch,
): DifferentiableClassifier {
  const apply = (inputs: NumericBatch) => {
    const prepared = preprocess(inputs);
    if (prepared.data.length === inputs.data.length) return { data: prepared.data, shape: inputs.shape };
    const expected = `shape [${inputs.shape.join(", ")}], that of the inputs`;
    throw new ShapeError({ argument: "result of preprocess", expected, received: prepared.shape });
  };
  return {
    id,
    inputShape: model.inputShape,
    classCount: model.classCount,
    bounds: model.bounds,
    logits: (inputs) => model.logits(apply(inputs)),
    lossGradient: (inputs, loss) => model.lossGradient(apply(inputs), loss),
  };
}

/** The same model with other input bounds; `withBounds(model, "unbounded")` attacks without clipping. */
export function withBounds(model: DifferentiableClassifier, bounds: Bounds): DifferentiableClassifier {
  return {
    id: model.id,
    inputShape: model.inputShape,
    classCount: model.classCount,
    bounds,
    logits: (inputs) => model.logits(inputs),
    lossGradient: (inputs, loss) => model.lossGradient(inputs, loss),
  };
}

export interface Meter {
  /** Samples evaluated without gradient. */
  forward: number;
  /** Samples evaluated with gradient. */
  gradient: number;
  /** Of the first gradient call after `startWatch()`: rows, and rows that are exactly zero. */
  watched: { samples: number; zero: number };
  startWatch(): void;
}

/** Counts calls and looks for vanishing gradients. Without `lossGradient` in the model there is none in the metered one. */
export function metered(model: Classifier): { model: DifferentiableClassifier; meter: Meter } {
  let watching = false;
  const meter: Meter = {
    forward: 0,
    gradient: 0,
    watched: { samples: 0, zero: 0 },
    startWatch: () => {
      watching = true;
    },
  };
  const view = {
    id: model.id,
    inputShape: model.inputShape,
    classCount: model.classCount,
    bounds: model.bounds,
    logits(inputs: NumericBatch) {
      meter.forward += sampleCount(inputs);
      return model.logits(inputs);
    },
  };
  if (!isDifferentiable(model)) return { model: view as unknown as DifferentiableClassifier, meter };
  const withGradient: DifferentiableClassifier = {
    ...view,
    async lossGradient(inputs, loss) {
      meter.gradient += sampleCount(inputs);
      const result = await model.lossGradient(inputs, loss);
      if (watching) {
        watching = false;
        meter.watched.samples += sampleCount(inputs);
        meter.watched.zero += countZeroRows({ data: result.gradient.data, shape: inputs.shape });
      }
      return result;
    },
  };
  return { model: withGradient, meter };
}
