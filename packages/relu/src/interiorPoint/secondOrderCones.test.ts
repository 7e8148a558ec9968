import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { SecondOrderCones } from "./secondOrderCones.js";

class Cone extends SecondOrderCones {
  reach(x: readonly number[], step: readonly number[]): number {
    this.slack.set(x);
    this.slackStep.set(step);
    return this.longestSlackStep(1e9);
  }
}

// tau >= ||a||, straight towards the tip: (tau, a) + t (-s, b) with a and b next to nothing leaves at t = tau / s.
test("steps down the axis of a cone end at its tip, however rounding falls", () => {
  const rng = createRng(4);
  const cone = new Cone(1, 3, 1);
  const nearlyNothing = () => Array.from({ length: 3 }, () => 1e-17 * rng.normal());
  for (let trial = 0; trial < 500; trial++) {
    const [tau, pace] = [0.01 + 250 * rng.uniform(), 0.01 + 5 * rng.uniform()];
    const longest = cone.reach([tau, ...nearlyNothing()], [-pace, ...nearlyNothing()]);
    expect(Math.abs((longest * pace) / tau - 1)).toBeLessThan(1e-7);
  }
});
