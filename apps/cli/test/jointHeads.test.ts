// `robustify --multiclass`: all classes trained together, the same numbers after a kill, and no mixing with a run of another kind.

import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadHead } from "@worstcase/head";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Outcome, run, start } from "./commandLine.js";

const settings = [
  ...[
    "--multiclass",
    "weston-watkins",
    "--head",
    "polynomial",
    "--radius",
    "0.2",
    "--tolerance",
    "0.3",
    "--beta",
    "0.01",
  ],
  ...["--train", "120", "--validation", "20", "--test", "10", "--calibration-images", "2"],
  ...["--epsilon", "1/255", "--steps", "1", "--restarts", "0", "--workers", "1", "--seed", "5"],
];
/** Milliseconds: a run takes 5 s of processor time, more on busy ones. */
const slow = 300_000;

describe("robustify --multiclass weston-watkins", () => {
  let folder: string;
  let whole: Outcome;
  const out = (name: string) => join(folder, name);
  const read = async (name: string, file: string) => JSON.parse(await readFile(join(out(name), file), "utf8"));
  const places = (name: string) => ["--out", out(name), "--cache-dir", out("cache")];
  const units = (name: string) =>
    readdirSync(join(out(name), "checkpoint")).filter((unit) => unit.startsWith("train-"));
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-joint-"));
    whole = await run(["robustify", ...settings, ...places("whole")]);
  }, slow);
  afterAll(() => rm(folder, { recursive: true }));

  it("trains one problem per head, in balls and ellipsoids, and says so", async () => {
    expect([0, 3], whole.stderr).toContain(whole.code);
    expect(whole.stdout).toContain("all classes trained together (weston-watkins)");
    expect(units("whole").every((unit) => unit.endsWith("weston-watkins.json"))).toBe(true);
    const { heads } = await read("whole", "evaluation.json");
    const trained = heads.filter((head: { training: unknown }) => head.training);
    expect(trained.map((head: { training: { set: string } }) => head.training.set)).toEqual([
      "isotropic",
      "isotropic",
      "ellipsoid",
    ]);
    for (const { training } of trained) {
      expect([training.multiclass, training.statuses.length]).toEqual(["weston-watkins", 1]);
      expect(training.lowerBound).toBeGreaterThan(0);
      expect(training.gap).toBeCloseTo(1 - training.lowerBound / training.objective, 12);
    }
    for (const file of readdirSync(out("whole")).filter((name) => name.startsWith("head-"))) {
      const head = loadHead(new Uint8Array(await readFile(join(out("whole"), file))));
      expect([head.kind, head.classifier.classCount, head.evidence.statuses.length]).toEqual(["polynomial", 10, 1]);
    }
  });

  it(
    "ends with the same metrics after a kill",
    async () => {
      const { child, done } = start(["robustify", ...settings, ...places("killed")]);
      const timer = setInterval(() => {
        // when the first head is trained
        const begun = readdirSync(folder).includes("killed") && readdirSync(out("killed")).includes("checkpoint");
        if (begun && units("killed").some((unit) => unit.endsWith(".json"))) child.kill("SIGKILL");
      }, 20);
      const { signal } = await done;
      clearInterval(timer);
      expect(signal).toBe("SIGKILL");
      const before = units("killed").length;
      const again = await run(["robustify", "--resume", out("killed"), "--multiclass", "weston-watkins"]);
      expect([0, 3], again.stderr).toContain(again.code);
      expect(units("killed").length).toBeGreaterThanOrEqual(before);
      expect(await read("killed", "metrics.json")).toEqual(await read("whole", "metrics.json"));
    },
    slow,
  );

  it(
    "refuses to go on with another setting, by flag or in the stored configuration",
    async () => {
      const metrics = await read("whole", "metrics.json");
      for (const flags of [
        ["--multiclass", "one-vs-all"],
        ["--radius", "0.3"],
      ]) {
        const { code, stderr } = await run(["robustify", "--resume", out("whole"), ...flags]);
        expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`${flags[0]}: expected .* started with`))]);
      }
      const config = await read("whole", "config.json");
      for (const multiclass of ["one-vs-all", "crammer-singer"]) {
        await writeFile(join(out("whole"), "config.json"), JSON.stringify({ ...config, multiclass }));
        const { code, stderr } = await run(["robustify", "--resume", out("whole")]);
        expect([code, stderr]).toEqual([1, expect.stringMatching(/--resume: expected the same multiclass as before/)]);
      }
      expect(await read("whole", "metrics.json")).toEqual(metrics);
    },
    slow,
  );
});
