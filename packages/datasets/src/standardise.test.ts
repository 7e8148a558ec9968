import { ShapeError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { fitStandardisation, standardise } from "./standardise.js";

describe("standardise", () => {
  const inputs = { data: Float64Array.of(1, 5, 3, 5, 8, 5), shape: [3, 2] };

  it("uses mean and population deviation + 1e-9, and turns a constant feature into 0", () => {
    const fit = fitStandardisation(inputs);
    expect([...fit.mean]).toEqual([4, 5]);
    expect(fit.scale[0]).toBeCloseTo(Math.sqrt((9 + 1 + 16) / 3) + 1e-9, 14);
    expect(fit.scale[1]).toBe(1e-9);
    const { data, shape } = standardise(inputs, fit);
    expect(shape).toEqual([3, 2]);
    expect([data[1], data[3], data[5]]).toEqual([0, 0, 0]);
    expect(data[4]! * fit.scale[0]! + 4).toBeCloseTo(8, 14);
    expect([...inputs.data]).toEqual([1, 5, 3, 5, 8, 5]);
  });

  it("refuses another number of features", () => {
    const fit = fitStandardisation(inputs);
    expect(() => standardise({ data: new Float64Array(3), shape: [1, 3] }, fit)).toThrow(ShapeError);
  });
});
