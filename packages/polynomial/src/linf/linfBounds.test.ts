import { readFileSync } from "node:fs";
import { createRng } from "@worstcase/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { batch, normals, randomNetwork, randomQuadratic, randomSigns } from "../../test/support.js";
import { evaluateQuadratic, linearQuadratic, type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import { worstCase } from "../worstCase/worstCase.js";
import { linfAttack, linfLowerBounds, linfWorstCase } from "./linfBounds.js";

const reference = JSON.parse(readFileSync(new URL("../../fixtures/reference.json", import.meta.url), "utf8"));

/** Exact minimum over the box by enumerating its 3^d faces: stationary points of the free coordinates, by elimination. */
function enumerateFaces({ dimension: d, Q, q, s }: Quadratic, x: Float64Array, label: number, epsilon: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let code = 0; code < 3 ** d; code++) {
    const z = new Float64Array(d);
    const free: number[] = [];
    for (let k = 0, rest = code; k < d; k++, rest = Math.floor(rest / 3)) {
      if (rest % 3 === 2) free.push(k);
      else z[k] = rest % 3 === 0 ? -epsilon : epsilon;
    }
    const rows = free.map((k) => {
      let right = -label * q[k];
      for (let l = 0; l < d; l++) right -= 2 * label * Q[k * d + l] * (x[l] + z[l]);
      return [...free.map((l) => 2 * label * Q[k * d + l]), right];
    });
    const solution = eliminate(rows);
    if (!solution || solution.some((value) => Math.abs(value) > epsilon)) continue;
    free.forEach((k, i) => {
      z[k] = solution[i];
    });
    best = Math.min(
      best,
      label *
        evaluateQuadratic(
          { dimension: d, Q, q, s },
          x.map((value, l) => value + z[l]),
        ),
    );
  }
  return best;
}

function eliminate(rows: number[][]): number[] | null {
  const n = rows.length;
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c; r < n; r++) if (Math.abs(rows[r][c]) > Math.abs(rows[pivot][c])) pivot = r;
    if (Math.abs(rows[pivot][c]) < 1e-14) return null;
    [rows[c], rows[pivot]] = [rows[pivot], rows[c]];
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = rows[r][c] / rows[c][c];
      for (let j = c; j <= n; j++) rows[r][j] -= factor * rows[c][j];
    }
  }
  return rows.map((row, r) => row[n] / row[r]);
}

test("equals the SDP bound of an independent solver to 1e-6", () => {
  expect(reference.bounds.length).toBeGreaterThan(15);
  for (const { d, epsilon, label, Q, q, s, x, bound } of reference.bounds) {
    const f = { dimension: d, Q: Float64Array.from(Q), q: Float64Array.from(q), s };
    const [ours] = linfLowerBounds(f, batch(Float64Array.from(x), d), [label], epsilon).lowerBounds;
    expect(Math.abs(ours - bound)).toBeLessThan(1e-6 * (1 + Math.abs(bound)));
  }
});

test("150 features: equals CVXOPT's bound to 1e-6 (fixtures/wide.py)", () => {
  const wide = JSON.parse(readFileSync(new URL("../../fixtures/wide.json", import.meta.url), "utf8"));
  const d: number = wide.features;
  const activation = { a: 1 / 15, b: 0.5, c: 0.25 / Math.sqrt(d) };
  const x = Float64Array.from({ length: d }, (_, k) => Math.sin(k * k + 1));
  expect(wide.rows.length).toBe(18);
  for (const { neurons, epsilon, label, bound } of wide.rows) {
    const directions = Float64Array.from({ length: neurons * d }, (_, p) => {
      const [j, k] = [Math.floor(p / d), p % d];
      return Math.sin(0.7 * (j + 1) * (k + 1) + j) / Math.sqrt(d);
    });
    const weights = Float64Array.from({ length: neurons }, (_, j) => Math.sin(3 * j + 1));
    const f = quadraticFromNeurons({ directions, weights, activation }, d);
    const { lowerBounds, means } = linfLowerBounds(f, batch(x, d), [label], epsilon);
    expect(Math.abs(lowerBounds[0] - bound), `${neurons} neurons, ${epsilon}`).toBeLessThan(
      1e-6 * (1 + Math.abs(bound)),
    );
    const attack = linfAttack(f, batch(x, d), [label], epsilon, { starts: means });
    expect(attack.values[0]).toBeGreaterThanOrEqual(lowerBounds[0]);
    // Box by box with the coordinates of one sign fixed: never below the relaxation of the whole box.
    const exact = linfWorstCase(f, batch(x, d), [label], epsilon, { maxNodes: 1 });
    expect(exact.lowerBounds[0]).toBeGreaterThanOrEqual(lowerBounds[0] - 1e-8 * (1 + Math.abs(bound)));
    expect(exact.lowerBounds[0]).toBeLessThanOrEqual(attack.values[0] + 1e-12);
  }
});

test("300 features, convex score: the bound is the minimum that coordinate descent reaches", () => {
  const rng = createRng(9);
  const d = 300;
  const directions = normals(rng, 30 * d).map((value) => value / Math.sqrt(d));
  const weights = Float64Array.from({ length: 30 }, () => rng.uniform());
  const f = quadraticFromNeurons({ directions, weights, activation: { a: 1, b: 0.3, c: 0.1 } }, d);
  const points = batch(normals(rng, 3 * d), d);
  for (const epsilon of [0.01, 0.2, 2]) {
    const { lowerBounds } = linfLowerBounds(f, points, [1, 1, 1], epsilon);
    const { values } = linfAttack(f, points, [1, 1, 1], epsilon);
    for (let i = 0; i < 3; i++) {
      expect(lowerBounds[i]).toBeLessThanOrEqual(values[i]);
      expect(lowerBounds[i]).toBeGreaterThan(values[i] - 1e-6 * (1 + Math.abs(values[i])));
    }
  }
});

test("a Q that is symmetric only to rounding has the bounds of its symmetric part", () => {
  const rng = createRng(10);
  const f = randomQuadratic(rng, 5);
  const bent = { ...f, Q: f.Q.map((value, p) => value * (1 + (p % 5 > Math.floor(p / 5) ? 2e-11 : -2e-11))) };
  const points = batch(normals(rng, 20), 5);
  const labels = [1, -1, 1, -1];
  for (const bound of [linfLowerBounds(bent, points, labels, 0.3), linfWorstCase(bent, points, labels, 0.3)]) {
    const wanted = linfLowerBounds(f, points, labels, 0.3).lowerBounds;
    if ("values" in bound) for (let i = 0; i < 4; i++) expect(bound.values[i]).toBeGreaterThanOrEqual(wanted[i] - 1e-8);
    else for (let i = 0; i < 4; i++) expect(bound.lowerBounds[i]).toBeCloseTo(wanted[i], 7);
  }
});

test("never above the enumerated minimum, and branch and bound equals it (property, d <= 6)", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 1, max: 6 }), (seed, d) => {
      const rng = createRng(seed);
      const f = rng.uniform() < 0.7 ? randomQuadratic(rng, d) : randomNetwork(rng, 1 + rng.integer(d + 2), d);
      const epsilon = 10 ** (-2 + 2.5 * rng.uniform());
      const n = 3;
      const points = normals(rng, n * d);
      const labels = randomSigns(rng, n);
      const { lowerBounds, means } = linfLowerBounds(f, batch(points, d), labels, epsilon);
      const exact = linfWorstCase(f, batch(points, d), labels, epsilon);
      const attack = linfAttack(f, batch(points, d), labels, epsilon, { starts: means, restarts: 2, rng });
      for (let i = 0; i < n; i++) {
        const x = points.slice(i * d, (i + 1) * d);
        const truth = enumerateFaces(f, x, labels[i], epsilon);
        const scale = 1 + Math.abs(truth);
        expect(lowerBounds[i]).toBeLessThanOrEqual(truth + 1e-14 * scale);
        expect(exact.statuses[i]).toBe("optimal");
        expect(exact.lowerBounds[i]).toBeLessThanOrEqual(truth + 1e-14 * scale);
        expect(Math.abs(exact.values[i] - truth)).toBeLessThan(2e-9 * scale);
        expect(attack.values[i]).toBeGreaterThanOrEqual(truth - 1e-12 * scale);
        for (let k = 0; k < d; k++) {
          expect(Math.abs(attack.perturbations[i * d + k])).toBeLessThanOrEqual(epsilon);
          expect(Math.abs(exact.perturbations[i * d + k])).toBeLessThanOrEqual(epsilon);
        }
        const moved = x.map((value, k) => value + exact.perturbations[i * d + k]);
        expect(labels[i] * evaluateQuadratic(f, moved)).toBeCloseTo(exact.values[i], 9);
      }
    }),
    { numRuns: 120 },
  );
});

test("linear and convex scores: the bound is the minimum", () => {
  const rng = createRng(4);
  const d = 7;
  const linear = linearQuadratic(normals(rng, d), 0.4);
  const x = normals(rng, d);
  const [bound] = linfLowerBounds(linear, batch(x, d), [1], 0.3).lowerBounds;
  const expected = evaluateQuadratic(linear, x) - 0.3 * linear.q.reduce((sum, value) => sum + Math.abs(value), 0);
  expect(bound).toBeLessThanOrEqual(expected);
  expect(bound).toBeCloseTo(expected, 7);
  // sum x^2 at distance: only the part of the box towards the origin counts.
  const bowl = { dimension: 2, Q: Float64Array.of(1, 0, 0, 1), q: new Float64Array(2), s: 0 };
  expect(linfLowerBounds(bowl, batch(Float64Array.of(2, 0.2), 2), [1], 0.5).lowerBounds[0]).toBeCloseTo(2.25, 7);
});

test("inside the l2 ball around the box, nonincreasing in epsilon, and the point itself at 0", () => {
  const rng = createRng(5);
  const d = 8;
  const f = randomQuadratic(rng, d);
  const points = batch(normals(rng, 10 * d), d);
  const labels = randomSigns(rng, 10);
  let previous: Float64Array = new Float64Array(10).fill(Number.POSITIVE_INFINITY);
  for (const epsilon of [0, 1e-12, 1e-9, 1e-3, 0.1, 0.4, 1, 1e3]) {
    const { lowerBounds } = linfLowerBounds(f, points, labels, epsilon);
    const outer = worstCase(f, points, labels, epsilon * Math.sqrt(d)).values;
    for (let i = 0; i < 10; i++) {
      const scale = 1 + Math.abs(outer[i]);
      expect(lowerBounds[i]).toBeLessThanOrEqual(previous[i] + 1e-8 * scale);
      expect(lowerBounds[i]).toBeGreaterThanOrEqual(outer[i] - 1e-7 * scale);
      if (epsilon <= 1e-9) {
        const score = labels[i] * evaluateQuadratic(f, points.data.slice(i * d, (i + 1) * d));
        expect(lowerBounds[i]).toBeLessThanOrEqual(score);
        expect(lowerBounds[i]).toBeCloseTo(score, 7);
      }
    }
    previous = lowerBounds;
  }
});

test("immutable coordinates and valid ranges", () => {
  const f = linearQuadratic(Float64Array.of(1, 10, -2), 0);
  const points = batch(Float64Array.of(0.05, 0.5, 0.9), 3);
  const options = { range: { lower: 0, upper: 1 }, immutable: [1] };
  // x1 can fall by 0.05 only, x2 stays, x3 can rise by 0.1.
  const expected = 0.05 + 5 - 1.8 - 0.05 - 0.2;
  expect(linfLowerBounds(f, points, [1], 0.2, options).lowerBounds[0]).toBeCloseTo(expected, 8);
  const exact = linfWorstCase(f, points, [1], 0.2, options);
  expect(exact.values[0]).toBeCloseTo(expected, 12);
  expect(exact.perturbations[1]).toBe(0);
  expect(linfAttack(f, points, [1], 0.2, options).values[0]).toBeCloseTo(expected, 12);
});

test("a node limit is reported with both bounds; deciding the sign is cheaper", () => {
  const rng = createRng(6);
  const d = 20;
  const f = randomQuadratic(rng, d);
  const points = batch(normals(rng, 4 * d), d);
  const labels = randomSigns(rng, 4);
  const cut = linfWorstCase(f, points, labels, 1.5, { maxNodes: 3 });
  const full = linfWorstCase(f, points, labels, 1.5);
  const sign = linfWorstCase(f, points, labels, 1.5, { decide: 0 });
  expect(cut.statuses).toContain("node-limit");
  for (let i = 0; i < 4; i++) {
    expect(full.statuses[i]).toBe("optimal");
    expect(cut.lowerBounds[i]).toBeLessThanOrEqual(full.values[i]);
    expect(cut.values[i]).toBeGreaterThanOrEqual(full.lowerBounds[i]);
    expect(sign.nodes[i]).toBeLessThanOrEqual(full.nodes[i]);
    expect(sign.lowerBounds[i] > 0 ? 1 : 0).toBe(full.values[i] > 0 ? 1 : 0);
  }
});

test("features scaled 1e-4 .. 1e4 keep the certificate tight", () => {
  for (const scale of [1e-4, 1e4]) {
    const rng = createRng(7);
    const d = 5;
    const base = randomQuadratic(rng, d);
    const f = {
      ...base,
      Q: base.Q.map((value) => value / scale ** 2),
      q: base.q.map((value) => value / scale),
    };
    const x = normals(rng, d);
    const [one] = linfLowerBounds(base, batch(x, d), [1], 0.3).lowerBounds;
    const [two] = linfLowerBounds(
      f,
      batch(
        x.map((v) => v * scale),
        d,
      ),
      [1],
      0.3 * scale,
    ).lowerBounds;
    expect(two).toBeCloseTo(one, 7);
  }
});

test("misuse is refused", () => {
  const f = randomQuadratic(createRng(8), 3);
  const points = batch(Float64Array.of(1, 2, 3), 3);
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  expect(() => linfLowerBounds(f, points, [1], -1)).toThrow(code("setting"));
  expect(() => linfLowerBounds(f, points, [1], { space: "feature", norm: "l2", value: 1 })).toThrow(code("setting"));
  expect(() => linfLowerBounds(f, points, [1, 1], 1)).toThrow(code("shape"));
  expect(() => linfLowerBounds(f, batch(Float64Array.of(1, Number.NaN, 3), 3), [1], 1)).toThrow(code("data"));
  expect(() => linfLowerBounds(f, points, [1], 1, { immutable: [3] })).toThrow(code("setting"));
  expect(() => linfLowerBounds(f, points, [1], 1, { range: { lower: 1, upper: 1 } })).toThrow(code("setting"));
  expect(() => linfAttack(f, points, [1], 1, { restarts: 3 })).toThrow(code("setting"));
  expect(() => linfWorstCase(f, points, [1], 1, { maxNodes: 0 })).toThrow(code("setting"));
  const aborted = AbortSignal.abort();
  expect(() => linfLowerBounds(f, points, [1], 1, { signal: aborted })).toThrow(code("aborted"));
});
