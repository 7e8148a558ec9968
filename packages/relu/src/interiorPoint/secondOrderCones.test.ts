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

test("no step leads through the tip, from points as near the side as 1e-14 and in directions 1e-12 beside the axis", () => {
  const rng = createRng(4);
  const cone = new Cone(1, 4, 1);
  for (let trial = 0; trial < 2000; trial++) {
    const a = Array.from({ length: 4 }, () => rng.normal());
    const tau = Math.hypot(...a) * (1 + 10 ** (-1 - 13 * rng.uniform()));
    const share = 0.1 + 3 * rng.uniform();
    const turn = trial % 2 === 0 ? 0 : 1e-12;
    const step = [-tau / share, ...a.map((value) => -value / share + turn * rng.normal())];
    expect(cone.reach([tau, ...a], step)).toBeLessThanOrEqual(share * (1 + 1e-3));
  }
});

test("steps elsewhere end on the side", () => {
  const rng = createRng(5);
  const cone = new Cone(1, 3, 1);
  for (let trial = 0; trial < 200; trial++) {
    const a = Array.from({ length: 3 }, () => rng.normal());
    const tau = Math.hypot(...a) + rng.uniform() + 0.1;
    const step = Array.from({ length: 3 }, () => rng.normal());
    const head = 2 * rng.normal();
    const longest = cone.reach([tau, ...a], [head, ...step]);
    const room = (t: number) => tau + t * head - Math.hypot(...a.map((value, k) => value + t * step[k]));
    if (longest === 1e9) expect(head).toBeGreaterThanOrEqual(Math.hypot(...step) * (1 - 1e-9));
    else expect(Math.abs(room(longest))).toBeLessThan(1e-7 * (1 + longest * Math.hypot(head, ...step)));
    expect(room(0.9 * longest)).toBeGreaterThan(-1e-9 * longest);
  }
});
