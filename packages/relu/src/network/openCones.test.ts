// Verdicts on robust cones against the largest margins computed by Clarabel, and in cases known by hand.

import { readFileSync } from "node:fs";
import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { gatesFromVectors } from "../patterns/gateSet.js";
import { sampleGates } from "../patterns/sampleGates.js";
import { createProgram, type ProgramOptions } from "../program/program.js";
import { type FixtureCell, fixtureProblem } from "../testing/fixtures.js";
import { clouds } from "../testing/problems.js";
import { ConeMargins } from "./coneMargins.js";
import { excess } from "./feasible.js";
import { distinctRows, findOpenCones, openConesSize } from "./openCones.js";

interface Margins {
  readonly task: FixtureCell["task"];
  readonly norm: FixtureCell["norm"];
  readonly margins: readonly (number | null)[];
}

const file = new URL("../../fixtures/reluCones.json", import.meta.url);
const cones: Margins[] = JSON.parse(readFileSync(file, "utf8")).cones;
const search = (program: ReturnType<typeof createProgram>) =>
  findOpenCones(program, distinctRows(program), chooseKernels().workspace(openConesSize(program)));

it.each(cones.map((c) => [`${c.task} ${c.norm}`, c] as const))(
  "open just below the margin, closed just above: %s",
  async (_, c) => {
    const loss = "squared" as const;
    // The search is less exact for balls of general q.
    const near = c.norm === "3" ? 1e-3 : 1e-5;
    for (const [p, margin] of c.margins.entries()) {
      if (margin === null) continue;
      for (const factor of [1 - near, 1 + near, 0.3, 3]) {
        const cell = { ...c, loss, radius: margin * factor, regulariser: "group", beta: 1 } as const;
        const { program } = fixtureProblem(cell);
        const found = await search(program);
        expect(found.open.includes(p)).toBe(factor < 1);
        expect(found.closed.includes(p)).toBe(factor > 1);
        found.open.forEach((open, k) => {
          const direction = found.directions.slice(k * program.width, (k + 1) * program.width);
          expect(excess(program, open, direction)).toBeLessThan(0);
        });
      }
    }
  },
);

it.each(["two-class l2", "multi-class linf", "two-class 3"])(
  "margins found at other radii settle gates as a search does: %s",
  async (name) => {
    const c = cones.find(({ task, norm }) => `${task} ${norm}` === name);
    if (!c) throw new Error(`no fixture ${name}`);
    const known = c.margins.filter((margin) => margin !== null).sort((a, b) => a - b);
    const between = known.slice(1).map((margin, k) => (margin + known[k]) / 2);
    let margins: ConeMargins | undefined;
    for (const radius of [...between, ...between.toReversed(), known[0] / 2, 2 * known[known.length - 1]]) {
      const { program } = fixtureProblem({ ...c, loss: "squared", radius, regulariser: "group", beta: 1 });
      const rows = distinctRows(program);
      margins ??= new ConeMargins(program.gateCount, program.width, rows.length);
      const workspace = chooseKernels().workspace(openConesSize(program));
      const found = await findOpenCones(program, rows, workspace, undefined, margins);
      const fresh = await search(program);
      expect([found.open, found.closed, found.undecided]).toEqual([fresh.open, fresh.closed, fresh.undecided]);
      found.open.forEach((p, k) => {
        const direction = found.directions.slice(k * program.width, (k + 1) * program.width);
        expect(excess(program, p, direction)).toBeLessThan(0);
      });
    }
  },
);

it("points at the origin, one side only, no bias", async () => {
  const features = { data: Float64Array.from([0, 0, 1, 0, -1, 0.5]), shape: [3, 2] };
  const answers = { kind: "classes", labels: Int32Array.from([0, 1, 0]), classCount: 2 } as const;
  const vectors = Float64Array.from([1, 0.1, 0.2, 1]);
  const options: Omit<ProgramOptions, "radius"> = {
    gates: gatesFromVectors(vectors, features, false),
    norm: "l2",
    beta: 1,
  };
  // Without a ball the origin is no constraint; with one only v = 0 satisfies 0 >= r ||v||.
  expect([...(await search(createProgram(features, answers, { ...options, radius: 0 }))).open]).toEqual([0, 1]);
  expect([...(await search(createProgram(features, answers, { ...options, radius: 1e-6 }))).closed]).toEqual([0, 1]);
  // With bias, a gate open everywhere can always be constant.
  const always = gatesFromVectors(Float64Array.from([0, 0, 1]), features, true);
  expect([
    ...(await search(createProgram(features, answers, { ...options, gates: always, radius: 1e6 }))).open,
  ]).toEqual([0]);
});

it("takes the gates' own vectors where samples are many", async () => {
  const { features, labels } = clouds(1, 3200, 2, 2);
  const gates = sampleGates(features, { count: 3, rng: createRng(1) });
  const answers = { kind: "classes", labels, classCount: 2 } as const;
  const program = createProgram(features, answers, { gates, radius: 0, norm: "l2", beta: 1 });
  const found = await search(program);
  expect([...found.open]).toEqual([0, 1, 2]);
  found.open.forEach((p, k) => {
    const direction = found.directions.slice(3 * k, 3 * k + 3);
    const own = gates.gates.slice(3 * p, 3 * p + 3);
    const cosine = direction.reduce((sum, t, j) => sum + t * own[j], 0) / Math.hypot(...own);
    expect(cosine).toBeCloseTo(1, 12);
    expect(excess(program, p, direction)).toBeLessThan(0);
  });
});

it("decides every gate on features with far outliers, whose margins are small beside the features", async () => {
  const rng = createRng(4);
  const [samples, d] = [1200, 10];
  const data = Float64Array.from({ length: samples * d }, () => Math.exp(2.5 * rng.normal()) / 10);
  const features = { data, shape: [samples, d] };
  const gates = sampleGates(features, { count: 30, rng });
  const labels = Int32Array.from({ length: samples }, (_, i) => i % 2);
  for (const radius of [1e-3, 0.1]) {
    const options = { norm: "l2", radius, beta: 1e-3, gates } as const;
    const { open, closed, undecided } = await search(
      createProgram(features, { kind: "classes", labels, classCount: 2 }, options),
    );
    expect([open.length + closed.length, undecided.length]).toEqual([gates.count, 0]);
  }
});

it("lets the event loop turn, so that a signal can end it", async () => {
  const { features, labels } = clouds(3, 150, 8, 2);
  const gates = sampleGates(features, { count: 400, rng: createRng(1) });
  const answers = { kind: "classes", labels, classCount: 2 } as const;
  const program = createProgram(features, answers, { gates, radius: 1e-3, norm: "l2", beta: 1 });
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 0);
  const workspace = chooseKernels().workspace(openConesSize(program));
  const running = findOpenCones(program, distinctRows(program), workspace, controller.signal);
  await expect(running).rejects.toMatchObject({ code: "aborted" });
});
