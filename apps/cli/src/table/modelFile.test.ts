// Model files: what is read, and that damaged ones are refused with the file's name.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PolynomialModel } from "@worstcase/polynomial";
import { afterAll, beforeAll, expect, it } from "vitest";
import { radiusUnits, readModel } from "./modelFile.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "worstcase-model-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(content: unknown) {
  const path = join(folder, "model.json");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return readModel(path);
}

const line = { Q: [0, 0, 0, 0], q: [3, -4], s: 1 };
const standardisation = { means: Float64Array.of(5, 6), scales: Float64Array.of(2, 4) };
const quadratic = { dimension: 2, Q: new Float64Array(4), q: Float64Array.of(3, -4), s: 1 };
const saved = (details: object) =>
  JSON.stringify(new PolynomialModel({ quadratics: [quadratic], standardisation, details: { ...details } }));

it("reads bare quadratics, nested or flat, and saved models of any origin", async () => {
  const point = { data: Float64Array.of(1, 2), shape: [1, 2] };
  for (const Q of [
    [1, 2, 2, 5],
    [
      [1, 2],
      [2, 5],
    ],
  ]) {
    const { model, notes } = await read({ ...line, Q, classes: ["no", "yes"] });
    // 1 + 2*2*2 + 5*4 + 3 - 8 + 1 = 25
    expect(Array.from(model.decision(point))).toEqual([0, 25]);
    expect([notes.classes, radiusUnits(model)]).toEqual([["no", "yes"], "units of the features"]);
  }
  const { model, notes } = await read(saved({ radius: 0.5, other: [1] }));
  // at (7, 10) the standardised point is (1, 1)
  expect(model.decision({ data: Float64Array.of(7, 10), shape: [1, 2] })[1]).toBe(0);
  expect([notes.radius, notes.classes]).toEqual([0.5, undefined]);
  expect(radiusUnits(model)).toMatch(/standard deviations/);
});

const good = saved({});
it.each([
  ["a truncated model", good.slice(0, -20), /JSON/],
  ["a model without its head", { ...JSON.parse(good), head: undefined }, /expected a model/],
  ["an edited mean", good.replace("[5,6]", "[5,7]"), /edited or damaged/],
  ["null", "null", /source\.format/],
  ["an empty file", "", /JSON/],
  ["classes that do not match the scores", saved({ classes: ["a", "b", "c"] }), /classes: expected 2 different names/],
  ["features that do not match", saved({ features: ["a"] }), /features: expected 2 names, got 1/],
  ["a radius that is none", saved({ radius: "wide" }), /radius/],
  ["an asymmetric Q", { ...line, Q: [0, 1, 0, 0] }, /\(Q \+ Q'\) \/ 2/],
  ["a ragged Q", { ...line, Q: [[0], [0, 0, 0]] }, /rows of 2 values/],
  ["a Q of another size", { ...line, Q: [1, 2] }, /2 x 2 values/],
  ["no features", { Q: [], q: [], s: 1 }, /integer >= 1/],
  ["a null weight", { ...line, q: [null, 1] }, /q\.0/],
  ["equal class names", { ...line, classes: ["a", "a"] }, /2 different names/],
])("%s is refused", async (_, content, message) => {
  await expect(read(content)).rejects.toMatchObject({
    code: "format",
    message: expect.stringMatching(/model\.json: expected a model/),
  });
  await expect(read(content)).rejects.toThrow(message);
});
