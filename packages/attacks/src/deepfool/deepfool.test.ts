import { describe, expect, it } from "vitest";
import { describeAttack } from "../testing/describeAttack.js";
import { deepFool } from "./deepfool.js";

// one step on a plane ends 2 % behind it, plus 1e-4 of the range 100 of the conformance suite's bounds
describeAttack({ name: "deepfool", create: () => deepFool() });

describe("deepFool", () => {
  it.each([{ steps: 0 }, { candidates: 0 }, { overshoot: -1 }])("refuses settings %o", (settings) => {
    expect(() => deepFool(settings)).toThrow(expect.objectContaining({ code: "setting" }));
  });
});
