// Accuracy against epsilon of `worstcase attack` as an SVG: the suite of every model with its 95 % interval; FGSM and PGD beside it where
// there are few models.

import type { AttackSummary } from "@worstcase/attacks";
import { type Curve, curvePlotSvg } from "../plot/curvePlot.js";
import type { AttackRow } from "./attack.js";

/** Models up to which the attacks beside the suite are drawn too. */
const fewModels = 2;

export function attackCurve(rows: readonly AttackRow[]): Promise<string> {
  const { norm, dataset, images, suite, backbone } = rows[0]!;
  const levels = norm === "linf" ? 255 : 1;
  const curves = rows.flatMap((row): Curve[] => {
    const curve = (title: string, accuracy: AttackSummary["accuracy"], band: boolean): Curve => ({
      name: rows.length === 1 ? title : `${row.model}, ${title}`,
      dots: true,
      points: [row.clean, ...accuracy].map(({ value, interval }, e) => ({
        x: e === 0 ? 0 : levels * row.epsilons[e - 1]!,
        y: value,
        ...(band ? { lower: interval[0], upper: interval[1] } : {}),
      })),
    });
    const beside = rows.length > fewModels ? [] : row.compared;
    const standard = curve(`suite (${row.suite.preset})`, row.suite.accuracy, true);
    return [standard, ...beside.map(({ name, accuracy }) => curve(name, accuracy, false))];
  });
  const unit = norm === "linf" ? "l-infinity, in 1/255 of the pixel range" : `${norm}, pixels in [0, 1]`;
  return curvePlotSvg({
    title: `Accuracy under attack, ${rows.length === 1 ? rows[0]!.model : `${rows.length} models`}`,
    subtitle: `${backbone}, ${images} test images of ${dataset}, preset ${suite.preset}; band: 95 % interval of the suite`,
    xLabel: `epsilon (${unit})`,
    yLabel: "accuracy",
    curves,
  });
}
