// `worstcase attack` on a small robustify run: rows, intervals, one head by file, the same rows after a kill, misuse.

import { existsSync, readdirSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run, start } from "./commandLine.js";

interface Accuracy {
  readonly correct: number;
  readonly total: number;
  readonly value: number;
  readonly interval: readonly [number, number];
}

interface Summary {
  readonly name: string;
  readonly accuracy: readonly Accuracy[];
  readonly seconds: number;
}

interface Row {
  readonly model: string;
  readonly clean: Accuracy;
  readonly attacks: readonly Summary[];
  readonly compared: readonly Summary[];
  readonly suite: { readonly preset: string; readonly accuracy: readonly Accuracy[] };
  readonly calls: { readonly forward: number; readonly gradient: number };
  readonly seconds: number;
}

/** Milliseconds; the whole file takes about 30 s on a free core. */
const slow = 300_000;
const quick = ["--preset", "quick", "--epsilon", "1/255,2/255", "--limit", "4", "--workers", "1"];
const names = ["backbone head", "polynomial, not robust", "robust polynomial, isotropic"];

/** A row without times, which differ from run to run. */
function numbers({ attacks, compared, seconds: _seconds, ...rest }: Row): object {
  const timeless = (all: Row["attacks"]) => all.map(({ seconds: _time, ...attack }) => attack);
  return { ...rest, attacks: timeless(attacks), compared: timeless(compared) };
}

describe("worstcase attack", () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const attack = (...args: string[]) => run(["attack", ...args]);
  let rows: Row[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-attack-"));
    const heads = ["--head", "polynomial", "--set", "isotropic", "--tolerance", "0.2"];
    const attacks = ["--epsilon", "2/255", "--steps", "1", "--restarts", "0", "--workers", "1"];
    const sizes = ["--train", "40", "--validation", "10", "--test", "10", "--calibration-images", "2"];
    const places = ["--out", at("run"), "--cache-dir", at("cache")];
    const trained = await run(["robustify", ...heads, ...attacks, ...sizes, ...places]);
    expect(trained.code, trained.stderr).toBe(0);
    const { code, stdout, stderr } = await attack("--run", at("run"), ...quick, "--out", at("whole"), "--json");
    expect(code, stderr).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    rows = JSON.parse(stdout).rows;
  }, slow);
  afterAll(() => rm(folder, { recursive: true }));

  it("gives one row for every head of the run", async () => {
    expect(rows.map(({ model }) => model)).toEqual(names);
    for (const row of rows) {
      expect(row).toMatchObject({ dataset: "embedded", images: 4, norm: "linf", epsilons: [1 / 255, 2 / 255] });
      expect(row.suite).toMatchObject({ preset: "quick", classCount: 10, choices: [] });
      expect(row).toMatchObject({ warnings: expect.any(Array), masking: { suspected: expect.any(Boolean) } });
      expect(row.attacks).toHaveLength(3);
      expect(row.calls.gradient).toBeGreaterThan(row.clean.correct);
      expect(row.seconds).toBeGreaterThan(0);
    }
    expect(JSON.parse(await readFile(join(at("whole"), "attack.json"), "utf8")).rows).toEqual(rows);
    expect(readdirSync(at("whole")).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  it("has FGSM and PGD on all images beside the suite, and draws the curve and examples of every head", async () => {
    for (const { compared, clean } of rows) {
      expect(compared.map(({ name }) => name)).toEqual(["fgsm", "pgd 20"]);
      const [fgsm, pgd] = compared.map(({ accuracy }) => accuracy);
      for (const e of [0, 1]) {
        expect(pgd![e]!.correct).toBeLessThanOrEqual(fgsm![e]!.correct);
        expect(fgsm![e]!.correct).toBeLessThanOrEqual(clean.correct);
      }
    }
    const curve = await readFile(join(at("whole"), "curve.svg"), "utf8");
    for (const name of names) expect(curve).toContain(name);
    const broken = rows.filter(({ clean, suite }) => suite.accuracy[1]!.correct < clean.correct);
    expect(readdirSync(at("whole")).filter((name) => name.startsWith("examples-"))).toHaveLength(broken.length);
  });

  it("orders its numbers: suite <= later attacks <= earlier ones <= clean, larger budgets never help", () => {
    for (const { clean, attacks, suite } of rows) {
      for (const e of [0, 1]) {
        const chain = [e === 0 ? clean : suite.accuracy[0]!, ...attacks.map(({ accuracy }) => accuracy[e]!)];
        for (const [k, later] of chain.slice(1).entries()) expect(later.correct).toBeLessThanOrEqual(chain[k]!.correct);
        expect(suite.accuracy[e]).toEqual(chain.at(-1));
      }
    }
    expect(rows[0]!.suite.accuracy[1]!.correct).toBeLessThan(rows[0]!.clean.correct);
  });

  it("states Wilson intervals: ends at which the observed share is 1.96 standard errors away", () => {
    for (const { clean, suite } of rows) {
      for (const { correct, total, value, interval } of [clean, ...suite.accuracy]) {
        expect([total, value]).toEqual([4, correct / 4]);
        for (const end of interval) {
          if (end === 0 || end === 1) expect(value).toBe(end);
          else expect(Math.abs(value - end)).toBeCloseTo(1.959964 * Math.sqrt((end * (1 - end)) / total), 6);
        }
      }
    }
  });

  it("agrees with robustify on clean accuracy, and breaks at least what its one step breaks", async () => {
    const { heads } = JSON.parse(await readFile(join(at("run"), "evaluation.json"), "utf8"));
    const flags = ["--head", names[2]!, "--preset", "quick", "--epsilon", "2/255", "--workers", "1"];
    // without --limit the run's own 10 images
    const { stdout, stderr } = await attack("--run", at("run"), ...flags, "--out", at("all"), "--json");
    const [row] = JSON.parse(stdout || stderr).rows as Row[];
    const trained = heads.find(({ name }: { name: string }) => name === names[2]);
    expect(row!.clean).toEqual(trained.clean);
    expect(row!.suite.accuracy[0]!.correct).toBeLessThanOrEqual(trained.attacked["fgsm margin"][0].correct);
  });

  it("attacks a head file, and without any the backbone's own head, as it does in a run", async () => {
    const file = join(at("run"), "head-robust-polynomial-isotropic.safetensors");
    const one = await attack("--head", file, ...quick, "--batch", "3", "--out", at("file"), "--json");
    const own = await attack("--backbone", "embedded", ...quick, "--out", at("own"), "--json");
    expect([one.code, own.code], one.stderr + own.stderr).toEqual([0, 0]);
    expect(JSON.parse(one.stdout).rows.map(numbers)).toEqual([numbers(rows[2]!)]);
    expect(JSON.parse(own.stdout).rows.map(numbers)).toEqual([numbers(rows[0]!)]);
  });

  it(
    "ends with the same rows after a kill and after an interruption, and prints the table",
    async () => {
      const { child, done } = start(["attack", "--run", at("run"), ...quick, "--out", at("killed")]);
      const finished = () => existsSync(at("killed/checkpoint")) && readdirSync(at("killed/checkpoint")).length > 3;
      const timer = setInterval(() => finished() && child.kill("SIGKILL"), 20);
      expect((await done).signal).toBe("SIGKILL");
      clearInterval(timer);
      const again = start(["attack", "--resume", at("killed")]);
      again.child.stderr!.once("data", () => again.child.kill("SIGINT"));
      const interrupted = await again.done;
      expect([interrupted.code, interrupted.stderr]).toEqual([130, expect.stringContaining("--resume")]);
      const { code, stdout, stderr } = await attack("--resume", at("killed"));
      expect(code, stderr).toBe(0);
      const report = JSON.parse(await readFile(join(at("killed"), "attack.json"), "utf8"));
      expect(report.rows.map(numbers)).toEqual(rows.map(numbers));
      expect(stdout).toMatch(/4 test images; preset quick, l-infinity/);
      for (const name of names) expect(stdout).toMatch(new RegExp(`\\n${name} +1/255 .*\\n +2/255 `));
    },
    slow,
  );

  describe("misuse", () => {
    beforeAll(async () => {
      await writeFile(at("broken.safetensors"), "not a head");
      await cp(join(at("run"), "head-polynomial-not-robust.safetensors"), at("truncated.safetensors"));
      await truncate(at("truncated.safetensors"), 2000);
      // a run whose backbone is another one, and one that was not finished
      for (const name of ["other", "unfinished"]) {
        await cp(at("run"), at(name), { recursive: true });
      }
      const path = join(at("other"), "evaluation.json");
      const evaluation = JSON.parse(await readFile(path, "utf8"));
      await writeFile(
        path,
        JSON.stringify({ ...evaluation, backbone: { ...evaluation.backbone, fingerprint: "0123" } }),
      );
      await rm(join(at("unfinished"), "evaluation.json"));
    });

    const cases: [string, () => string[], RegExp][] = [
      ["a run that is not there", () => ["--run", at("nowhere")], /--run: expected the folder of a finished/],
      ["an unfinished run", () => ["--run", at("unfinished")], /--run: expected the folder of a finished.*ENOENT/],
      ["an unknown head", () => ["--run", at("run"), "--head", "cubic"], /--head: expected one of "backbone head"/],
      ["another backbone", () => ["--run", at("other"), "--limit", "1"], /--run: expected the backbone 0123/],
      ["a missing head", () => ["--head", at("absent.safetensors")], /--head: expected a readable head file.*ENOENT/],
      ["a file that is no head", () => ["--head", at("broken.safetensors")], /broken\.safetensors: expected/],
      ["a truncated head", () => ["--head", at("truncated.safetensors")], /truncated\.safetensors: expected/],
      ["missing weights", () => ["--weights", at("absent.safetensors")], /--weights.*ENOENT/],
      ["a missing data folder", () => ["--data", "cifar10"], /--data-dir.*WORSTCASE_DATA/],
      ["epsilon 8", () => ["--epsilon", "8"], /--epsilon.*8\/255/],
    ];

    it.each(cases)("%s: one line, exit code 1, nothing written", async (_, flags, message) => {
      const { code, stdout, stderr } = await attack("--out", at("out"), ...flags());
      expect(stderr).toMatch(message);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr.split("\n").filter((line) => line.startsWith("worstcase: "))).toHaveLength(1);
      expect(stderr).not.toMatch(/\n {4}at /);
      expect(existsSync(at("out"))).toBe(false);
    });

    it("another setting of a started evaluation", async () => {
      const { code, stderr } = await attack("--resume", at("whole"), "--seed", "3");
      expect([code, stderr]).toEqual([1, expect.stringMatching(/--seed: expected 0, as the run was started with/)]);
    });

    it("other images in the folder of a started evaluation", async () => {
      await cp(at("whole"), at("moved"), { recursive: true });
      const path = join(at("moved"), "config.json");
      const config = JSON.parse(await readFile(path, "utf8"));
      await writeFile(path, JSON.stringify({ ...config, limit: 5 }));
      const { code, stderr } = await attack("--resume", at("moved"));
      expect([code, stderr]).toEqual([1, expect.stringMatching(/--resume: expected the same test as before/)]);
    });
  });
});
