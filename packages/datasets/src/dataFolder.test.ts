import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { DataError } from "@worstcase/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { findFile, resolveDataFolder } from "./dataFolder.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("data folder", () => {
  it("is the option, then the environment variable, else none", () => {
    vi.stubEnv("WORSTCASE_DATA", "from environment");
    expect(resolveDataFolder("given")).toBe("given");
    expect(resolveDataFolder()).toBe("from environment");
    vi.stubEnv("WORSTCASE_DATA", "");
    expect(resolveDataFolder()).toBeUndefined();
  });

  it("is searched before its subfolders, and an error says where it looked", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "folder-"));
    try {
      await mkdir(path.join(folder, "sub"));
      await writeFile(path.join(folder, "sub", "a"), "");
      expect(findFile(folder, ["sub"], ["a"], "")).toBe(path.join(folder, "sub", "a"));
      await writeFile(path.join(folder, "a"), "");
      expect(findFile(folder, ["sub"], ["a"], "")).toBe(path.join(folder, "a"));
      expect(() => findFile(folder, ["sub"], ["b", "c"], "get it")).toThrow(/b or c in the folder or in sub.*get it/);
      expect(() => findFile(undefined, ["sub"], ["b"], "")).toThrow(DataError);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
