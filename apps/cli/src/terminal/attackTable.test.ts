import { accuracyOf } from "@worstcase/attacks";
import { expect, it } from "vitest";
import type { AttackReport, AttackRow } from "../pipeline/attack.js";
import { formatAttackReport } from "./attackTable.js";

const accuracy = (correct: number) => accuracyOf(Array.from({ length: 10 }, (_, i) => i >= correct));

const row: AttackRow = {
  model: "masked head",
  kind: "gated-relu",
  head: "head.safetensors",
  backbone: "network",
  dataset: "images",
  images: 10,
  norm: "linf",
  epsilons: [4 / 255, 0.1],
  clean: accuracy(9),
  compared: [],
  attacks: [
    {
      name: "apgd",
      settings: {},
      accuracy: [accuracy(8), accuracy(3)],
      calls: { forward: 1, gradient: 2 },
      seconds: 1,
    },
    {
      name: "square",
      settings: {},
      accuracy: [accuracy(5), accuracy(0)],
      calls: { forward: 9, gradient: 0 },
      seconds: 1,
    },
  ],
  suite: { preset: "quick", classCount: 3, choices: ["3 classes: replaced"], accuracy: [accuracy(5), accuracy(0)] },
  calls: { forward: 10, gradient: 2 },
  seconds: 2,
  warnings: [{ code: "black-box-stronger", message: "square beats apgd" }],
  masking: { suspected: true, codes: ["black-box-stronger"] },
};

it("shows budgets, the accuracy after each attack, the interval, the verdict, choices and warnings", () => {
  const report = {
    rows: [row],
    data: { id: "images", test: 10, fingerprint: "" },
    backbone: { id: "network", fingerprint: "" },
  } as unknown as AttackReport;
  const lines = formatAttackReport(report).split("\n");
  const cells = lines.map((line) => line.trim().split(/ {2,}/));
  expect(cells).toContainEqual("model,epsilon,clean,apgd,square,suite,95 %,forward,gradient,s,masking".split(","));
  // Wilson 1927: 5 of 10 gives 23.7 to 76.3 %
  const first = ["masked head", "4/255", "90.0", "80.0", "50.0", "50.0", "23.7 - 76.3", "10", "2", "2.0"];
  expect(cells).toContainEqual([...first, "black-box-stronger"]);
  expect(cells).toContainEqual(["0.1", "90.0", "30.0", "0.0", "0.0", "0.0 - 27.8"]);
  expect(lines).toContain("suite: 3 classes: replaced");
  expect(lines).toContain("warning (masked head): square beats apgd [black-box-stronger]");
});
