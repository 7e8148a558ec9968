// Pictures of successful perturbations: original, perturbed and difference side by side, one SVG for each model. The points are made again by
// the attack that broke the image first, with its random stream, so nothing has to be kept for them.

import { type StandardResult, type StandardSuite, standardSuite, successfulPoints } from "@worstcase/attacks";
import { createRng } from "@worstcase/core";
import type { AttackConfig } from "../config/attack.js";
import { imageGridSvg } from "../plot/imageGrid.js";
import type { RunFolder } from "../run/runFolder.js";
import type { ProgressTools } from "../terminal/runWithProgress.js";
import type { Target } from "./attackTargets.js";
import type { TestImages } from "./images.js";

/** The suite as it runs on a target. */
export function suiteOf(
  { norm, preset }: Pick<AttackConfig, "norm" | "preset">,
  { model, surrogate }: Pick<Target, "model" | "surrogate">,
): StandardSuite {
  return standardSuite(model, { norm, preset, surrogate, blackBox: !("lossGradient" in model) });
}

/** Writes `examples-<prefix>.svg` when some image was broken; the difference is scaled to the whole range of grey, zero in the middle. */
export async function writeExamples(
  config: AttackConfig,
  folder: RunFolder,
  tools: ProgressTools,
  prefix: string,
  target: Target,
  { test, classNames }: TestImages,
  result: StandardResult,
): Promise<void> {
  if (config.examples === 0) return;
  const points = await successfulPoints(target.model, test, {
    attacks: suiteOf(config, target).attacks,
    result,
    rng: createRng(config.seed),
    count: config.examples,
    signal: tools.signal,
  });
  if (points.length === 0) return;
  const nameOf = (c: number) => classNames[c] ?? `class ${c}`;
  const svg = imageGridSvg({
    title: `${target.name}: perturbations in ${config.norm} that change the prediction`,
    columns: ["original", "perturbed", "difference"],
    shape: test.inputs.shape.slice(1),
    rows: points.map(({ row, attack, epsilon, label, predicted, distance, original, perturbed }) => {
      const difference = Array.from(perturbed, (value, k) => value - original[k]!);
      const largest = difference.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
      const grey = difference.map((value) => 0.5 + value / (2 * largest));
      const budget = config.norm === "linf" ? `${format(255 * epsilon)}/255` : format(epsilon);
      const caption = [
        `${nameOf(label)} → ${nameOf(predicted)}`,
        `image ${test.indices[row]}, epsilon ${budget}`,
        `by ${attack}`,
        `distance ${format(distance)}, largest change ${format(255 * largest)}/255`,
      ];
      return { images: [original, perturbed, grey], caption };
    }),
  });
  await folder.writeBytes(`examples-${prefix}.svg`, svg);
}

function format(value: number): string {
  return String(Number(value.toPrecision(3)));
}
