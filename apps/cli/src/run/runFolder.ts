// The folder of one run: config.json, environment.json, events.jsonl, results, and checkpoint/ with one file per finished unit
// of work. A unit is computed once: after a kill at any moment, the next run reads finished units and computes the rest.
// Units draw their random numbers from named forks of the seed, so a resumed run ends with the same numbers.

import { appendFile, mkdir, readdir, readFile, rm, rmdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { DataError, FormatError, SettingError } from "@worstcase/core";
import { readIfPresent, writeWhole } from "@worstcase/head";
import { readSafetensors, writeSafetensors } from "@worstcase/safetensors";

/** How a unit's value is stored: JSON holds numbers exactly; tensors are for large arrays. */
export interface UnitCodec<T> {
  readonly extension: "json" | "safetensors";
  encode(value: T): string | Uint8Array;
  decode(bytes: Uint8Array): T;
}

export const jsonUnit = <T>(): UnitCodec<T> => ({
  extension: "json",
  encode: (value) => JSON.stringify(value),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)) as T,
});

/** Named float32 arrays. */
export const arraysUnit: UnitCodec<Record<string, { data: Float32Array; shape: readonly number[] }>> = {
  extension: "safetensors",
  encode: (arrays) =>
    writeSafetensors(
      new Map(Object.entries(arrays).map(([name, array]) => [name, { type: "F32" as const, ...array }])),
    ),
  decode: (bytes) =>
    Object.fromEntries(
      [...readSafetensors(bytes).tensors].map(([name, { shape, data }]) => [
        name,
        { shape, data: data as Float32Array },
      ]),
    ),
};

/** A name as part of a file name. */
export const fileName = (name: string) => name.replace(/[^a-zA-Z0-9.]+/g, "-");

export class RunFolder {
  private constructor(
    readonly path: string,
    private readonly isNew: boolean,
  ) {}

  /** A new run folder. Throws SettingError when `path` already holds a run. */
  static async create(path: string, config: unknown): Promise<RunFolder> {
    await mkdir(path, { recursive: true });
    if ((await readdir(path)).includes("config.json")) {
      const hint = `continue it with --resume ${path}, or choose another --out`;
      throw new SettingError({ argument: "--out", expected: "a folder without a run", received: path, hint });
    }
    const folder = new RunFolder(path, true);
    await folder.write("config.json", config);
    return folder;
  }

  /** An existing run folder with the settings it was started with. Throws DataError or FormatError. */
  static async open(path: string): Promise<{ folder: RunFolder; config: unknown }> {
    const bytes = await readIfPresent(join(path, "config.json"));
    if (!bytes) {
      const hint = "give the folder of an earlier run";
      throw new DataError({ argument: "--resume", expected: "a folder with config.json", received: path, hint });
    }
    try {
      const folder = new RunFolder(path, false);
      await folder.dropHalfLine();
      return { folder, config: JSON.parse(new TextDecoder().decode(bytes)) };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new FormatError({ argument: join(path, "config.json"), expected: "JSON", received: error.message });
    }
  }

  /** Writes a JSON file whole. */
  async write(name: string, value: unknown): Promise<void> {
    await writeWhole(join(this.path, name), `${JSON.stringify(value, null, 2)}\n`);
  }

  async writeBytes(name: string, bytes: Uint8Array | string): Promise<void> {
    await writeWhole(join(this.path, name), bytes);
  }

  /** Adds one line to events.jsonl. */
  async log(event: object): Promise<void> {
    await appendFile(
      join(this.path, "events.jsonl"),
      `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`,
    );
  }

  /** The value of a unit: read when it is finished, else computed and written. A damaged unit is computed again. */
  async once<T>(unit: string, codec: UnitCodec<T>, compute: () => Promise<T>): Promise<T> {
    const path = join(this.path, "checkpoint", `${unit}.${codec.extension}`);
    const kept = await readIfPresent(path);
    if (kept) {
      try {
        return codec.decode(kept);
      } catch {
        await this.log({ type: "damaged-unit", unit });
      }
    }
    const encoded = codec.encode(await compute());
    await this.keepEncoded(path, unit, encoded);
    // what was stored is what is used, so that a resumed run sees the same value
    return codec.decode(typeof encoded === "string" ? new TextEncoder().encode(encoded) : encoded);
  }

  /** Keeps a finished unit. */
  async keep<T>(unit: string, codec: UnitCodec<T>, value: T): Promise<void> {
    await this.keepEncoded(join(this.path, "checkpoint", `${unit}.${codec.extension}`), unit, codec.encode(value));
  }

  /** The finished units whose names begin with `prefix`, in the order of their names. Damaged ones are left out. */
  async kept<T>(prefix: string, codec: UnitCodec<T>): Promise<T[]> {
    const checkpoint = join(this.path, "checkpoint");
    await mkdir(checkpoint, { recursive: true });
    const names = (await readdir(checkpoint)).filter(
      (name) => name.startsWith(prefix) && name.endsWith(`.${codec.extension}`),
    );
    const units: T[] = [];
    for (const name of names.sort()) {
      try {
        units.push(codec.decode(new Uint8Array(await readFile(join(checkpoint, name)))));
      } catch {
        await this.log({ type: "damaged-unit", unit: name });
      }
    }
    return units;
  }

  private async keepEncoded(path: string, unit: string, encoded: string | Uint8Array): Promise<void> {
    await writeWhole(path, encoded);
    await this.log({ type: "unit-finished", unit });
  }

  /**
   * Ties the folder to its inputs (hashes of data, backbone, ...). Throws SettingError naming what differs when the folder
   * was started with other inputs.
   */
  async tie(inputs: Readonly<Record<string, string>>): Promise<void> {
    const kept = await this.once("inputs", jsonUnit<Record<string, string>>(), async () => ({ ...inputs }));
    const differing = Object.keys({ ...kept, ...inputs }).filter((name) => kept[name] !== inputs[name]);
    if (differing.length === 0) return;
    const hint = "the folder belongs to other inputs; start a new run";
    throw new SettingError({
      argument: "--resume",
      expected: `the same ${differing.join(", ")} as before`,
      received: this.path,
      hint,
    });
  }

  /** Takes a new run back when no unit of it was finished, so that a corrected command can use the same folder. */
  async discardUnused(): Promise<void> {
    if (!this.isNew) return;
    const checkpoint = join(this.path, "checkpoint");
    const names = await readdir(this.path);
    const units = names.includes("checkpoint") ? await readdir(checkpoint) : [];
    // the fingerprints of the inputs are no result
    if (units.some((name) => name !== "inputs.json")) return;
    await rm(checkpoint, { recursive: true, force: true });
    for (const name of ["config.json", "events.jsonl", "environment.json"])
      await rm(join(this.path, name), { force: true });
    if ((await readdir(this.path)).length === 0) await rmdir(this.path);
  }

  private async dropHalfLine(): Promise<void> {
    const path = join(this.path, "events.jsonl");
    const bytes = await readIfPresent(path);
    if (!bytes || bytes.length === 0 || bytes.at(-1) === 10) return;
    await truncate(path, bytes.lastIndexOf(10) + 1);
  }
}
