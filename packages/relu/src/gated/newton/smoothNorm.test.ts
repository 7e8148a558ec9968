import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { lengthOf } from "../../ballSupport.js";
import { SmoothNorm } from "./smoothNorm.js";

const LENGTH = 5;

describe.each([1, 1.5, 2, 3, Number.POSITIVE_INFINITY])("smoothed norm of exponent %s", (p) => {
  const q = p === 1 ? Number.POSITIVE_INFINITY : p === Number.POSITIVE_INFINITY ? 1 : p / (p - 1);
  const norm = new SmoothNorm(p, LENGTH);
  const rng = createRng(1);
  const random = () => Float64Array.from({ length: LENGTH }, () => rng.normal());

  it("gradient in the dual ball and equal to central differences", () => {
    for (let trial = 0; trial < 100; trial++) {
      const a = random();
      const mu = 10 ** (-3 + 3 * rng.uniform());
      norm.value(a, mu);
      const z = norm.z.slice();
      expect(lengthOf(z, 0, LENGTH, q)).toBeLessThanOrEqual(1 + 1e-12);
      for (let k = 0; k < LENGTH; k++) {
        const step = 1e-6;
        const [up, down] = [a.slice(), a.slice()];
        up[k] += step;
        down[k] -= step;
        expect((norm.value(up, mu) - norm.value(down, mu)) / (2 * step)).toBeCloseTo(z[k], 3);
      }
    }
  });

  it("tends to the norm as mu falls", () => {
    const a = random();
    expect(norm.value(a, 1e-9)).toBeCloseTo(lengthOf(a, 0, LENGTH, p), 6);
  });

  it("curvature with fresh lags is the second derivative; positive semidefinite with any lags", () => {
    for (let trial = 0; trial < 30; trial++) {
      const a = random();
      const mu = 0.05 + 0.3 * rng.uniform();
      const lags = new Float64Array(norm.lagCount);
      norm.value(a, mu);
      norm.resetLags(a, mu, lags, 0);
      norm.curvature(a, mu, lags, 0);
      const [delta, v, c] = [norm.delta.slice(), norm.v.slice(), norm.c];
      const direction = random();
      const step = 1e-5;
      const shifted = (t: number) => {
        norm.value(
          a.map((x, k) => x + t * direction[k]),
          mu,
        );
        return norm.z.slice();
      };
      const [up, down] = [shifted(step), shifted(-step)];
      const along = v.reduce((sum, t, k) => sum + t * direction[k], 0);
      for (let k = 0; k < LENGTH; k++) {
        expect(delta[k] * direction[k] - c * along * v[k]).toBeCloseTo((up[k] - down[k]) / (2 * step), 4);
      }
      const total = p === Number.POSITIVE_INFINITY ? 0 : 1;
      for (let k = 0; k < lags.length; k++) lags[k] = total ? 2 * rng.uniform() - 1 : rng.uniform() / (2 * LENGTH);
      norm.value(a, mu);
      norm.curvature(a, mu, lags, 0);
      let form = 0;
      let other = 0;
      for (let k = 0; k < LENGTH; k++) {
        form += norm.delta[k] * direction[k] ** 2;
        other += norm.v[k] * direction[k];
      }
      expect(form - norm.c * other * other).toBeGreaterThanOrEqual(-1e-12 * form);
    }
  });
});
