import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError, FormatError, SettingError } from "@worstcase/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { arraysUnit, jsonUnit, RunFolder } from "./runFolder.js";

describe("RunFolder", () => {
  let path: string;
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), "worstcase-run-"));
  });
  afterEach(() => rm(path, { recursive: true }));

  it("computes a unit once, also across openings, and gives numbers back exactly", async () => {
    const folder = await RunFolder.create(path, { seed: 1 });
    let computed = 0;
    const compute = async () => ({ third: 1 / 3, count: ++computed });
    const first = await folder.once("unit", jsonUnit(), compute);
    const again = await (await RunFolder.open(path)).folder.once("unit", jsonUnit(), compute);
    expect([first, again, computed]).toEqual([{ third: 1 / 3, count: 1 }, first, 1]);
    const arrays = { a: { data: Float32Array.of(0.1, -0), shape: [2, 1] } };
    await folder.once("arrays", arraysUnit, async () => arrays);
    expect(await folder.once("arrays", arraysUnit, async () => ({}))).toEqual(arrays);
    expect((await readdir(join(path, "checkpoint"))).sort()).toEqual(["arrays.safetensors", "unit.json"]);
  });

  it("computes a damaged unit again and leaves damaged ones out of lists", async () => {
    const folder = await RunFolder.create(path, {});
    await folder.keep("work-1", jsonUnit(), 1);
    await folder.keep("work-2", jsonUnit(), 2);
    await writeFile(join(path, "checkpoint", "work-1.json"), "{");
    expect(await folder.kept("work-", jsonUnit())).toEqual([2]);
    expect(await folder.once("work-1", jsonUnit(), async () => 7)).toBe(7);
    expect(await folder.kept("work-", jsonUnit())).toEqual([7, 2]);
  });

  it("drops the half line that a kill left in the log", async () => {
    const folder = await RunFolder.create(path, {});
    await folder.log({ type: "started" });
    await appendFile(join(path, "events.jsonl"), '{"type":"unit-fin');
    await (await RunFolder.open(path)).folder.log({ type: "finished" });
    const lines = (await readFile(join(path, "events.jsonl"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).type)).toEqual(["started", "finished"]);
  });

  it("refuses a folder in use, a folder without a run, a damaged configuration and other inputs", async () => {
    await expect(RunFolder.open(path)).rejects.toThrow(DataError);
    const folder = await RunFolder.create(path, {});
    await expect(RunFolder.create(path, {})).rejects.toThrow(/--resume/);
    await folder.tie({ train: "a", backbone: "b" });
    await folder.tie({ train: "a", backbone: "b" });
    await expect(folder.tie({ train: "a", backbone: "c" })).rejects.toThrow(/same backbone/);
    await expect(folder.tie({ train: "a", backbone: "c" })).rejects.toThrow(SettingError);
    await writeFile(join(path, "config.json"), "{");
    await expect(RunFolder.open(path)).rejects.toThrow(FormatError);
  });
});
