import { createRng, SettingError } from "@worstcase/core";
import { describe, expect, test } from "vitest";
import { normals } from "../../test/support.js";
import { fitPolynomial } from "../fit.js";
import { fitOneVersusAll } from "../oneVersusAll.js";
import { fitInThreads } from "../threads/fitInThreads.js";

const [n, d] = [400, 12];

/** Three classes of different means and spreads. */
function threeClasses() {
  const rng = createRng(9);
  const labels = Int32Array.from({ length: n }, (_, i) => i % 3);
  const data = normals(rng, n * d, 0.35);
  for (let i = 0; i < n; i++) {
    data[i * d + labels[i]] += 1.2;
    if (labels[i] === 1) for (let k = 3; k < 7; k++) data[i * d + k] *= 2;
  }
  return { points: { data, shape: [n, d] }, labels };
}

const { points, labels } = threeClasses();
const signs = Float64Array.from(labels, (label) => (label === 0 ? 1 : -1));
const options = { radius: 0.1, beta: 3e-3, tolerance: 1e-2, method: "factored" } as const;

describe("the factored trainer from an earlier fit", () => {
  const base = fitPolynomial(points, signs, options);

  test("along the radius and beta: certified alike, in fewer evaluations in all", () => {
    expect([base.method, base.warmStart, base.state?.kind]).toEqual(["factored", "none", "factored"]);
    let [cold, warm] = [0, 0];
    let from = base;
    for (const next of [
      { radius: 0.12 },
      { radius: 0.15 },
      { radius: 0.2 },
      { radius: 0.1, beta: 2e-3 },
      { radius: 0.1, beta: 5e-3 },
    ]) {
      const plain = fitPolynomial(points, signs, { ...options, ...next });
      const started = fitPolynomial(points, signs, { ...options, ...next, warmStart: from });
      expect([started.warmStart, started.status]).toEqual(["used", "optimal"]);
      expect(started.gap).toBeLessThanOrEqual(1e-2);
      // two certified intervals of one optimum
      expect(started.lowerBound).toBeLessThanOrEqual(plain.objective.total);
      expect(plain.lowerBound).toBeLessThanOrEqual(started.objective.total);
      cold += plain.evaluations;
      warm += started.evaluations;
      from = started;
    }
    expect(warm).toBeLessThan(0.7 * cold);
  });

  test("a start does not change, far starts end at the same certificates", () => {
    const before = structuredClone(base.state);
    for (const [radius, answer] of [
      [0, "used"],
      [0.5, "used"],
      [2, "rejected"],
    ] as const) {
      const cold = fitPolynomial(points, signs, { ...options, radius });
      const far = fitPolynomial(points, signs, { ...options, radius, warmStart: base });
      expect(far.warmStart).toBe(answer);
      expect(far.lowerBound).toBeLessThanOrEqual(cold.objective.total);
      expect(cold.lowerBound).toBeLessThanOrEqual(far.objective.total);
      if (answer === "rejected") expect(far.objective.total).toBe(cold.objective.total);
    }
    expect(base.state).toEqual(before);
  });

  test("other trainers' states and other numbers of features are refused", () => {
    const exact = fitPolynomial(points, signs, { ...options, method: "exact", tolerance: 1e-3 });
    expect(fitPolynomial(points, signs, { ...options, warmStart: exact }).warmStart).toBe("rejected");
    const narrow = { data: Float64Array.from({ length: n }, (_, i) => points.data[i * d]), shape: [n, 1] };
    expect(fitPolynomial(narrow, signs, { ...options, warmStart: base }).warmStart).toBe("rejected");
  });
});

test("every class from its own start, in threads as in one", async () => {
  const before = fitOneVersusAll(points, labels, 3, options);
  const next = { ...options, radius: 0.12, warmStart: before };
  const here = fitOneVersusAll(points, labels, 3, next);
  const threads = await fitInThreads(points, labels, 3, { ...next, workers: 2 });
  expect(here.classes.map((fit) => fit.warmStart)).toEqual(["used", "used", "used"]);
  expect(threads.classes.map((fit) => fit.warmStart)).toEqual(["used", "used", "used"]);
  expect([threads.objective, threads.lowerBound]).toEqual([here.objective, here.lowerBound]);
  const only = fitOneVersusAll(points, labels, 3, { ...next, onlyClasses: [2] });
  expect(only.classes[0].neurons).toEqual(here.classes[2].neurons);
  expect(() => fitOneVersusAll(points, labels, 3, { ...next, warmStart: before.classes[0] as never })).toThrow(
    SettingError,
  );
});
