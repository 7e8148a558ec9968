// The worst cases that the mathematics of a trained head gives, over raw features: exact ones for polynomial heads, those of fixed
// activation patterns for gated heads. A polynomial head is brought to raw coordinates first, so that budgets mean raw features:
//   u = x - centre,  f(u) as in commonCoordinates.ts with scale 1

import { type Attack, exactAttack, fixedPattern } from "@worstcase/attacks";
import { type Classifier, type DifferentiableClassifier, UnsupportedError } from "@worstcase/core";
import { paperActivation, quadraticFromNeurons } from "@worstcase/polynomial";
import { toIsotropic } from "../commonCoordinates.js";
import type { FeatureScaling } from "../featureScaling.js";
import type { RobustHead } from "../robustHead.js";
import { type PolynomialWorstCaseOptions, polynomialWorstCase } from "./polynomialWorstCase.js";

/**
 * An attack on `head.classifier`, for budgets in units of the raw features. Polynomial heads: exact in l2, and in linf up to 20
 * features (else coordinate descent). Gated heads: closed form for fixed patterns in linf, l2 and l1, exact where no gate switches on
 * the ball. Throws as {@link polynomialWorstCase}.
 */
export function exactAttackOf(
  head: RobustHead,
  options: PolynomialWorstCaseOptions = {},
): Attack<Classifier> | Attack<DifferentiableClassifier> {
  const { trained, scaling } = head;
  if (trained.kind === "gated-relu") return fixedPattern();
  const features = scaling.centre.length;
  const raw: FeatureScaling = { kind: "isotropic", centre: scaling.centre, whitening: null, scale: 1 };
  const quadratics = trained.training.classes.map(({ directions, weights }) => {
    const neurons = {
      directions: Float64Array.from(directions),
      weights: Float64Array.from(weights),
      activation: paperActivation,
    };
    return toIsotropic(quadraticFromNeurons(neurons, features), scaling, raw);
  });
  const method = polynomialWorstCase(quadratics, options);
  return exactAttack({
    ...method,
    worstPoints: async (batch, budget, context) => {
      if (context.bounds !== "unbounded") {
        const expected = "a head over features without bounds";
        throw new UnsupportedError({ argument: "model.bounds", expected, received: "bounds" });
      }
      const shifted = { data: shift(batch.inputs.data, scaling.centre, -1), shape: batch.inputs.shape };
      const points = await method.worstPoints({ ...batch, inputs: shifted }, budget, context);
      return { data: shift(points.data, scaling.centre, 1), shape: points.shape };
    },
  });
}

function shift(data: ArrayLike<number>, centre: Float64Array, sign: 1 | -1): Float64Array {
  return Float64Array.from(data, (value, k) => value + sign * centre[k % centre.length]);
}
