// The factored trainer on 512 real features: CIFAR-10 through Pre-Activation ResNet-18, which makes its features first (a quarter of an hour with the
// WebAssembly backend, minutes with tfjs-node) and keeps them for later runs. Accuracies on the first 1,000 test images: clean, and exact in
// l2 at two radii in units of the mean centred norm, beside the network's own linear head.

import { gatherBatch } from "@worstcase/core";
import { preparePairwise, type Quadratic } from "@worstcase/polynomial";
import { type Suite, unit } from "../harness/suite.js";
import { cifarFeatures } from "./trainer/cifarFeatures.js";
import { measureRealFeatures } from "./trainer/realFeatures.js";

const radii = [0.1, 0.25];
const images = 1000;

export const trainerWide: Suite = {
  name: "trainer-wide",
  summary: "seconds to a certified gap of 1e-2 on 512 features of CIFAR-10",
  async run(context) {
    if (context.quick) return context.skip("everything", "the features take too long for a quick run");
    const cifar = await cifarFeatures("preactresnet18");
    if (!cifar) return context.skip("everything", "images or weights are in no data folder (WORSTCASE_DATA)");
    const settings = [0, 0.1, 0.25, 0.5, 0.75].map((radius) => ({ radius, beta: 1e-3 }));
    const found = await measureRealFeatures(context, cifar, settings);
    const test = gatherBatch(
      cifar.test,
      Array.from({ length: images }, (_, i) => i),
    );
    const labels = cifar.testLabels.subarray(0, images);
    const accuracies = (name: string, scores: readonly Quadratic[]) => {
      const reached = preparePairwise(scores).robustRadii(test, labels);
      return [0, ...radii].map((radius) => {
        const value = (100 * reached.filter((r) => r > radius).length) / images;
        const title = radius === 0 ? `${name}: clean` : `${name}: exact at ${radius}`;
        return { name: title, median: value, minimum: value, repeats: 1, ratio: 1 };
      });
    };
    const rows = [{ name: "linear head", scores: cifar.linearHead }, ...found].flatMap(({ name, scores }) =>
      accuracies(name, scores),
    );
    context.report({ title: `accuracy on ${images} test images: percent`, unit: unit.percent, rows });
  },
};
