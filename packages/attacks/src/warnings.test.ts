import { describe, expect, it } from "vitest";
import { type AttackVerdicts, maskingWarnings, zeroGradientWarning } from "./warnings.js";

/** An attack on 1,000 samples that breaks all but the first `survivors`. */
function attack(
  name: string,
  strength: AttackVerdicts["strength"],
  ownGradients: boolean,
  ...survivors: number[]
): AttackVerdicts {
  return {
    name,
    strength,
    ownGradients,
    fooled: survivors.map((left) => Array.from({ length: 1000 }, (_, i) => i >= left)),
  };
}
const codes = (...attacks: AttackVerdicts[]) => maskingWarnings(attacks, [1 / 255, 2 / 255]).map(({ code }) => code);

// accuracies in tenths of a percent; the rows are those of the pilot on CIFAR-10 features (spec: pilot.md 3)
describe("maskingWarnings", () => {
  it("flags the gated head: transfer leaves 22 % where PGD leaves 40 %", () => {
    const warnings = maskingWarnings(
      [
        attack("fgsm", "single-step", true, 613, 370),
        attack("pgd", "iterative", true, 399, 55),
        attack("transfer from original", "iterative", false, 223, 20),
      ],
      [1 / 255, 2 / 255],
    );
    expect(warnings).toHaveLength(1);
    expect(warnings[0].code).toBe("gradient-masking");
    expect(warnings[0].message).toContain("leaves 22.3 % at epsilon 0.003922 where pgd leaves 39.9 %");
    expect(warnings[0].message).toContain("176 samples are broken only by the former, 0 only by the latter");
  });

  it("does not flag the linear head: FGSM is weaker than transferred PGD, but its own PGD is not", () => {
    const own = [attack("fgsm", "single-step", true, 413, 190), attack("pgd", "iterative", true, 191, 6)];
    expect(codes(...own, attack("transfer", "iterative", false, 193, 17))).toEqual([]);
  });

  it("says weak-attack, not masking, when only FGSM was run", () => {
    const single = attack("fgsm", "single-step", true, 413, 190);
    expect(codes(single, attack("transfer", "iterative", false, 193, 17))).toEqual(["weak-attack"]);
    expect(codes(single, attack("transfer", "iterative", false, 410, 186))).toEqual([]);
  });

  it("compares a cumulative verdict with those before it: a later own attack includes what the surrogate broke", () => {
    const attacks = [
      attack("apgd", "iterative", true, 300),
      attack("apgd, surrogate", "iterative", false, 200),
      attack("fab", "iterative", true, 200),
    ];
    expect(maskingWarnings(attacks, [0.1]).map(({ code }) => code)).toEqual([]);
    expect(maskingWarnings(attacks, [0.1], true).map(({ code }) => code)).toEqual(["gradient-masking"]);
  });

  it("flags FGSM beaten by transferred FGSM by more than five points", () => {
    const single = attack("fgsm", "single-step", true, 600, 300);
    expect(codes(single, attack("transfer", "single-step", false, 540, 300))).toEqual(["gradient-masking"]);
    expect(codes(single, attack("transfer", "single-step", false, 560, 260))).toEqual([]);
  });

  it("flags FGSM that is stronger than PGD", () => {
    const own = [attack("fgsm", "single-step", true, 300, 100), attack("pgd", "iterative", true, 330, 100)];
    expect(codes(...own)).toEqual(["single-step-stronger"]);
  });

  it("flags a black box that is stronger than the gradients of the model", () => {
    const own = attack("pgd", "iterative", true, 399, 55);
    const search = { ...attack("square", "iterative", false, 350, 55), blackBox: true };
    expect(codes(own, search)).toEqual(["black-box-stronger"]);
    expect(codes(own, { ...attack("square", "iterative", false, 420, 90), blackBox: true })).toEqual([]);
  });

  it("flags surrogate gradients that break more", () => {
    const own = attack("pgd", "iterative", true, 399, 55);
    expect(codes(own, attack("pgd, surrogate", "iterative", false, 169, 5))).toEqual(["gradient-masking"]);
  });

  it("joins own attacks: transfer has to beat the worst per image of all of them", () => {
    const first = attack("pgd margin", "iterative", true, 254, 254);
    const second = attack("pgd cross-entropy", "iterative", true, 197, 197);
    expect(codes(first, second, attack("transfer", "iterative", false, 213, 213))).toEqual([]);
  });

  it("leaves chance alone: a difference of a few samples is not evidence", () => {
    const own = attack("pgd", "iterative", true, 200, 6);
    expect(codes(own, attack("transfer", "iterative", false, 197, 6))).toEqual([]);
    // 30 broken only by one, 25 only by the other: less than two standard errors
    const mixed = attack("transfer", "iterative", false, 200, 6);
    const fooled = mixed.fooled[0].map((value, i) =>
      i >= 170 && i < 200 ? true : i >= 200 && i < 225 ? false : value,
    );
    expect(codes(own, { ...mixed, fooled: [fooled, mixed.fooled[1]] })).toEqual([]);
  });
});

describe("zeroGradientWarning", () => {
  it("starts above five percent", () => {
    expect(zeroGradientWarning("pgd", { samples: 100, zero: 5 })).toEqual([]);
    expect(zeroGradientWarning("pgd", { samples: 100, zero: 6 })).toEqual([
      { code: "zero-gradient", message: expect.stringContaining("6 of 100 samples (6.0 %)") },
    ]);
    expect(zeroGradientWarning("pgd", { samples: 0, zero: 0 })).toEqual([]);
  });
});
