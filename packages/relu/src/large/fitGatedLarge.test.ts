import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  createRng,
  DataError,
  FormatError,
  ResourceError,
  SettingError,
  ShapeError,
  UnsupportedError,
} from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { asOneColumn } from "../gated/firstOrder.js";
import { fitGatedRelu } from "../gated/fitGatedRelu.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { gatedObjective } from "../program/objective.js";
import { createProgram } from "../program/program.js";
import { rowsInFile, rowsInMemory, takeRows } from "./featureRows.js";
import { type FitGatedLargeOptions, fitGatedLarge } from "./fitGatedLarge.js";
import { fitGatedLargePath } from "./fitGatedLargePath.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "worstcase-large-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Gaussian classes, float32 numbers held as float64. */
function problem(samples: number, features: number, classes: number, gateCount: number, seed = 5) {
  const rng = createRng(seed);
  const means = Float64Array.from({ length: classes * features }, () => 0.8 * rng.normal());
  const labels = Int32Array.from({ length: samples }, () => rng.integer(classes));
  const data = Float64Array.from({ length: samples * features }, (_, k) => {
    const [i, j] = [Math.floor(k / features), k % features];
    return Math.fround((means[labels[i] * features + j] + 0.7 * rng.normal()) / Math.sqrt(features));
  });
  const points = { data, shape: [samples, features] };
  return { points, labels, rows: rowsInMemory(points), gates: sampleGates(points, { count: gateCount, rng }) };
}

describe("agreement with fitGatedRelu", () => {
  const cases = [
    { classes: 3, norm: "l2", radius: 0.1 },
    { classes: 4, norm: "l2", radius: 0 },
    { classes: 3, norm: "linf", radius: 0.03 },
    { classes: 2, norm: "l2", radius: 0.2 },
  ] as const;
  for (const { classes, norm, radius } of cases) {
    it(`${classes} classes, ${norm} ball of ${radius}`, async () => {
      const { points, labels, rows, gates } = problem(300, 5, classes, 24);
      const options = { norm, radius, beta: 5e-3, gates } as const;
      const large = await fitGatedLarge(rows, labels, classes, { ...options, tolerance: 5e-3 });
      const exact = await fitGatedRelu(points, labels, classes, { ...options, tolerance: 1e-4, method: "newton" });
      expect(large.status).toBe("optimal");
      expect(exact.gap).toBeLessThanOrEqual(1e-4);
      // each bound is below the other's objective, and the objective is the definition's
      expect(large.lowerBound).toBeLessThanOrEqual(exact.objective.total);
      expect(exact.lowerBound).toBeLessThanOrEqual(large.objective.total);
      expect(large.objective.total / exact.objective.total).toBeLessThan(1.006);
      const program = createProgram(points, { kind: "classes", labels, classCount: classes }, options);
      const { weights } = large.model;
      const pieces = classes === 2 ? asOneColumn(weights, program.width) : weights;
      const definition = gatedObjective(program, pieces);
      expect(large.objective.loss).toBeCloseTo(definition.loss, 10);
      if (classes > 2) expect(large.objective.regulariser).toBeCloseTo(definition.regulariser, 10);
    });
  }
});

describe("a start", () => {
  const { points, labels, rows, gates } = problem(3000, 6, 3, 40, 8);
  const common = { norm: "l2", gates, tolerance: 2e-2 } as const;
  const fit = (radius: number, beta: number, more: Partial<FitGatedLargeOptions> = {}) =>
    fitGatedLarge(rows, labels, 3, { ...common, radius, beta, ...more });

  it("is what a path gives the next point, whose bounds and objectives are those of fits from zero", async () => {
    const ladder = [0.002, 0.001, 0.001].map((beta, k) => ({ radius: k === 2 ? 0.05 : 0.02, beta }));
    const path = await fitGatedLargePath(rows, labels, 3, ladder, common);
    expect(path.map(({ radius, beta }) => ({ radius, beta }))).toEqual(ladder);
    for (const [k, { radius, beta, result }] of path.entries()) {
      const cold = await fit(radius, beta);
      expect(result.status).toBe("optimal");
      expect(result.lowerBound).toBeLessThanOrEqual(cold.objective.total);
      expect(cold.lowerBound).toBeLessThanOrEqual(result.objective.total);
      if (k === 0) expect([...result.model.weights]).toEqual([...cold.model.weights]);
      else {
        const started = await fit(radius, beta, { start: path[k - 1].result.model });
        expect([...started.model.weights]).toEqual([...result.model.weights]);
        expect(result.steps).toBeLessThan(cold.steps);
      }
      const program = createProgram(points, { kind: "classes", labels, classCount: 3 }, { ...common, radius, beta });
      expect(result.objective.total).toBeCloseTo(gatedObjective(program, result.model.weights).total, 10);
    }
  });

  it("belongs to a checkpoint, must have the gates, and a path needs a point", async () => {
    const { model } = await fit(0.02, 0.002);
    const file = path.join(folder, "start.checkpoint");
    const controller = new AbortController();
    const onEvent = ({ round }: { round: number }) => round === 2 && controller.abort();
    const checkpoint = { file, everySeconds: 0 };
    const running = fit(0.05, 0.001, { start: model, checkpoint, onEvent, signal: controller.signal });
    await expect(running).rejects.toMatchObject({ code: "aborted" });
    await expect(fit(0.05, 0.001, { checkpoint })).rejects.toThrow(FormatError);
    const resumed = await fit(0.05, 0.001, { start: model, checkpoint });
    const whole = await fit(0.05, 0.001, { start: model });
    expect([...resumed.model.weights]).toEqual([...whole.model.weights]);
    const other = problem(100, 6, 3, 10);
    const smaller = await fitGatedLarge(other.rows, other.labels, 3, {
      ...common,
      gates: other.gates,
      radius: 0,
      beta: 1,
    });
    await expect(fit(0.05, 0.001, { start: smaller.model })).rejects.toThrow(/options.start/);
    await expect(fitGatedLargePath(rows, labels, 3, [], common)).rejects.toThrow(/points/);
  });
});

describe("repeatability", () => {
  const fit = (settings: Partial<FitGatedLargeOptions>, source?: ReturnType<typeof rowsInFile>) => {
    const { labels, rows, gates } = problem(400, 6, 3, 20);
    const base = { norm: "l2", radius: 0.05, beta: 2e-3, gates, tolerance: 2e-2 } as const;
    return fitGatedLarge(source ?? rows, labels, 3, { ...base, ...settings });
  };
  const same = (a: Awaited<ReturnType<typeof fit>>, b: typeof a) => {
    expect([...a.model.weights]).toEqual([...b.model.weights]);
    expect([a.lowerBound, a.objective, a.rounds, a.steps]).toEqual([b.lowerBound, b.objective, b.rounds, b.steps]);
  };

  it("a file gives what memory gives, two threads repeat bit for bit", async () => {
    const { points } = problem(400, 6, 3, 20);
    const file = path.join(folder, "rows.f32");
    writeFileSync(file, Buffer.concat([Buffer.alloc(12), Buffer.from(Float32Array.from(points.data).buffer)]));
    const once = await fit({});
    expect(once.status).toBe("optimal");
    same(await fit({}, rowsInFile(file, { samples: 400, featureCount: 6, offset: 12 })), once);
    const twice = await fit({ threads: 2 });
    same(await fit({ threads: 2 }), twice);
    expect(twice.objective.total).toBeCloseTo(once.objective.total, 3);
  });

  it("an interrupted run continues bit for bit, from a file that is always whole", async () => {
    const whole = await fit({});
    expect(whole.rounds).toBeGreaterThan(6);
    const file = path.join(folder, "run.checkpoint");
    const checkpoint = { file, everySeconds: 0 };
    for (const stopAt of [3, 5]) {
      const controller = new AbortController();
      const running = fit({
        ...{ checkpoint, signal: controller.signal },
        onEvent: ({ round }) => round === stopAt && controller.abort(),
      });
      await expect(running).rejects.toMatchObject({ code: "aborted" });
      expect(readdirSync(folder)).not.toContain("run.checkpoint.part");
    }
    const rounds: number[] = [];
    const resumed = await fit({ checkpoint, onEvent: ({ round }) => rounds.push(round) });
    expect(resumed.resumed).toBe(true);
    expect(rounds[0]).toBeGreaterThan(4);
    same(resumed, whole);
    expect(readdirSync(folder)).not.toContain("run.checkpoint");
  });

  it("refuses damaged checkpoints and those of other problems", async () => {
    const file = path.join(folder, "other.checkpoint");
    const stopped = async () => {
      const controller = new AbortController();
      const checkpoint = { file, everySeconds: 0 };
      const onEvent = ({ round }: { round: number }) => round === 3 && controller.abort();
      await fit({ checkpoint, signal: controller.signal, onEvent }).catch(() => {});
    };
    await stopped();
    const checkpoint = { file };
    await expect(fit({ checkpoint, radius: 0.06 })).rejects.toThrow(/a checkpoint of this problem/);
    const { labels, rows, gates } = problem(400, 6, 3, 20, 6);
    const others = fitGatedLarge(rows, labels, 3, {
      norm: "l2",
      radius: 0.05,
      beta: 2e-3,
      gates,
      tolerance: 2e-2,
      checkpoint,
    });
    await expect(others).rejects.toThrow(FormatError);
    const size = readFileSync(file).length;
    for (const length of [size - 1, size - 4000, 40, 9, 0]) {
      truncateSync(file, length);
      await expect(fit({ checkpoint })).rejects.toThrow(FormatError);
    }
    await stopped();
    rmSync(file, { force: true });
    await stopped();
    const bytes = readFileSync(file);
    bytes[bytes.length - 300] ^= 1;
    writeFileSync(file, bytes);
    await expect(fit({ checkpoint })).rejects.toThrow(/truncated or changed/);
    const huge = Buffer.from(bytes);
    huge.writeUInt32LE(0xfffffff0, 8);
    writeFileSync(file, huge);
    await expect(fit({ checkpoint })).rejects.toThrow(/header/);
  });
});

describe("misuse", () => {
  const { labels, rows, gates } = problem(60, 4, 3, 6);
  const good = { norm: "l2", radius: 0.1, beta: 1e-2, gates } as const;
  const refused = (settings: object, error: new (...rest: never[]) => Error, own = labels, from = rows) =>
    expect(fitGatedLarge(from, own, 3, { ...good, ...settings } as FitGatedLargeOptions)).rejects.toThrow(error);

  it("is refused before work starts", async () => {
    await refused({ norm: "l1" }, UnsupportedError);
    await refused({ norm: 3 }, UnsupportedError);
    await refused({ loss: "logistic" }, UnsupportedError);
    await refused({ regulariser: "l1" }, UnsupportedError);
    await refused({ gates: undefined }, SettingError);
    await refused({ radius: -1 }, SettingError);
    await refused({ beta: 0 }, SettingError);
    await refused({ tolerance: Number.NaN }, SettingError);
    await refused({ threads: 0 }, SettingError);
    await refused({ timeLimitSeconds: -2 }, SettingError);
    await refused({ memoryLimit: 1e5 }, ResourceError);
    await refused({ gates: { ...gates, featureCount: 3 } }, SettingError);
    await refused({}, ShapeError, labels.slice(1));
    await refused({}, SettingError, labels, { kind: "rows" } as never);
  });

  it("in files is reported with row and column", async () => {
    const file = path.join(folder, "bad.f32");
    const numbers = takeRows(
      rows,
      Int32Array.from({ length: 60 }, (_, i) => i),
    ).data as Float32Array;
    numbers[4 * 17 + 2] = Number.NaN;
    writeFileSync(file, new Uint8Array(numbers.buffer));
    const source = rowsInFile(file, { samples: 60, featureCount: 4 });
    await expect(fitGatedLarge(source, labels, 3, good)).rejects.toThrow(/features\[17, 2\]/);
    await refused({}, DataError, labels, source);
    expect(() => rowsInFile(file, { samples: 61, featureCount: 4 })).toThrow(/truncated/);
    expect(() => rowsInFile(path.join(folder, "none"), { samples: 1, featureCount: 4 })).toThrow(FormatError);
    expect(() => rowsInFile(file, { samples: 0, featureCount: 4 })).toThrow(SettingError);
    expect(() => rowsInFile(file, { samples: 1, featureCount: 4, offset: -1 })).toThrow(ShapeError);
    expect(() => takeRows(rows, [60])).toThrow(ShapeError);
  });
});

describe("edge cases", () => {
  it("zero is optimal where beta or the radius is large", async () => {
    const { labels, rows, gates } = problem(60, 4, 3, 6);
    const large = await fitGatedLarge(rows, labels, 3, { norm: "l2", radius: 0, beta: 10, gates });
    expect([large.status, large.objective.total, large.gap]).toEqual(["zero-optimal", 2, 0]);
    expect(large.warnings.map(({ code }) => code)).toEqual(["collapsed-head"]);
    expect(large.model.weights.every((t) => t === 0)).toBe(true);
  });

  it("one gate, one sample, one class, zero features, equal gates", async () => {
    const { labels, rows, gates } = problem(60, 4, 3, 6);
    const options = { norm: "l2", radius: 0.02, beta: 1e-2, tolerance: 2e-2 } as const;
    const one = { ...gates, count: 1, gates: gates.gates.slice(0, 5), scales: gates.scales.slice(0, 1) };
    expect((await fitGatedLarge(rows, labels, 3, { ...options, gates: one })).status).toBe("optimal");
    const equal = { ...gates, gates: Float64Array.from({ length: 30 }, (_, k) => gates.gates[k % 5]) };
    const repeated = await fitGatedLarge(rows, labels, 3, { ...options, gates: equal });
    const single = await fitGatedLarge(rows, labels, 3, { ...options, gates: one });
    expect(repeated.status).toBe("optimal");
    expect(repeated.objective.total / single.objective.total).toBeCloseTo(1, 1);
    const lone = rowsInMemory(takeRows(rows, [0]));
    expect((await fitGatedLarge(lone, labels.slice(0, 1), 3, { ...options, gates })).gap).toBeLessThanOrEqual(0.02);
    const same = await fitGatedLarge(rows, new Int32Array(60), 3, { ...options, gates });
    expect(same.warnings.map(({ code }) => code)).toContain("single-class");
    const zeros = rowsInMemory({ data: new Float64Array(240), shape: [60, 4] });
    expect((await fitGatedLarge(zeros, labels, 3, { ...options, gates })).gap).toBeLessThanOrEqual(0.02);
  });
});
