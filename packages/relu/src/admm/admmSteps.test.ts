import { createRng } from "@worstcase/core";
import { chooseKernels, workspaceSize } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { lengthOf, normExponent, type PerturbationNorm } from "../ballSupport.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { createProgram, type ProgramLoss, type ReluProgram } from "../program/program.js";
import { clouds } from "../testing/problems.js";
import { AdmmState } from "./admmState.js";
import { ConeProjection } from "./coneProjection.js";
import { increasingRoot } from "./increasingRoot.js";
import { LossProx } from "./lossProx.js";

const norms: PerturbationNorm[] = ["l1", "l2", "linf", 3];

function program(norm: PerturbationNorm, radius: number, loss: ProgramLoss = "hinge"): ReluProgram {
  const { features, labels } = clouds(7, 12, 3, 2);
  const gates = sampleGates(features, { count: 4, rng: createRng(2) });
  return createProgram(features, { kind: "classes", labels, classCount: 2 }, { gates, norm, radius, beta: 0.1, loss });
}

describe("increasingRoot", () => {
  it("finds roots of smooth, kinked and flat functions, and keeps to the ends where there is none", () => {
    expect(increasingRoot((x) => x ** 3 - 2, 0, 5)).toBeCloseTo(Math.cbrt(2), 13);
    expect(increasingRoot((x) => Math.max(-1, x - 0.3), -10, 10)).toBeCloseTo(0.3, 13);
    expect(increasingRoot((x) => Math.exp(40 * x) - 2, -1, 1)).toBeCloseTo(Math.log(2) / 40, 13);
    expect(increasingRoot((x) => x + 1, 0, 1)).toBe(0);
    expect(increasingRoot((x) => x - 2, 0, 1)).toBe(1);
  });
});

describe("the proximal step of a term", () => {
  const value = (loss: ProgramLoss, m: number, z: number, target: number, reach: number) => {
    if (loss === "hinge") return Math.max(0, 1 - m);
    if (loss === "logistic") return Math.log1p(Math.exp(-m));
    return (Math.abs(target - z) + reach) ** 2 / 2;
  };
  const cases = (["hinge", "logistic", "squared"] as const).flatMap((loss) =>
    norms.map((norm) => [loss, norm] as const),
  );

  it.each(cases)("%s, perturbations in %s: no point nearby is better", (loss, norm) => {
    const radius = 0.4;
    const prox = new LossProx(program(norm, radius, loss));
    const dual = normExponent(norm) === 1 ? Number.POSITIVE_INFINITY : normExponent(norm) / (normExponent(norm) - 1);
    const p = normExponent(norm) === Number.POSITIVE_INFINITY ? 1 : dual;
    const rng = createRng(11);
    for (let trial = 0; trial < 40; trial++) {
      const z0 = 2 * rng.normal();
      const target = rng.uniform() < 0.5 ? 1 : -1;
      const start = Float64Array.from({ length: 3 }, () => rng.normal());
      const [pz, pa] = [0.2 + 2 * rng.uniform(), 0.2 + 2 * rng.uniform()];
      const total = (z: number, a: Float64Array) => {
        const reach = radius * lengthOf(a, 0, 3, p);
        let cost = value(loss, z - reach, z, target, reach) + (pz / 2) * (z - z0) ** 2;
        for (let k = 0; k < 3; k++) cost += (pa / 2) * (a[k] - start[k]) ** 2;
        return cost;
      };
      const a = start.slice();
      const z = prox.step(z0, target, a, 0, pz, pa);
      const best = total(z, a);
      for (let probe = 0; probe < 60; probe++) {
        const step = 10 ** (-5 * rng.uniform());
        const other = a.map((v) => v + step * rng.normal());
        expect(total(z + step * rng.normal(), other)).toBeGreaterThanOrEqual(best - 1e-9);
      }
    }
  });
});

describe("the projection on a robust cone", () => {
  it.each(norms)("perturbations in %s: feasible, and the residual is normal to the cone", (norm) => {
    const radius = 0.3;
    const given = program(norm, radius);
    const { samples, featureCount, dualExponent } = given;
    const [ws, wt] = [0.7, 1.6];
    const cone = new ConeProjection(given, ws, wt);
    const rng = createRng(5);
    for (let trial = 0; trial < 50; trial++) {
      const start = { s: new Float64Array(samples), t: new Float64Array(featureCount) };
      for (let i = 0; i < samples; i++) start.s[i] = rng.normal() + (trial % 3) * 0.5;
      for (let k = 0; k < featureCount; k++) start.t[k] = 2 * rng.normal();
      const [s, t] = [start.s.slice(), start.t.slice()];
      cone.project(s, 0, 1, t, 0);
      const level = radius * lengthOf(t, 0, featureCount, dualExponent);
      expect(Math.min(...s)).toBeGreaterThanOrEqual(level - 1e-12);
      const inner = (u: Float64Array, v: Float64Array) => {
        let sum = 0;
        for (let i = 0; i < samples; i++) sum += ws * (start.s[i] - s[i]) * u[i];
        for (let k = 0; k < featureCount; k++) sum += wt * (start.t[k] - t[k]) * v[k];
        return sum;
      };
      // Moreau: orthogonal to the projection, at most 0 with every point of the cone
      expect(Math.abs(inner(s, t))).toBeLessThan(1e-9);
      for (let probe = 0; probe < 20; probe++) {
        const v = Float64Array.from({ length: featureCount }, () => rng.normal());
        const least = radius * lengthOf(v, 0, featureCount, dualExponent);
        const u = Float64Array.from({ length: samples }, () => least + (rng.uniform() < 0.5 ? 0 : rng.uniform()));
        expect(inner(u, v)).toBeLessThan(1e-9);
      }
    }
  });

  it("without a ball clips the scores at 0", () => {
    const cone = new ConeProjection(program("l2", 0), 1, 1);
    const s = Float64Array.from({ length: 12 }, (_, i) => i - 5);
    cone.project(s, 0, 1, new Float64Array(0), 0);
    expect([...s]).toEqual([0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
  });
});

describe("AdmmState", () => {
  it("keeps sums of multipliers at a fixed point: the regulariser balances loss and cones", () => {
    const given = program("l2", 0.02);
    const workspace = chooseKernels("js").workspace(workspaceSize(...AdmmState.sizes(given)));
    const state = new AdmmState(given, workspace);
    for (let k = 0; k < 3000; k++) state.advance(1);
    for (const { copy, image } of [state.u, state.t, state.s, state.z, state.a]) {
      for (let k = 0; k < copy.length; k++) expect(Math.abs(copy[k] - image[k])).toBeLessThan(1e-3);
    }
    // stationarity in theta: every weighted multiplier, mapped back, adds up to zero
    const { width, samples, inputs, featureCount } = given;
    const total = state.u.multiplier.slice();
    const forces = state.s.multiplier.map((v) => v * state.s.weight);
    state.applySigns(forces);
    for (let g = 0; g < state.groups; g++) {
      for (let k = 0; k < featureCount; k++) total[g * width + k] += state.t.multiplier[g * featureCount + k];
      for (let i = 0; i < samples; i++) {
        for (let k = 0; k < width; k++) total[g * width + k] += forces[i * state.groups + g] * inputs[i * width + k];
      }
    }
    // by hand: A_k = plus_k sum of open gates' v - w, score_k = x'A_k
    const half = total.length / 2;
    for (let i = 0; i < samples; i++) {
      for (let p = 0; p < given.gateCount; p++) {
        if (given.bits[i * given.gateCount + p] === 0) continue;
        for (let k = 0; k < width; k++) {
          let force = state.z.weight * state.z.multiplier[i] * inputs[i * width + k];
          if (k < featureCount) force += state.a.weight * state.a.multiplier[i * featureCount + k];
          total[p * width + k] += given.targets[i] * force;
          total[half + p * width + k] -= given.targets[i] * force;
        }
      }
    }
    for (const value of total) expect(Math.abs(value)).toBeLessThan(1e-3);
  });
});
