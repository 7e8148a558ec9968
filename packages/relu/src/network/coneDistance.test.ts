// Moreau: the residual is the projection of h on the cone K. It lies in K, h'residual = ||residual||^2, and no unit vector of K sees more of h.

import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { fixtureCells, fixtureProblem } from "../testing/fixtures.js";
import { ConeDistance } from "./coneDistance.js";
import { excess, makeFeasible } from "./feasible.js";
import { distinctRows, findOpenCones, openConesSize } from "./openCones.js";

const cells = fixtureCells("reluCones.json").filter((cell) => cell.loss === "squared" && cell.regulariser === "group");

it.each(cells.map((c) => [`${c.task} ${c.norm} r=${c.radius}`, c] as const))("projection: %s", async (_, cell) => {
  const { program } = fixtureProblem(cell);
  const { width, gateCount } = program;
  const rows = distinctRows(program);
  const cones = await findOpenCones(program, rows, chooseKernels().workspace(openConesSize(program)));
  const distance = new ConeDistance(program, rows);
  const rng = createRng(1);
  let inside = 0;
  for (let trial = 0; trial < 60; trial++) {
    const k = rng.integer(cones.open.length);
    const p = cones.open[k];
    const direction = cones.directions.subarray(k * width, (k + 1) * width);
    expect(excess(program, p, direction)).toBeLessThan(0);
    // Vectors near the cone, so that the projection is often not zero.
    const h = Float64Array.from(direction, (t) => 3 * t + rng.normal());
    const length = distance.measure(p, h, 0, 1, 0);
    const residual = distance.residual.slice();
    const size = Math.hypot(...residual);
    expect(Math.abs(size - length)).toBeLessThan(1e-12);
    if (size < 1e-6) continue;
    inside++;
    expect(excess(program, p, residual)).toBeLessThan(1e-6 * size);
    const along = h.reduce((sum, t, j) => sum + t * residual[j], 0);
    expect(Math.abs(along / (size * size) - 1)).toBeLessThan(1e-5);
    const directions = new Float64Array(gateCount * width);
    directions.set(direction, p * width);
    for (let other = 0; other < 20; other++) {
      const pieces = new Float64Array(2 * gateCount * program.outputs * width);
      const at = p * program.outputs * width;
      for (let j = 0; j < width; j++) pieces[at + j] = residual[j] + 0.3 * size * rng.normal();
      makeFeasible(program, pieces, directions);
      const v = pieces.slice(at, at + width);
      expect(excess(program, p, v)).toBeLessThanOrEqual(0);
      const reach = Math.hypot(...v);
      if (reach > 0)
        expect(h.reduce((sum, t, j) => sum + t * v[j], 0) / reach).toBeLessThan(length * (1 + 1e-9) + 1e-12);
    }
    expect(distance.measure(p, h, 0, 1, 1.2 * length)).toBeLessThanOrEqual(Math.max(1.2 * length, length));
  }
  expect(inside).toBeGreaterThan(10);
});
