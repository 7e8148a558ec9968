// Compositions that stay differentiable: head after scaling (over features), head after a backbone (over pixels).
//   f(x) = head(scaling(x))           gradient = scaling' head'
//   f(image) = head(backbone(image))  gradient = J' head', one forward and one backward pass through the backbone

import {
  type DifferentiableClassifier,
  type FeatureExtractor,
  type Loss,
  type LossGradient,
  type NumericBatch,
  ShapeError,
} from "@worstcase/core";
import { applyScaling, type FeatureScaling, pullBackScaling } from "./featureScaling.js";

/** A head trained in scaled coordinates, as a classifier over backbone features `[samples, features]`. */
export function withScaling(
  scaling: FeatureScaling,
  head: DifferentiableClassifier,
  id = head.id,
): DifferentiableClassifier {
  checkWidth(head, scaling.centre.length, "scaling");
  return {
    id,
    inputShape: [scaling.centre.length],
    classCount: head.classCount,
    bounds: "unbounded",
    logits: (inputs) => head.logits(applyScaling(scaling, inputs)),
    async lossGradient(inputs: NumericBatch, loss: Loss): Promise<LossGradient> {
      const inner = await head.lossGradient(applyScaling(scaling, inputs), loss);
      return { ...inner, gradient: pullBackScaling(scaling, inner.gradient) };
    },
  };
}

/**
 * Backbone and head as one classifier over images in the extractor's bounds.
 * Throws ShapeError when the head does not take the extractor's features.
 */
export function attach(extractor: FeatureExtractor, head: DifferentiableClassifier): DifferentiableClassifier {
  checkWidth(head, extractor.featureCount, "extractor");
  return {
    id: `${extractor.id} + ${head.id}`,
    inputShape: extractor.inputShape,
    classCount: head.classCount,
    bounds: extractor.bounds,
    logits: async (inputs) => head.logits(await extractor.features(inputs)),
    async lossGradient(inputs: NumericBatch, loss: Loss): Promise<LossGradient> {
      const linearisation = await extractor.linearise(inputs);
      let inner: LossGradient;
      try {
        inner = await head.lossGradient(linearisation.features, loss);
      } catch (error) {
        await linearisation.dispose();
        throw error;
      }
      return { ...inner, gradient: await linearisation.pullback(inner.gradient) };
    },
  };
}

function checkWidth(head: DifferentiableClassifier, features: number, before: string): void {
  if (head.inputShape.length === 1 && head.inputShape[0] === features) return;
  const expected = `a head over the ${features} features of the ${before}`;
  throw new ShapeError({ argument: "head", expected, received: `inputs of shape [${head.inputShape.join(", ")}]` });
}
