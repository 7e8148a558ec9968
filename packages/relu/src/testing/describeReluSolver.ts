// What every trainer of gated or ReLU programs must do, whatever its method: one call per trainer in testing/reluSolvers.test.ts.
// feasibility, a gap that closes, objectives never above that of zero and monotone in radius and beta, abort, events, determinism,
// inputs left alone, and the edge cases of tables that users have.

import { createRng, type NumericBatch } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { type GateSet, gatesFromVectors } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import type { FitProgress, FitStatus } from "../proximal/minimise.js";
import { clouds } from "./problems.js";

interface SolverOptions {
  readonly gates: GateSet;
  readonly radius: number;
  readonly norm: "l1" | "l2" | "linf";
  readonly beta: number;
  readonly tolerance: number;
  readonly bias?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: FitProgress) => void;
}

interface Solved {
  readonly status: FitStatus;
  readonly objective: { readonly total: number };
  readonly lowerBound: number;
  readonly gap: number;
  /** The trained numbers. */
  readonly weights: Float64Array;
  /** Largest violation of the constraints; 0 for programs without any. */
  readonly violation: number;
}

export interface ReluSolver {
  readonly name: string;
  /** Relative gap the method reaches on small problems. */
  readonly tolerance: number;
  readonly fit: (
    features: NumericBatch,
    labels: Int32Array,
    classCount: number,
    options: SolverOptions,
  ) => Promise<Solved>;
}

export function describeReluSolver({ name, tolerance, fit }: ReluSolver): void {
  describe(name, () => {
    const { features, labels } = clouds(3, 40, 3, 2);
    const gates = sampleGates(features, { count: 8, rng: createRng(4) });
    const common = { gates, norm: "l2", beta: 0.02, tolerance } as const;
    const certified = ({ status, objective, lowerBound, gap, violation }: Solved) => {
      expect(["optimal", "zero-optimal"]).toContain(status);
      expect(gap).toBeLessThanOrEqual(tolerance);
      expect(gap).toBeCloseTo(objective.total > 0 ? (objective.total - lowerBound) / objective.total : 0, 12);
      expect(lowerBound).toBeLessThanOrEqual(objective.total);
      expect(violation).toBe(0);
    };

    it.each(["l1", "l2", "linf"] as const)(
      "closes the gap for an %s ball, never above the zero model",
      async (norm) => {
        const result = await fit(features, labels, 2, { ...common, norm, radius: 0.02 });
        certified(result);
        expect(result.objective.total).toBeLessThanOrEqual(1);
      },
    );

    it("three classes", async () => {
      const three = clouds(5, 30, 2, 3);
      const options = { ...common, gates: sampleGates(three.features, { count: 5, rng: createRng(1) }), radius: 0.01 };
      const result = await fit(three.features, three.labels, 3, options);
      certified(result);
      expect(result.objective.total).toBeLessThanOrEqual(2);
    });

    it("objectives do not fall when the radius or beta grows", async () => {
      let last = 0;
      for (const radius of [0, 0.01, 0.05, 0.3]) {
        const { objective } = await fit(features, labels, 2, { ...common, radius });
        expect(objective.total).toBeGreaterThanOrEqual(last * (1 - tolerance));
        last = objective.total;
      }
      last = 0;
      for (const beta of [0.005, 0.02, 0.1]) {
        const { objective } = await fit(features, labels, 2, { ...common, radius: 0.01, beta });
        expect(objective.total).toBeGreaterThanOrEqual(last * (1 - tolerance));
        last = objective.total;
      }
    });

    it("a radius or beta so large that zero is optimal", async () => {
      for (const more of [
        { radius: 100, bias: false },
        { radius: 0.01, beta: 100 },
      ]) {
        const result = await fit(features, labels, 2, { ...common, ...more });
        expect(result.status).toBe("zero-optimal");
        expect(result.objective.total).toBe(1);
        expect(result.weights.every((value) => value === 0)).toBe(true);
      }
    });

    it("is deterministic and leaves its inputs alone", async () => {
      const before = { data: features.data.slice(), labels: labels.slice(), gates: gates.gates.slice() };
      const first = await fit(features, labels, 2, { ...common, radius: 0.02 });
      const second = await fit(features, labels, 2, { ...common, radius: 0.02 });
      expect(second.weights).toEqual(first.weights);
      expect(second.objective.total).toBe(first.objective.total);
      expect({ data: features.data, labels, gates: gates.gates }).toEqual(before);
    });

    it("reports events whose gaps do not grow, and stops when aborted", async () => {
      const events: FitProgress[] = [];
      await fit(features, labels, 2, { ...common, radius: 0.02, onEvent: (event) => events.push(event) });
      expect(events.length).toBeGreaterThan(0);
      for (let k = 1; k < events.length; k++) {
        expect(events[k].objective).toBeLessThanOrEqual(events[k - 1].objective);
        expect(events[k].lowerBound).toBeGreaterThanOrEqual(events[k - 1].lowerBound);
      }
      await expect(fit(features, labels, 2, { ...common, radius: 0.02, signal: AbortSignal.abort() })).rejects.toThrow(
        /abort/,
      );
    });

    it("zero features, one gate, equal gates, one class, duplicate rows", async () => {
      const zero = { data: new Float64Array(12), shape: [6, 2] };
      const halves = Int32Array.from([0, 1, 0, 1, 0, 1]);
      const flat = gatesFromVectors(Float64Array.from([1, 0, 0.5, 0, 1, 0.5]), zero, true);
      // Only the constant coordinate is left, and the classes are balanced: nothing is gained.
      const empty = await fit(zero, halves, 2, { ...common, gates: flat, radius: 0.1 });
      certified(empty);
      expect(empty.objective.total).toBeCloseTo(1, 6);
      const bare = gatesFromVectors(Float64Array.from([1, 0, 0, 1]), zero, false);
      for (const radius of [0, 0.1]) {
        const nothing = await fit(zero, halves, 2, { ...common, gates: bare, radius });
        expect(nothing.objective.total).toBe(1);
        expect(nothing.lowerBound).toBeGreaterThan(1 - tolerance);
      }

      const one = gatesFromVectors(gates.gates.slice(0, 4), features, true);
      const twice = gatesFromVectors(Float64Array.from([...one.gates, ...one.gates]), features, true);
      const single = await fit(features, labels, 2, { ...common, gates: one, radius: 0.001 });
      const double = await fit(features, labels, 2, { ...common, gates: twice, radius: 0.001 });
      certified(single);
      certified(double);
      // A second gate with the same pattern changes nothing.
      expect(Math.abs(single.objective.total - double.objective.total)).toBeLessThan(2 * tolerance);

      const same = await fit(features, new Int32Array(40), 2, { ...common, radius: 0.02 });
      certified(same);
      expect(same.objective.total).toBeLessThan(1);

      const data = Float64Array.from([...features.data, ...features.data]);
      const copied = { data, shape: [80, 3] };
      const repeated = await fit(copied, Int32Array.from([...labels, ...labels]), 2, { ...common, radius: 0.02 });
      const once = await fit(features, labels, 2, { ...common, radius: 0.02 });
      certified(repeated);
      expect(Math.abs(repeated.objective.total - once.objective.total)).toBeLessThan(2 * tolerance);
    });
  });
}
