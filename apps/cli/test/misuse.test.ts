// Bad input gives one clear line, exit code 1, and nothing half written.

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSafetensors } from "@worstcase/safetensors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "./commandLine.js";

describe("misuse", () => {
  let folder: string;
  let out: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-misuse-"));
    out = join(folder, "out");
    // a CIFAR-10 folder with one whole record per file, and one with a truncated file
    for (const name of ["whole", "truncated"]) {
      const cifar = join(folder, name, "cifar10");
      await mkdir(cifar, { recursive: true });
      for (const file of ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"]) {
        await writeFile(join(cifar, file), new Uint8Array(3073 * 4));
      }
    }
    await truncate(join(folder, "truncated", "cifar10", "data_batch_1.bin"), 5000);
    await writeFile(join(folder, "broken.safetensors"), "not weights");
    const wrong = { type: "F32" as const, shape: [3, 3], data: new Float32Array(9) };
    await writeFile(join(folder, "wrong.safetensors"), writeSafetensors(new Map([["conv1.weight", wrong]])));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const at = (name: string) => join(folder, name);
  const small = ["--train", "2", "--validation", "2", "--test", "1"];
  const cases: [string, () => string[], RegExp][] = [
    ["an unknown flag", () => ["--epsilons", "1/255"], /unknown option '--epsilons'.*--epsilon/s],
    ["epsilon 8", () => ["--epsilon", "8"], /--epsilon.*8\/255/],
    ["an unknown word", () => ["--head", "cubic"], /--head/],
    ["an unknown way to train many classes", () => ["--multiclass", "one-vs-one"], /--multiclass.*weston-watkins/],
    ["a missing data folder", () => ["--data", "cifar10"], /--data-dir.*WORSTCASE_DATA/],
    ["a folder without data", () => ["--data", "cifar10", "--data-dir", at("nowhere")], /test_batch/],
    [
      "a truncated batch",
      () => ["--data", "cifar10", "--data-dir", at("truncated"), ...small],
      /data_batch_1\.bin.*multiple of 3073/,
    ],
    ["too few images", () => ["--data", "cifar10", "--data-dir", at("whole"), "--train", "100"], /train/],
    ["missing weights", () => ["--weights", at("absent.safetensors")], /--weights.*ENOENT/],
    ["damaged weights", () => ["--weights", at("broken.safetensors")], /expected/],
    [
      "weights of another shape",
      () => ["--backbone", "resnet20", "--weights", at("wrong.safetensors")],
      /conv1\.weight/,
    ],
    ["a missing configuration", () => ["--config", at("absent.json")], /--config/],
    ["an unusable backend", () => ["--backend", "tfjs-node-gpu"], /tfjs-node-gpu/],
  ];

  it.each(cases)("%s", async (_, flags, message) => {
    const { code, stdout, stderr } = await run(["robustify", "--out", out, ...flags()]);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([1, ""]);
    const complaints = stderr.split("\n").filter((line) => line.startsWith("worstcase: "));
    expect(complaints, stderr).toHaveLength(1);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(existsSync(out)).toBe(false);
  });

  it("one class in the training images", async () => {
    // all labels of the made-up files are 0
    const flags = ["--data", "cifar10", "--data-dir", at("whole"), "--backbone", "embedded", ...small];
    const { code, stderr } = await run(["robustify", "--out", out, ...flags]);
    expect([code, existsSync(out)]).toEqual([1, false]);
    expect(stderr).toMatch(/training images: expected at least two classes, got 2 of class airplane/);
  });

  it("resuming what is not there, or into another folder", async () => {
    const absent = await run(["robustify", "--resume", at("nowhere")]);
    expect([absent.code, absent.stderr]).toEqual([1, expect.stringMatching(/--resume.*config\.json/)]);
    const config = await run(["robustify", "--resume", at("a"), "--config", at("b.json")]);
    expect([config.code, config.stderr]).toEqual([1, expect.stringMatching(/--config: expected no --config together/)]);
    const both = await run(["robustify", "--resume", at("a"), "--out", at("b")]);
    expect([both.code, both.stderr]).toEqual([1, expect.stringMatching(/--out/)]);
  });
});
