import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  AbortedError,
  checkBatch,
  checkBudget,
  checkLabels,
  concatBatches,
  DataError,
  distances,
  evaluateLoss,
  fingerprint,
  gatherBatch,
  inChunks,
  isWorstcaseError,
  normOf,
  predictedClasses,
  SettingError,
  ShapeError,
  sliceBatch,
  throwIfAborted,
} from "./index.js";

const batch = (data: number[], shape: number[]) => ({ data: Float64Array.from(data), shape });

describe("batches", () => {
  it("slices, gathers, chunks and joins", () => {
    const three = batch([1, 2, 3, 4, 5, 6], [3, 2]);
    expect([...sliceBatch(three, 1, 3).data]).toEqual([3, 4, 5, 6]);
    expect([...gatherBatch(three, [2, 0]).data]).toEqual([5, 6, 1, 2]);
    expect(concatBatches([...inChunks(three, 2)].map((chunk) => chunk.inputs))).toEqual(three);
  });

  it("names the offending sample and value", () => {
    expect(() => checkBatch(batch([1, 2, 3, Number.NaN], [2, 2]), "features")).toThrow(/features\[1, 1\].*finite.*NaN/);
    expect(() => checkBatch(batch([1, Number.POSITIVE_INFINITY], [1, 2]), "features")).toThrow(DataError);
    expect(() => checkBatch(batch([1, 2, 3], [2, 2]), "features")).toThrow(ShapeError);
    expect(() => checkBatch(batch([], [0, 2]), "features")).toThrow(/at least one sample/);
    expect(() => checkBatch(batch([1, 2], [1, 2]), "images", [3])).toThrow(/samples of shape \[3\]/);
    expect(() => checkLabels(Int32Array.of(0, 3), 2, 3)).toThrow(/labels\[1\].*0 \.\. 2.*3/);
    expect(() => checkLabels(Int32Array.of(0), 2, 3)).toThrow(ShapeError);
    expect(() => checkLabels([0, Number.NaN] as never, 2, 3)).toThrow(/labels\[1\].*NaN/);
    expect(() => checkLabels([0, 0.5] as never, 2, 3)).toThrow(/labels\[1\].*0.5/);
    expect(() => concatBatches([])).toThrow(ShapeError);
    for (const none of [null, undefined, 7, "x"]) {
      expect(() => checkBatch(none as never, "features")).toThrow(SettingError);
      expect(() => checkLabels(none as never, 1, 2)).toThrow(SettingError);
    }
    for (const other of [{}, [[1, 2]], { data: [1, 2], shape: [1, 2] }, { data: Float64Array.of(1), shape: 1 }]) {
      expect(() => checkBatch(other as never, "features")).toThrow(/features: expected \{ data, shape \}/);
    }
  });
});

describe("budgets", () => {
  it("asks whether 8 was meant as 8 / 255", () => {
    const bounds = { lower: 0, upper: 1 };
    expect(() => checkBudget({ norm: "linf", epsilon: 8 }, bounds)).toThrow(/did you mean 8 \/ 255/);
    expect(() => checkBudget({ norm: "l2", epsilon: -1 }, bounds)).toThrow(SettingError);
    expect(() => checkBudget({ norm: "l3" as never, epsilon: 1 }, bounds)).toThrow(/linf, l2 or l1/);
    checkBudget({ norm: "linf", epsilon: 8 / 255 }, bounds);
    checkBudget({ norm: "linf", epsilon: 8 }, "unbounded");
  });

  it("measures norms and distances", () => {
    expect([normOf([3, -4], "l2"), normOf([3, -4], "l1"), normOf([3, -4], "linf")]).toEqual([5, 7, 4]);
    expect([...distances(batch([0, 0, 1, 1], [2, 2]), batch([3, 4, 1, 1], [2, 2]), "l2")]).toEqual([5, 0]);
  });
});

describe("losses", () => {
  const rows = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 3, maxLength: 3 });

  it("have the gradients of central differences", () => {
    fc.assert(
      fc.property(
        rows,
        fc.integer({ min: 0, max: 2 }),
        fc.constantFrom("cross-entropy" as const, "margin" as const),
        (row, label, kind) => {
          const rivals = row.filter((_, c) => c !== label);
          fc.pre(Math.abs(rivals[0]! - rivals[1]!) > 1e-3);
          const loss = { kind, labels: Int32Array.of(label) };
          const { gradient } = evaluateLoss(batch(row, [1, 3]), loss);
          for (let c = 0; c < 3; c++) {
            const moved = (step: number) =>
              evaluateLoss(
                batch(
                  row.map((x, k) => (k === c ? x + step : x)),
                  [1, 3],
                ),
                loss,
              ).loss[0]!;
            expect(gradient[c]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 4);
          }
        },
      ),
    );
  });

  it("dlr and targeted losses have the gradients of central differences", () => {
    const row = [0.3, -1.2, 2.5, 1.1, 0.8];
    for (let label = 0; label < 5; label++) {
      for (const target of [undefined, (label + 1) % 5, (label + 3) % 5]) {
        for (const kind of ["dlr", "margin"] as const) {
          const labels = Int32Array.of(label);
          const loss = target === undefined ? { kind, labels } : { kind, labels, targets: Int32Array.of(target) };
          const value = (c: number, step: number) =>
            evaluateLoss(
              batch(
                row.map((x, k) => (k === c ? x + step : x)),
                [1, 5],
              ),
              loss,
            ).loss[0]!;
          const { gradient } = evaluateLoss(batch(row, [1, 5]), loss);
          for (let c = 0; c < 5; c++) expect(gradient[c]).toBeCloseTo((value(c, 1e-6) - value(c, -1e-6)) / 2e-6, 7);
        }
      }
    }
  });

  it("dlr is the margin over the spread of the logits, whatever their scale", () => {
    const labels = Int32Array.of(2);
    const targets = Int32Array.of(1);
    for (const scale of [1e-3, 1, 1e6]) {
      const logits = batch(
        [4, 1, 3, 0, 2].map((x) => x * scale),
        [1, 5],
      );
      expect(evaluateLoss(logits, { kind: "dlr", labels }).loss[0]).toBeCloseTo((4 - 3) / (4 - 2), 6);
      expect(evaluateLoss(logits, { kind: "dlr", labels, targets }).loss[0]).toBeCloseTo((1 - 3) / (4 - 1.5), 6);
      expect(evaluateLoss(logits, { kind: "margin", labels, targets }).loss[0]).toBeCloseTo(-2 * scale, 6);
    }
    const few = batch([1, 2, 3], [1, 3]);
    expect(evaluateLoss(few, { kind: "dlr", labels }).loss[0]).toBeCloseTo(-0.5, 9);
    expect(() => evaluateLoss(few, { kind: "dlr", labels, targets })).toThrow(/four classes/);
    expect(() => evaluateLoss(batch([1, 2], [1, 2]), { kind: "dlr", labels: Int32Array.of(0) })).toThrow(/three/);
    expect(() => evaluateLoss(few, { kind: "margin", labels, targets: Int32Array.of(7) })).toThrow(/targets/);
    expect(() => evaluateLoss(few, { kind: "margin", labels, targets: Int32Array.of(0, 1) })).toThrow(ShapeError);
  });

  it("agree with their definitions", () => {
    const logits = batch([1, 2, 4], [1, 3]);
    expect(evaluateLoss(logits, { kind: "margin", labels: Int32Array.of(1) }).loss[0]).toBe(2);
    const expected = Math.log(Math.exp(1) + Math.exp(2) + Math.exp(4)) - 2;
    expect(evaluateLoss(logits, { kind: "cross-entropy", labels: Int32Array.of(1) }).loss[0]).toBeCloseTo(expected, 12);
    const huge = evaluateLoss(batch([1e308, -1e308], [1, 2]), { kind: "cross-entropy", labels: Int32Array.of(0) });
    expect(huge.loss[0]).toBe(0);
    expect([...predictedClasses(batch([1, 1, 0, 2], [2, 2]))]).toEqual([0, 1]);
    expect(() => evaluateLoss(batch([1], [1, 1]), { kind: "margin", labels: Int32Array.of(0) })).toThrow(ShapeError);
  });
});

describe("errors and fingerprints", () => {
  it("are recognised across copies of the package", () => {
    const foreign = Object.assign(new Error("x"), { [Symbol.for("worstcase.error")]: true });
    expect(isWorstcaseError(foreign)).toBe(true);
    expect(isWorstcaseError(new Error("x"))).toBe(false);
  });

  it("throw on an aborted signal and keep its reason", () => {
    throwIfAborted(undefined, "training");
    throwIfAborted(new AbortController().signal, "training");
    expect(() => throwIfAborted(AbortSignal.abort("stop"), "training")).toThrow(AbortedError);
  });

  it("hash as SHA-256 of length-prefixed parts", async () => {
    const bytes = new TextEncoder().encode("text 3\nabcbytes 2\n");
    const expected = Buffer.from(
      await crypto.subtle.digest("SHA-256", Buffer.concat([bytes, Buffer.of(1, 2)])),
    ).toString("hex");
    expect(fingerprint("abc", Uint8Array.of(1, 2))).toBe(expected);
    expect(fingerprint("ab", "c")).not.toBe(fingerprint("a", "bc"));
  });
});
