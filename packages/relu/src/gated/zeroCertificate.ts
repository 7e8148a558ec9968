// A certified lower bound from the dual points of the zero model, cheap and tight when zero is optimal.
//   at T = 0 the slopes of the losses are known: margins -alpha (x - z) with alpha = 1 (hinge) or 1/2 (logistic), squared -target (x - z),
//   with any z of the ball; z = 0 and z = projection of x on the ball are tried (math.md 13.6)
// slopes: [n, outputs, D]

import type { Kernels } from "@worstcase/linalg";
import { projectOnBall } from "../ballSupport.js";
import type { ReluProgram } from "../program/program.js";
import { Certifier } from "./newton/certifier.js";
import type { TermSums } from "./newton/smoothTerms.js";

export function zeroCertificate(program: ReluProgram, kernels: Kernels): number {
  const { samples, outputs, width, featureCount, inputs, norm, radius, targets, loss, task, labels } = program;
  const slopes = new Float64Array(samples * outputs * width);
  const shifted = new Float64Array(width);
  const nearest = new Float64Array(featureCount);
  const certifier = new Certifier(program, kernels);
  const value: TermSums = { smooth: 0, loss: 0, linear: 0, quadratic: 0 };
  const slope = loss === "hinge" ? 1 : 0.5;
  if (loss === "squared") {
    for (const t of targets) value.linear += (t * t) / samples;
    value.quadratic = value.linear / 2;
  } else value.linear = (loss === "hinge" ? 1 : Math.LN2) * (task === "two-class" ? 1 : outputs - 1);
  let bound = 0;
  for (const projected of radius > 0 ? [false, true] : [false]) {
    for (let i = 0; i < samples; i++) {
      shifted.set(inputs.subarray(i * width, (i + 1) * width));
      if (projected) {
        projectOnBall(inputs, i * width, featureCount, norm, radius, nearest);
        for (let k = 0; k < featureCount; k++) shifted[k] -= nearest[k];
      }
      for (let o = 0; o < outputs; o++) {
        const pairs = o === labels[i] ? 1 - outputs : 1;
        const pull =
          loss === "squared" ? -targets[i * outputs + o] : slope * (task === "two-class" ? -targets[i] : pairs);
        const to = (i * outputs + o) * width;
        for (let k = 0; k < width; k++) slopes[to + k] = pull * shifted[k];
      }
    }
    bound = Math.max(bound, certifier.bound(slopes, value));
  }
  return bound;
}
