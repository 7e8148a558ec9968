// Cross-validated accuracies against the training radius, for `fit --plot`: for every beta the clean accuracy and the exact robust
// accuracy at the evaluation radius of held-out rows.

import type { Curve, CurvePlot } from "../plot/curvePlot.js";
import type { Accuracy } from "./accuracy.js";
import type { CrossValidation } from "./crossValidate.js";

export function pathPlot(
  { path, folds, evaluationRadius, chosen }: CrossValidation,
  table: string,
  units: string,
): CurvePlot {
  const betas = [...new Set(path.map(({ beta }) => beta))];
  const point = (x: number, { value, interval: [lower, upper] }: Accuracy) => ({ x, y: value, lower, upper });
  const curves = betas.flatMap((beta): Curve[] => {
    const points = path.filter((entry) => entry.beta === beta).sort((a, b) => a.radius - b.radius);
    return [
      {
        name: `clean, beta ${beta}`,
        points: points.map(({ radius, accuracy }) => point(radius, accuracy)),
        dots: true,
      },
      {
        name: `l2 ${evaluationRadius}, exact, beta ${beta}`,
        points: points.map(({ radius, robustAccuracy }) => point(radius, robustAccuracy)),
        dots: true,
      },
    ];
  });
  return {
    title: `Held-out accuracy on ${table} against the training radius`,
    subtitle: `${folds}-fold cross-validation; bands: 95 % Wilson intervals; chosen: radius ${chosen.radius}, beta ${chosen.beta}`,
    xLabel: `training radius, in ${units}`,
    yLabel: "accuracy",
    curves,
    marks: [{ x: chosen.radius, label: "chosen" }],
  };
}
