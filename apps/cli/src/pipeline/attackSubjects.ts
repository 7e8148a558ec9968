// What `worstcase attack` attacks: the heads of a finished robustify run, of one file, or the backbone's own, and the settings of
// backbone and images that belong to them.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  DataError,
  type DifferentiableClassifier,
  FormatError,
  fingerprint,
  isWorstcaseError,
  type WorstcaseError,
} from "@worstcase/core";
import { loadHead } from "@worstcase/head";
import { z } from "zod";
import type { AttackConfig } from "../config/attack.js";
import { checkSettings } from "../config/options.js";
import { completeConfig, type RobustifyConfig, robustifySchema } from "../config/robustify.js";
import { fileName } from "../run/runFolder.js";

export interface HeadToAttack {
  readonly name: string;
  readonly kind: "linear" | "polynomial" | "gated-relu";
  /** Null for the backbone's own head. */
  readonly file: string | null;
  /** Hash of the file; empty for the backbone's own head, which the backbone's fingerprint covers. */
  readonly fingerprint: string;
  /** Over backbone features; null for the backbone's own head. */
  readonly classifier: DifferentiableClassifier | null;
  /** The same head with gradients that see through its gates; null where its own gradients are true. */
  readonly surrogate: DifferentiableClassifier | null;
}

interface AttackSubjects {
  readonly heads: readonly HeadToAttack[];
  /** Data, backbone and backend as robustify takes them. */
  readonly setting: RobustifyConfig;
  /** Fingerprint of the backbone that the heads were trained on, where it is known. */
  readonly backboneFingerprint: string | null;
}

const ownHead: HeadToAttack = {
  name: "backbone head",
  kind: "linear",
  file: null,
  fingerprint: "",
  classifier: null,
  surrogate: null,
};

/** Throws DataError when a file or head is not there, FormatError naming the file when it is damaged. */
export async function findSubjects(config: AttackConfig): Promise<AttackSubjects> {
  if (config.run !== undefined) return subjectsOfRun(config, config.run);
  const setting = settingOf(config);
  const heads = [config.head === undefined ? ownHead : await openHead(config.head, "--head")];
  return { heads, setting, backboneFingerprint: null };
}

/** Data and backbone of a configuration that names no run. */
export function settingOf(config: AttackConfig): RobustifyConfig {
  const { data, backbone, weights } = config;
  const given = Object.entries({ data, backbone, weights, ...placesOf(config) }).filter(
    ([, value]) => value !== undefined,
  );
  return completeConfig(checkSettings(robustifySchema, Object.fromEntries(given)));
}

const finished = z.object({
  backbone: z.object({ fingerprint: z.string() }),
  heads: z.array(z.object({ name: z.string(), kind: z.string() })).nonempty(),
});

async function subjectsOfRun(config: AttackConfig, folder: string): Promise<AttackSubjects> {
  const stored = checkSettings(robustifySchema, await readJson(join(folder, "config.json")));
  const path = join(folder, "evaluation.json");
  const parsed = finished.safeParse(await readJson(path));
  if (!parsed.success) {
    throw new FormatError({
      argument: path,
      expected: "the evaluation of a robustify run",
      received: "something else",
    });
  }
  const { backbone, heads: all } = parsed.data;
  const named = all.filter(({ name }) => config.head === undefined || config.head === name);
  if (named.length === 0) {
    const expected = `one of ${all.map(({ name }) => `"${name}"`).join(", ")}`;
    throw new DataError({ argument: "--head", expected, received: config.head });
  }
  const heads: HeadToAttack[] = [];
  for (const { name, kind } of named) {
    heads.push(
      kind === "linear" ? ownHead : await openHead(join(folder, `head-${fileName(name)}.safetensors`), "--run"),
    );
  }
  const setting = completeConfig({ ...stored, ...placesOf(config) });
  return { heads, setting, backboneFingerprint: backbone.fingerprint };
}

/** Settings of the machine and the number of images, which may differ from those of the run. */
function placesOf({ dataDir, backend, workers, limit, download }: AttackConfig) {
  return {
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(backend === undefined ? {} : { backend }),
    ...(workers === undefined ? {} : { workers }),
    ...(limit === undefined ? {} : { test: limit }),
    ...(download ? { download } : {}),
  };
}

async function openHead(path: string, argument: string): Promise<HeadToAttack> {
  const bytes = await readBytes(path, argument);
  try {
    const { name, kind, classifier, surrogate } = loadHead(bytes);
    return { name, kind, file: path, fingerprint: fingerprint(bytes), classifier, surrogate };
  } catch (error) {
    if (!isWorstcaseError(error)) throw error;
    const { argument: part, expected, received } = (error as WorstcaseError).details;
    throw new FormatError({ argument: path, expected, received, hint: part }, { cause: error });
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = new TextDecoder().decode(await readBytes(path, "--run"));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError({ argument: path, expected: "JSON", received: (error as Error).message });
  }
}

async function readBytes(path: string, argument: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const hint = (error as NodeJS.ErrnoException).code ?? "";
    const expected = argument === "--run" ? "the folder of a finished robustify run" : "a readable head file";
    throw new DataError({ argument, expected, received: path, hint });
  }
}
