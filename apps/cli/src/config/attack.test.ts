import { SettingError } from "@worstcase/core";
import { describe, expect, it } from "vitest";
import { attackSchema, budgetsOf, checkAttack } from "./attack.js";
import { checkSettings } from "./options.js";

const settings = (values: object) => checkSettings(attackSchema, values);

describe("settings of attack", () => {
  it("sort budgets and take those of the published tables by default", () => {
    expect(budgetsOf(settings({ epsilon: "4/255,1/255,4/255" }))).toEqual([1 / 255, 4 / 255]);
    expect(budgetsOf(settings({}))).toEqual([1 / 255, 2 / 255, 4 / 255, 8 / 255]);
    expect(budgetsOf(settings({ norm: "l2" }))).toEqual([0.5]);
    expect(budgetsOf(settings({ norm: "l1" }))).toEqual([12]);
    expect(budgetsOf(settings({ norm: "l1", epsilon: "8" }))).toEqual([8]);
  });

  it("compare with FGSM and PGD unless told otherwise", () => {
    expect(settings({}).compare).toEqual(["fgsm", "pgd"]);
    expect(settings({ compare: "none" }).compare).toEqual([]);
    expect(settings({ compare: "fgsm" }).compare).toEqual(["fgsm"]);
  });

  it.each([
    [{ epsilon: "8" }, /--epsilon: expected at most 1.*did you mean 8\/255/],
    [{ epsilon: "0" }, /--epsilon/],
    [{ epsilon: "1/0" }, /--epsilon/],
    [{ preset: "strong" }, /--preset/],
    [{ norm: "l0" }, /--norm/],
    [{ limit: "0" }, /--limit/],
    [{ batch: "1.5" }, /--batch/],
    [{ seed: "-1" }, /--seed/],
    [{ run: "" }, /--run/],
    [{ run: "somewhere", data: "embedded" }, /--data: expected none together with --run/],
    [{ run: "somewhere", backbone: "resnet20" }, /--backbone: expected none together with --run/],
    [{ mean: "0.5,0.5,0.5" }, /--mean: expected none without --model/],
    [{ model: "tfjs:m.json", run: "r" }, /--run: expected none together with --model/],
    [{ model: "tfjs:m.json", std: "0" }, /--std/],
    [{ compare: "pgd,cw" }, /--compare/],
    [{ examples: "-1" }, /--examples/],
    [{ run: "somewhere", weights: "file" }, /--weights: expected none together with --run/],
  ])("refuse %j", (values, message) => {
    expect(() => checkAttack(settings(values))).toThrow(SettingError);
    expect(() => checkAttack(settings(values))).toThrow(message);
  });
});
