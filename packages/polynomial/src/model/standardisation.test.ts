import { expect, test } from "vitest";
import { batch } from "../../test/support.js";
import { fitStandardisation, standardise } from "./standardisation.js";

test("mean 0 and deviation 1 at any size that float64 holds; constant features only centred", () => {
  for (const size of [1e-300, 1e-200, 1, 1e200, 1e300]) {
    const data = Float64Array.from([-1.5, 7, 0.5, 7, 1, 7, 0, 7], (value) => size * value);
    const found = fitStandardisation(batch(data, 2));
    // population deviation of -1.5, 0.5, 1, 0 with mean 0: sqrt(3.5 / 4)
    expect(found.means[0]! / size).toBeCloseTo(0, 14);
    expect(found.scales[0]! / size / Math.sqrt(3.5 / 4)).toBeCloseTo(1, 14);
    expect(found.scales[1]).toBe(1);
    const { data: z } = standardise(batch(data, 2), found);
    expect(z[0]).toBeCloseTo(-1.5 / Math.sqrt(3.5 / 4), 13);
    expect(z.every((value) => Number.isFinite(value))).toBe(true);
  }
  const ends = batch(Float64Array.of(-1.7e308, 1.7e308, 1.7e308, -1.7e308), 1);
  const { data: z } = standardise(ends, fitStandardisation(ends));
  expect(Array.from(z)).toEqual([-1, 1, 1, -1].map((value) => expect.closeTo(value, 14)));
});
