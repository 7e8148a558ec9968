import { createRng } from "@worstcase/core";
import { expect, test } from "vitest";
import { randomNetwork, randomQuadratic } from "../test/support.js";
import { type HeadJson, headFromJson, headToJson } from "./headJson.js";

const rng = createRng(3);
const quadratics = [randomNetwork(rng, 4, 6), randomQuadratic(rng, 6)];
const json = headToJson({ quadratics, details: { radius: 0.25 } });

test("round trip through text is exact to the bit", () => {
  const head = headFromJson(JSON.stringify(json));
  expect(head.details).toEqual({ radius: 0.25 });
  head.quadratics.forEach((quadratic, c) => {
    expect(quadratic.Q).toEqual(quadratics[c].Q);
    expect(quadratic.q).toEqual(quadratics[c].q);
    expect(quadratic.s).toBe(quadratics[c].s);
    expect(quadratic.neurons?.directions).toEqual(quadratics[c].neurons?.directions);
  });
  expect(headToJson({ quadratics: head.quadratics, details: { radius: 0.25 } })).toEqual(json);
});

test("damaged heads are refused", () => {
  const format = expect.objectContaining({ code: "format" });
  expect(() => headFromJson(JSON.stringify(json).slice(0, 200))).toThrow(format);
  expect(() => headFromJson("null")).toThrow(format);
  expect(() => headFromJson({ ...json, version: 2 } as unknown as HeadJson)).toThrow(format);
  expect(() => headFromJson({ ...json, dimension: 5 })).toThrow(format);
  expect(() => headFromJson({ ...json, quadratics: [] })).toThrow(format);
  const edited = JSON.parse(JSON.stringify(json));
  edited.quadratics[1].s += 1e-9;
  expect(() => headFromJson(edited)).toThrow(format);
});
