import { readFileSync } from "node:fs";
import { createRng, type Norm } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { distinctRows, findOpenCones, openConesSize } from "../network/openCones.js";
import { gatesFromVectors } from "../patterns/gateSet.js";
import { createProgram } from "../program/program.js";
import { type ConeData, coneShortfall, decomposeApproximately, decomposeExactly } from "./coneDecomposition.js";
import { projectOnPolyhedron } from "./polyhedronProjection.js";

interface Case {
  readonly features: number[][];
  readonly signs: number[];
  readonly piece: number[];
  readonly norm: Norm;
  readonly radius: number;
  readonly value: number;
}

const { cases }: { cases: Case[] } = JSON.parse(
  readFileSync(new URL("../../fixtures/decomposition.json", import.meta.url), "utf8"),
);

function coneOf({ features, signs, norm, radius }: Case): ConeData {
  const width = features[0].length;
  return {
    ...{ inputs: Float64Array.from(features.flat()), signs: Int8Array.from(signs), width, featureCount: width },
    ...{ norm, radius },
  };
}

/** An interior direction of a cone, or null. */
async function interiorDirection({ inputs, signs, width, norm, radius }: ConeData): Promise<Float64Array | null> {
  const features = { data: inputs, shape: [signs.length, width] };
  const gates = gatesFromVectors(new Float64Array(width).fill(1), features, false);
  const targets = { data: new Float64Array(signs.length), shape: [signs.length, 1] };
  const program = createProgram(features, { kind: "regression", targets }, { gates, radius, norm, beta: 1 });
  const own = { ...program, bits: Uint8Array.from(signs, (sign) => (sign > 0 ? 1 : 0)) };
  const { directions, open } = await findOpenCones(
    own,
    distinctRows(own),
    chooseKernels().workspace(openConesSize(own)),
  );
  return open.length === 1 ? directions : null;
}

describe("projection on a polyhedron", () => {
  it("has the multipliers of its optimality conditions, 200 random cones and polyhedra", () => {
    const rng = createRng(1);
    for (let trial = 0; trial < 200; trial++) {
      const [m, d] = [1 + rng.integer(30), 1 + rng.integer(8)];
      const rows = Float64Array.from({ length: m * d }, () => rng.normal());
      const inside = Float64Array.from({ length: d }, () => rng.normal());
      const product = (u: Float64Array, i: number) => u.reduce((sum, value, k) => sum + value * rows[i * d + k], 0);
      const bounds = Float64Array.from({ length: m }, (_, i) =>
        trial % 2 === 0 ? 0 : product(inside, i) - rng.uniform(),
      );
      const target = Float64Array.from({ length: d }, () => 2 * rng.normal());
      const penalty = trial % 3 === 0 ? 5 : Number.POSITIVE_INFINITY;
      const { status, point, multipliers } = projectOnPolyhedron(rows, bounds, target, penalty);
      expect(status).toBe("ok");
      const sum = target.slice();
      for (let i = 0; i < m; i++) {
        const slack = product(point, i) - bounds[i] + multipliers[i] / penalty;
        expect(multipliers[i]).toBeGreaterThanOrEqual(0);
        expect(slack).toBeGreaterThan(-1e-8);
        expect(Math.abs(multipliers[i] * slack)).toBeLessThan(1e-7 * (1 + multipliers[i]));
        for (let k = 0; k < d; k++) sum[k] += multipliers[i] * rows[i * d + k];
      }
      for (let k = 0; k < d; k++) expect(point[k]).toBeCloseTo(sum[k], 8);
    }
  });

  it("says when the rows contradict each other; duplicate and zero rows do not hurt", () => {
    const rows = Float64Array.of(1, 0, -1, 0);
    expect(projectOnPolyhedron(rows, Float64Array.of(1, 1), new Float64Array(2)).status).toBe("empty");
    const twice = Float64Array.of(1, 0, 1, 0, 0, 0);
    const { status, point } = projectOnPolyhedron(twice, Float64Array.of(2, 2, 0), Float64Array.of(0, 3));
    expect([status, ...point]).toEqual(["ok", 2, 3]);
    expect(projectOnPolyhedron(Float64Array.of(0, 0), Float64Array.of(1), new Float64Array(2)).status).toBe("empty");
  });
});

describe("splits in cones", () => {
  it.each(cases.map((entry, index) => [index, entry.norm, entry.radius, entry] as const))(
    "case %i, %s radius %d: feasible exactly, sum exact, norm that of Clarabel",
    async (_, __, ___, entry) => {
      const cone = coneOf(entry);
      const t = Float64Array.from(entry.piece);
      const interior = await interiorDirection(cone);
      expect(interior).not.toBeNull();
      const parts = decomposeExactly(cone, t, interior);
      if (!parts) throw new Error("no split");
      expect(parts.status).toBe("exact");
      expect([coneShortfall(cone, parts.v), coneShortfall(cone, parts.w)]).toEqual([0, 0]);
      parts.v.forEach((value, k) => {
        expect(value - parts.w[k]).toBeCloseTo(t[k], 12);
      });
      const growth = (Math.hypot(...parts.v) + Math.hypot(...parts.w)) / entry.value;
      expect(growth).toBeGreaterThan(1 - 1e-8);
      expect(growth).toBeLessThan(1 + 1e-5);
    },
  );

  it("approximate splits lose less and cost more as the penalty grows", () => {
    for (const entry of cases.filter(({ radius }) => radius === 0)) {
      const cone = coneOf(entry);
      const t = Float64Array.from(entry.piece);
      let last = Number.POSITIVE_INFINITY;
      for (const penalty of [1, 100, 1e4, 1e8]) {
        const { v, w, shortfall } = decomposeApproximately(cone, t, penalty);
        expect(shortfall).toBeLessThanOrEqual(last * (1 + 1e-9));
        expect(Math.hypot(...v) + Math.hypot(...w)).toBeLessThan(entry.value * (1 + 1e-6));
        last = shortfall;
      }
      expect(last).toBeLessThan(1e-5);
    }
  });

  it("a piece already in the cone, or its negative, is one neuron", async () => {
    const cone = coneOf(cases[0]);
    const e = await interiorDirection(cone);
    if (!e) throw new Error("no interior");
    const parts = decomposeExactly(cone, e, null);
    expect([...(parts?.w ?? [1])].every((value) => value === 0)).toBe(true);
    const opposite = decomposeExactly(
      cone,
      e.map((value) => -value),
      null,
    );
    expect([...(opposite?.v ?? [1])].every((value) => value === 0)).toBe(true);
  });

  it("a cone without interior gives no exact split", async () => {
    const cone: ConeData = {
      ...{ inputs: Float64Array.of(1, 0, -1, 0), signs: Int8Array.of(1, 1), width: 2, featureCount: 2 },
      ...{ norm: "l2", radius: 0 },
    };
    expect(await interiorDirection(cone)).toBeNull();
    expect(decomposeExactly(cone, Float64Array.of(1, 1), null)).toBeNull();
    expect(decomposeExactly(cone, Float64Array.of(0, 1), null)?.shortfall).toBe(0);
    expect(decomposeApproximately(cone, Float64Array.of(1, 1), 1e3).status).toBe("approximate");
  });
});
