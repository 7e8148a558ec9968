import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createRng, DataError, FormatError, type LabelledBatch, SettingError, sampleSize } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dataFolder, skipReason } from "../../test/dataFolder.js";
import { loadBreastCancerDiagnostic, loadBreastCancerOriginal } from "./loadBreastCancer.js";

const malignant = ({ labels }: LabelledBatch) => labels.filter((label) => label === 1).length;

function meanOppositeDistance({ inputs, labels }: LabelledBatch): number {
  const d = sampleSize(inputs);
  let total = 0;
  let count = 0;
  for (let i = 0; i < labels.length; i++) {
    for (let j = 0; j < i; j++) {
      if (labels[i] === labels[j]) continue;
      let square = 0;
      for (let k = 0; k < d; k++) square += (inputs.data[i * d + k]! - inputs.data[j * d + k]!) ** 2;
      total += Math.sqrt(square);
      count++;
    }
  }
  return total / count;
}

describe.skipIf(!dataFolder)(`UCI files (${dataFolder ? "found" : skipReason})`, () => {
  const folder = dataFolder as string;

  it("give the paper's split of the original set: counts and recorded distance (math.md 17)", async () => {
    const set = await loadBreastCancerOriginal({ folder });
    const train = await set.train.all();
    const test = await set.test.all();
    expect([train.inputs.shape, test.inputs.shape]).toEqual([
      [559, 9],
      [140, 9],
    ]);
    expect([malignant(train), malignant(test)]).toEqual([206, 35]);
    expect(train.indices[558]! + 1).toBe(test.indices[0]);
    expect(Math.abs(meanOppositeDistance(train) / 5.3096031081718 - 1)).toBeLessThan(1e-12);
    expect(set.validation).toBeUndefined();
  });

  it("standardise with the training part only, and the scale leads back to the file's numbers", async () => {
    const set = await loadBreastCancerOriginal({ folder });
    const { inputs } = await set.train.all();
    for (let k = 0; k < 9; k++) {
      const column = Array.from({ length: 559 }, (_, i) => inputs.data[i * 9 + k]!);
      const mean = column.reduce((sum, value) => sum + value, 0) / 559;
      const square = column.reduce((sum, value) => sum + value * value, 0) / 559;
      expect(Math.abs(mean)).toBeLessThan(1e-12);
      expect(Math.abs(square - 1)).toBeLessThan(1e-8);
    }
    const { mean, scale } = set.standardisation;
    const first = Array.from({ length: 9 }, (_, k) => inputs.data[k]! * scale[k]! + mean[k]!);
    [5, 1, 1, 1, 2, 1, 3, 1, 1].forEach((value, k) => {
      expect(first[k]).toBeCloseTo(value, 12); // first line of the file
    });
  });

  it("give the diagnostic set, and stratified splits that keep the class shares", async () => {
    const rng = createRng(5);
    const set = await loadBreastCancerDiagnostic({
      folder,
      split: { kind: "stratified", rng, test: 0.2, validation: 0.1 },
    });
    const parts = await Promise.all([set.train.all(), set.validation!.all(), set.test.all()]);
    expect(parts.map(malignant)).toEqual([149, 21, 42]); // 212 = 149 + 21 + 42
    expect(parts.map(({ labels }) => labels.length)).toEqual([250 + 149, 36 + 21, 71 + 42]);
    const indices = parts.flatMap((part) => [...part.indices]).sort((a, b) => a - b);
    expect(indices).toEqual(Array.from({ length: 569 }, (_, i) => i));
    expect(set.featureNames).toHaveLength(30);
    expect(set.featureNames[23]).toBe("worst area");
    const other = await loadBreastCancerDiagnostic({
      folder,
      split: { kind: "stratified", rng: createRng(6), test: 0.2, validation: 0.1 },
    });
    expect(other.train.fingerprint).not.toBe(set.train.fingerprint);
    await expect(loadBreastCancerDiagnostic({ folder, split: "paper" as "sequential" })).rejects.toThrow(SettingError);
  });

  describe("when damaged", () => {
    let root: string;
    beforeAll(async () => {
      root = await mkdtemp(path.join(tmpdir(), "uci-"));
    });
    afterAll(() => rm(root, { recursive: true, force: true }));

    it("are refused by name", async () => {
      const file = path.join(root, "breast-cancer-wisconsin.data");
      const text = await readFile(path.join(folder, "uci", "breast-cancer-wisconsin.data"), "utf8");
      const attempt = async (content: string) => {
        await writeFile(file, content);
        return loadBreastCancerOriginal({ folder: root });
      };
      await expect(attempt(text.slice(0, text.indexOf("\n", 9000) + 1))).rejects.toThrow(/699 rows/);
      await expect(attempt(text.slice(0, 9000))).rejects.toThrow(FormatError);
      await expect(attempt(text.replace("1000025,5", "1000025,five"))).rejects.toThrow(/row 1, column 1.*five/);
      await expect(attempt("")).rejects.toThrow(DataError);
      await expect(loadBreastCancerDiagnostic({ folder: root })).rejects.toThrow(/wdbc\.data/);
    });
  });
});
