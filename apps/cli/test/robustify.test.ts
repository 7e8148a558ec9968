// The main job on the embedded default: results, one JSON object, and the same numbers after being killed at any moment.

import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadHead } from "@worstcase/head";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Outcome, run, start } from "./commandLine.js";

const sizes = [
  "--train",
  "120",
  "--validation",
  "40",
  "--test",
  "20",
  "--calibration-images",
  "3",
  "--gates",
  "6",
  "--steps",
  "2",
];
const settings = [
  ...sizes,
  "--epsilon",
  "1/255,4/255",
  "--radius",
  "0.05,0.1",
  "--relu-tolerance",
  "0.3",
  "--workers",
  "1",
  "--seed",
  "5",
];

/** Milliseconds: a run takes about 20 s on two free cores, more on busy ones. */
const slow = 900_000;

describe("robustify", () => {
  let folder: string;
  let whole: Outcome;
  const out = (name: string) => join(folder, name);
  const metrics = async (name: string) => JSON.parse(await readFile(join(out(name), "metrics.json"), "utf8"));
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-robustify-"));
    whole = await run(["robustify", ...settings, "--json", "--out", out("whole"), "--cache-dir", out("cache")]);
  }, slow);
  afterAll(() => rm(folder, { recursive: true }));

  it("prints exactly one JSON object and writes the run folder", async () => {
    expect([0, 3], whole.stderr).toContain(whole.code);
    const evaluation = JSON.parse(whole.stdout);
    expect(evaluation.heads.map((head: { name: string }) => head.name)).toEqual([
      "backbone head",
      "polynomial, not robust",
      "robust polynomial, isotropic",
      "robust polynomial, ellipsoid",
      "gated ReLU, not robust",
      "robust gated ReLU, isotropic",
      "robust gated ReLU, ellipsoid",
    ]);
    const files = readdirSync(out("whole"));
    for (const name of ["config.json", "environment.json", "events.jsonl", "metrics.json", "evaluation.json"])
      expect(files).toContain(name);
    expect(files.filter((name) => name.startsWith("head-"))).toHaveLength(6);
    expect(files.filter((name) => name.endsWith(".part"))).toEqual([]);
    for (const name of files.filter((file) => file.startsWith("head-"))) {
      const head = loadHead(new Uint8Array(await readFile(join(out("whole"), name))));
      expect(head.classifier.classCount).toBe(10);
    }
  });

  it("orders its numbers: worst <= every attack <= clean, larger budgets never help, bounds stay below objectives", () => {
    for (const head of JSON.parse(whole.stdout).heads) {
      const rows: { value: number }[][] = Object.values(head.attacked);
      for (const [k, worst] of head.worst.entries()) {
        for (const row of rows) {
          expect(worst.value).toBeLessThanOrEqual(row[k]!.value);
          expect(row[k]!.value).toBeLessThanOrEqual(k === 0 ? head.clean.value : row[k - 1]!.value);
        }
      }
      expect(head.featureSpace.accuracy.value).toBeLessThanOrEqual(head.clean.value);
      if (head.training) expect(head.training.lowerBound).toBeLessThanOrEqual(head.training.objective * (1 + 1e-9));
    }
  });

  it(
    "ends with the same metrics after being killed several times",
    async () => {
      const flags = ["robustify", ...settings, "--out", out("killed"), "--cache-dir", out("cache")];
      let args = flags;
      let kills = 0;
      for (const milliseconds of [1500, 2500, 4000, 6000]) {
        const { child, done } = start(args);
        const timer = setTimeout(() => child.kill("SIGKILL"), milliseconds);
        const outcome = await done;
        clearTimeout(timer);
        if (outcome.signal !== "SIGKILL") break;
        kills++;
        const begun = readdirSync(folder).includes("killed") && readdirSync(out("killed")).includes("config.json");
        args = begun ? ["robustify", "--resume", out("killed")] : flags;
      }
      expect(kills).toBeGreaterThan(0);
      const last = await run(args);
      expect([0, 3], last.stderr).toContain(last.code);
      expect(await metrics("killed")).toEqual(await metrics("whole"));
      expect(last.stdout).toContain("worst per image");
    },
    slow,
  );

  it(
    "stops cleanly at an interrupt and says how to go on",
    async () => {
      const { child, done } = start([
        "robustify",
        ...settings,
        "--out",
        out("interrupted"),
        "--cache-dir",
        out("cache"),
      ]);
      child.stderr!.once("data", () => setTimeout(() => child.kill("SIGINT"), 500));
      const { code, stderr } = await done;
      expect([code, stderr]).toEqual([130, expect.stringContaining("--resume")]);
      const again = await run(["robustify", "--resume", out("interrupted"), "--json"]);
      expect([0, 3], again.stderr).toContain(again.code);
      expect(await metrics("interrupted")).toEqual(await metrics("whole"));
    },
    slow,
  );

  it("plans without working", async () => {
    const { code, stdout } = await run(["robustify", ...settings, "--dry-run", "--out", out("planned")]);
    expect([code, readdirSync(folder).includes("planned")]).toEqual([0, false]);
    expect(stdout).toMatch(/attacks.*7 heads x 2 budgets/);
  });
});
