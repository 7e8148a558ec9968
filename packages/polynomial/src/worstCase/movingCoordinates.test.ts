import { createRng, SettingError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import type { Quadratic } from "../quadratic.js";
import { worstCase } from "./worstCase.js";

function randomQuadratic(d: number, seed: number): { quadratic: Quadratic; draw: (count: number) => Float64Array } {
  const rng = createRng(seed);
  const draw = (count: number) => Float64Array.from({ length: count }, () => rng.normal());
  const half = draw(d * d);
  const Q = half.map((_, e) => (half[e] + half[(e % d) * d + Math.floor(e / d)]) / 2);
  return { quadratic: { dimension: d, Q, q: draw(d), s: rng.normal() }, draw };
}

const valueAt = ({ dimension: d, Q, q, s }: Quadratic, x: ArrayLike<number>) => {
  let sum = s;
  for (let k = 0; k < d; k++) {
    sum += q[k] * x[k];
    for (let l = 0; l < d; l++) sum += x[k] * Q[k * d + l] * x[l];
  }
  return sum;
};

describe("worst cases with immutable features", () => {
  it("equals that of the quadratic of the moving features, built by hand for each sample", () => {
    const [d, samples] = [7, 30];
    const { quadratic, draw } = randomQuadratic(d, 3);
    const { Q, q, s } = quadratic;
    const moving = [5, 0, 3];
    const fixed = [1, 2, 4, 6];
    const points = { data: draw(samples * d), shape: [samples, d] };
    const labels = Float64Array.from({ length: samples }, (_, i) => (i % 2 === 0 ? 1 : -1));
    for (const radius of [0, 0.3, 2]) {
      const { values, perturbations } = worstCase(quadratic, points, labels, radius, { immutable: fixed });
      for (let i = 0; i < samples; i++) {
        const x = points.data.subarray(i * d, (i + 1) * d);
        const own: Quadratic = {
          dimension: 3,
          Q: Float64Array.from(moving.flatMap((k) => moving.map((l) => Q[k * d + l]))),
          q: Float64Array.from(moving, (k) => q[k] + 2 * fixed.reduce((sum, f) => sum + Q[k * d + f] * x[f], 0)),
          s:
            s +
            fixed.reduce((sum, f) => sum + q[f] * x[f] + fixed.reduce((t, g) => t + x[f] * Q[f * d + g] * x[g], 0), 0),
        };
        const part = { data: Float64Array.from(moving, (k) => x[k]), shape: [1, 3] };
        const expected = worstCase(own, part, labels.subarray(i, i + 1), radius).values[0];
        expect(values[i]).toBeCloseTo(expected, 9);
        const moved = x.map((value, k) => value + perturbations![i * d + k]);
        for (const f of fixed) expect(perturbations![i * d + f]).toBe(0);
        expect(Math.hypot(...perturbations!.subarray(i * d, (i + 1) * d))).toBeLessThanOrEqual(radius * (1 + 1e-9));
        expect(labels[i] * valueAt(quadratic, moved)).toBeCloseTo(values[i], 8);
        expect(labels[i] * valueAt(quadratic, moved)).toBeGreaterThanOrEqual(values[i]);
      }
    }
  });

  it("of a linear score is the margin minus the radius times the length of the moving weights", () => {
    const q = Float64Array.of(3, -2, 4);
    const quadratic: Quadratic = { dimension: 3, Q: new Float64Array(9), q, s: 0.5 };
    const points = { data: Float64Array.of(1, 1, 1), shape: [1, 3] };
    const { values } = worstCase(quadratic, points, Float64Array.of(1), 2, { immutable: Int32Array.of(1) });
    expect(values[0]).toBeCloseTo(5.5 - 2 * 5, 10);
  });

  it("no perturbation of the moving features goes below, and none immutable is the plain worst case", () => {
    const [d, samples] = [5, 12];
    const { quadratic, draw } = randomQuadratic(d, 8);
    const points = { data: draw(samples * d), shape: [samples, d] };
    const labels = Float64Array.from({ length: samples }, (_, i) => (i % 3 === 0 ? -1 : 1));
    const some = worstCase(quadratic, points, labels, 0.8, { immutable: [3, 0, 2] }).values;
    for (let trial = 0; trial < 300; trial++) {
      const direction = draw(2);
      const size = Math.hypot(...direction);
      for (let i = 0; i < samples; i++) {
        const x = points.data.slice(i * d, (i + 1) * d);
        x[1] += (0.8 * direction[0]) / size;
        x[4] += (0.8 * direction[1]) / size;
        expect(labels[i] * valueAt(quadratic, x)).toBeGreaterThanOrEqual(some[i]);
      }
    }
    const all = worstCase(quadratic, points, labels, 0.8, { immutable: [] }).values;
    expect(all).toEqual(worstCase(quadratic, points, labels, 0.8).values);
  });

  it("refuses lists that do not name distinct features", () => {
    const { quadratic } = randomQuadratic(3, 1);
    const points = { data: new Float64Array(3), shape: [1, 3] };
    for (const immutable of [[0, 1, 2], [3], [-1], [0, 0], [0.5], [Number.NaN]]) {
      expect(() => worstCase(quadratic, points, Float64Array.of(1), 1, { immutable })).toThrow(SettingError);
    }
  });
});
