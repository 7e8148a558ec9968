import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError, FormatError, SettingError } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { checkSettings, resolveSettings } from "./options.js";
import { completeConfig, pairsOf, robustifySchema } from "./robustify.js";

describe("settings of robustify", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-config-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("read fractions, lists and ranges", () => {
    const settings = checkSettings(robustifySchema, {
      epsilon: "1/255..4/255",
      radius: "0.1,1e-1,0.25",
      beta: 0.01,
      head: "relu",
    });
    expect(settings.epsilon).toEqual([1 / 255, 2 / 255, 3 / 255, 4 / 255]);
    expect(settings.radius).toEqual([0.1, 0.1, 0.25]);
    expect([settings.beta, settings.head]).toEqual([[0.01], ["relu"]]);
    expect(completeConfig(checkSettings(robustifySchema, { epsilon: "8/255,1/255,8/255" })).epsilon).toEqual([
      1 / 255,
      8 / 255,
    ]);
  });

  it("complete what depends on the data set", () => {
    expect(completeConfig(checkSettings(robustifySchema, {}))).toMatchObject({
      backbone: "embedded",
      train: 1500,
      calibrationImages: 30,
      multiclass: "one-vs-all",
    });
    expect(completeConfig(checkSettings(robustifySchema, { data: "cifar10", train: "7" }))).toMatchObject({
      backbone: "resnet20",
      train: 7,
      test: 1000,
    });
    expect(
      pairsOf({ head: ["polynomial", "relu"], set: ["isotropic", "ellipsoid"], radius: [0.1, 0.2], tau: [0.25] }),
    ).toBe(8);
  });

  it.each([
    [{ epsilon: "8" }, /--epsilon: expected at most 1.*did you mean 8\/255/],
    [{ epsilon: "1/0" }, /--epsilon/],
    [{ epsilon: "2/255..5/255" }, /--epsilon/],
    [{ epsilon: "" }, /--epsilon/],
    [{ train: "1.5" }, /--train: expected int/],
    [{ train: "many" }, /--train: expected number/],
    [{ head: "polynomial,cubic" }, /--head/],
    [{ head: "relu,relu" }, /distinct/],
    [{ radius: "-1" }, /--radius/],
    [{ multiclass: "one-vs-one" }, /--multiclass.*weston-watkins/],
    [{ dataDir: "" }, /--data-dir/],
    [{ seed: "-1" }, /--seed/],
    [{ epsilons: "1/255" }, /configuration.*epsilons/],
  ])("refuse %j in one line", (values, message) => {
    expect(() => checkSettings(robustifySchema, values)).toThrow(SettingError);
    expect(() => checkSettings(robustifySchema, values)).toThrow(message);
    try {
      checkSettings(robustifySchema, values);
    } catch (error) {
      expect((error as Error).message).not.toContain("\n");
    }
  });

  it("prefer flags over the file over the environment", async () => {
    const path = join(folder, "config.json");
    await writeFile(path, JSON.stringify({ seed: 3, dataDir: "from-file" }));
    vi.stubEnv("WORSTCASE_DATA", "from-environment");
    vi.stubEnv("WORSTCASE_CACHE", "cache");
    const settings = await resolveSettings(robustifySchema, { seed: "5", unrelated: true }, path);
    expect(settings).toMatchObject({ seed: 5, dataDir: "from-file", cacheDir: "cache" });
    expect((await resolveSettings(robustifySchema, {}, undefined)).dataDir).toBe("from-environment");
    vi.unstubAllEnvs();
  });

  it("refuse a configuration file that is missing, not JSON, or has unknown fields", async () => {
    const resolve = (name: string) => resolveSettings(robustifySchema, {}, join(folder, name));
    await writeFile(join(folder, "list.json"), "[1]");
    await writeFile(join(folder, "broken.json"), '{"seed": ');
    await writeFile(join(folder, "unknown.json"), '{"sead": 1}');
    await expect(resolve("absent.json")).rejects.toThrow(DataError);
    await expect(resolve("list.json")).rejects.toThrow(FormatError);
    await expect(resolve("broken.json")).rejects.toThrow(FormatError);
    await expect(resolve("unknown.json")).rejects.toThrow(/sead/);
  });
});
