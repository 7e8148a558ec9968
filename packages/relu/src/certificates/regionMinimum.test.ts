import { createRng } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { dualExponentOf, lengthOf, normExponent, type PerturbationNorm } from "../ballSupport.js";
import { pointInBall } from "../testing/problems.js";
import { type Region, RegionSolver } from "./regionMinimum.js";

const norms: PerturbationNorm[] = ["l1", "l2", "linf", 1.3, 3, 8];

function randomRegion(seed: number, d: number, hard: number, soft: number): Region {
  const rng = createRng(seed);
  const vector = () => Float64Array.from({ length: d }, () => rng.normal());
  return {
    constant: rng.normal(),
    form: vector(),
    rows: Array.from({ length: hard + soft }, vector),
    offsets: Array.from({ length: hard + soft }, () => 0.3 * rng.normal()),
    caps: Array.from({ length: hard + soft }, (_, j) => (j < hard ? Number.POSITIVE_INFINITY : 0.5 + rng.uniform())),
  };
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, t, k) => sum + t * b[k], 0);

function valueAt({ constant, form, rows, offsets, caps }: Region, z: ArrayLike<number>): number {
  let value = constant + dot(form, z);
  rows.forEach((row, j) => {
    const room = dot(row, z) + offsets[j];
    if (room < 0) value += caps[j] === Number.POSITIVE_INFINITY ? caps[j] : -caps[j] * room;
  });
  return value;
}

/** Minimum over a polar grid of the ball in the plane, every ray cut at the boundary and refined. */
function gridMinimum(region: Region, norm: PerturbationNorm, radius: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let a = 0; a < 120; a++) {
    const [x, y] = [Math.cos((a * Math.PI) / 60), Math.sin((a * Math.PI) / 60)];
    const size = lengthOf([x, y], 0, 2, normExponent(norm));
    for (let s = 0; s <= 60; s++) {
      const t = (radius * s) / 60 / size;
      best = Math.min(best, valueAt(region, [t * x, t * y]));
    }
  }
  return best;
}

describe.each(norms)("%s ball", (norm) => {
  it("without half-spaces the bound is c - r times the dual norm", () => {
    const region = randomRegion(1, 5, 0, 0);
    const { lower, point } = new RegionSolver(norm, 0.7, 5).minimise(region, 1e-8, Number.POSITIVE_INFINITY);
    const size = lengthOf(region.form, 0, 5, dualExponentOf(norm));
    expect(lower).toBeCloseTo(region.constant - 0.7 * size, 10);
    expect(valueAt(region, point)).toBeCloseTo(lower, 7);
  });

  it.each([
    [1, 0],
    [2, 1],
    [3, 2],
    [0, 3],
  ])("in the plane, %i hard and %i soft half-spaces: the grid minimum", (hard, soft) => {
    const solver = new RegionSolver(norm, 1, 2);
    let compared = 0;
    for (let seed = 0; seed < 6; seed++) {
      const region = randomRegion(100 + seed, 2, hard, soft);
      const grid = gridMinimum(region, norm, 1);
      const { lower, point } = solver.minimise(region, 1e-8, 1e6);
      expect(lower).toBeLessThanOrEqual(grid + 1e-9);
      if (grid < Number.POSITIVE_INFINITY) {
        compared++;
        expect(lower).toBeGreaterThan(grid - 0.3); // grid spacing
        // the point attains the bound: both are optimal. The steps for a general q are not those of a self-concordant barrier.
        expect(valueAt(region, point)).toBeLessThan(lower + (typeof norm === "number" ? 1e-5 : 1e-7));
      }
    }
    expect(compared).toBeGreaterThan(2);
  });

  it("many dimensions: point and bound meet, and no random point of the region is below", () => {
    const rng = createRng(5);
    for (const [d, hard, soft] of [
      [3, 2, 2],
      [20, 8, 8],
      [60, 20, 10],
    ]) {
      const region = randomRegion(d, d, hard, soft);
      region.offsets.forEach((offset, j) => {
        region.offsets[j] = Math.abs(offset); // 0 is feasible
      });
      const { lower, point } = new RegionSolver(norm, 0.5, d).minimise(region, 1e-8, Number.POSITIVE_INFINITY);
      expect(valueAt(region, point)).toBeLessThan(lower + (typeof norm === "number" ? 1e-5 : 1e-7));
      for (let trial = 0; trial < 500; trial++) {
        expect(valueAt(region, pointInBall(rng, d, norm, 0.5))).toBeGreaterThanOrEqual(lower);
      }
    }
  });

  it("an empty region has a bound above any cutoff", () => {
    const row = Float64Array.of(1, 0, 0);
    const region: Region = {
      constant: 0,
      form: Float64Array.of(0.1, 0.2, 0.3),
      rows: [row, row.map((t) => -t)],
      offsets: [-0.4, 0.3],
      caps: [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    };
    const { lower } = new RegionSolver(norm, 1, 3).minimise(region, 1e-8, 50);
    expect(lower).toBeGreaterThanOrEqual(50);
  });

  it("a zero form", () => {
    const region = { ...randomRegion(3, 4, 0, 0), form: new Float64Array(4) };
    expect(new RegionSolver(norm, 1, 4).minimise(region, 1e-8, 1e9).lower).toBeCloseTo(region.constant, 10);
  });
});
