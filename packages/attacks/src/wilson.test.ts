import { describe, expect, it } from "vitest";
import { accuracyOf, wilsonInterval } from "./wilson.js";

describe("wilsonInterval", () => {
  // reference: scipy 1.x, scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
  it.each([
    [0, 10, 0, 0.27753279986288926],
    [5, 10, 0.236593090512564, 0.7634069094874361],
    [10, 10, 0.7224672001371109, 1],
    [191, 1000, 0.1678369323154951, 0.21652800442857797],
    [1, 1, 0.20654931437723745, 1],
    [37, 300, 0.09081731429366793, 0.16537372402882342],
  ])("agrees with scipy for %i of %i", (successes, total, lower, upper) => {
    const interval = wilsonInterval(successes, total);
    expect(interval[0]).toBeCloseTo(lower, 13);
    expect(interval[1]).toBeCloseTo(upper, 13);
  });

  it("refuses impossible counts", () => {
    for (const [successes, total] of [
      [1, 0],
      [-1, 5],
      [6, 5],
      [0.5, 5],
      [1, Number.NaN],
    ]) {
      expect(() => wilsonInterval(successes, total)).toThrow(expect.objectContaining({ code: "setting" }));
    }
  });

  it("counts samples that are not fooled", () => {
    expect(accuracyOf([true, false, false, false])).toMatchObject({ correct: 3, total: 4, value: 0.75 });
  });
});
