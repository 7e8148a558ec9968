import * as tf from "@tensorflow/tfjs-core";
import { SettingError, UnsupportedError } from "@worstcase/core";
import { describe, expect, it, vi } from "vitest";
import { backendNames } from "./backends.js";
import { inspectBackends, useBackend } from "./useBackend.js";

describe("inspectBackends", () => {
  it("reports every backend and leaves none active in a fresh process", async () => {
    const engine = tf.engine() as unknown as { backendName?: string };
    expect(engine.backendName).toBeFalsy();
    const reports = await inspectBackends();
    expect(engine.backendName).toBeFalsy();
    expect(reports.map(({ name }) => name)).toEqual(backendNames);
    for (const { available, detail, hint } of reports) {
      expect(detail.length).toBeGreaterThan(5);
      expect(detail).not.toContain("\n");
      if (!available) expect(hint).toContain("install");
    }
    expect(reports.find(({ name }) => name === "wasm")).toMatchObject({ available: true });
    expect(reports.find(({ name }) => name === "cpu")).toMatchObject({ available: true });
  });

  it("keeps the active backend and creates no tensors", async () => {
    await useBackend("cpu");
    const before = tf.memory().numTensors;
    await inspectBackends();
    expect(tf.getBackend()).toBe("cpu");
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("useBackend", () => {
  it("switches, describes, and is idempotent", async () => {
    const before = tf.memory().numTensors;
    const wasm = await useBackend("wasm");
    expect(wasm).toMatchObject({ name: "wasm", float32: true, rejected: [] });
    expect(wasm.description).toMatch(/tfjs-backend-wasm 4\.22\.0, SIMD on/);
    expect(tf.getBackend()).toBe("wasm");
    expect((await useBackend("cpu")).name).toBe("cpu");
    expect(tf.getBackend()).toBe("cpu");
    expect(await useBackend("wasm")).toEqual(wasm);
    expect(tf.getBackend()).toBe("wasm");
    expect(tf.memory().numTensors).toBe(before);
  });

  it("auto says what it tried before its choice, best first", async () => {
    const info = await useBackend();
    const position = backendNames.indexOf(info.name);
    expect(info.rejected.map(({ name }) => name)).toEqual(backendNames.slice(0, position));
    for (const { reason } of info.rejected) expect(reason).not.toBe("");
    expect(info.name).not.toBe("cpu");
  });

  it("runs concurrent calls one after another; the last one decides", async () => {
    const infos = await Promise.all([useBackend("cpu"), useBackend("wasm"), useBackend("cpu")]);
    expect(infos.map(({ name }) => name)).toEqual(["cpu", "wasm", "cpu"]);
    expect(tf.getBackend()).toBe("cpu");
  });

  it("explains a backend that is not available and keeps the active one", async () => {
    await useBackend("wasm");
    const missing = (await inspectBackends()).find(({ available }) => !available);
    if (!missing) return console.warn("skipped: every optional backend is installed here");
    const failure = await useBackend(missing.name).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UnsupportedError);
    expect((failure as Error).message).toContain(missing.name);
    expect((failure as Error).message).toContain("npm install");
    expect(tf.getBackend()).toBe("wasm");
    return undefined;
  });

  it("refuses an unknown name", async () => {
    await expect(useBackend("cuda" as never)).rejects.toBeInstanceOf(SettingError);
  });

  it("prints nothing", async () => {
    const spies = (["log", "info", "warn", "error"] as const).map((method) => vi.spyOn(console, method));
    await useBackend("cpu");
    await useBackend("wasm");
    for (const spy of spies) expect(spy).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });
});
