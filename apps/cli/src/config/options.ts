// Builds command-line options from a schema and resolves flags, configuration file and environment to one checked object.

import { readFile } from "node:fs/promises";
import { DataError, FormatError, SettingError } from "@worstcase/core";
import { type Command, Option } from "commander";
import type { z } from "zod";

/** Environment variables that stand for settings. */
const environment: Readonly<Record<string, string>> = { dataDir: "WORSTCASE_DATA", cacheDir: "WORSTCASE_CACHE" };

/** The flag of a setting. */
const flagOf = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** One flag per field of the schema; booleans take no value. Defaults are shown, and applied by the schema. */
export function addSchemaOptions(command: Command, schema: z.ZodObject): void {
  for (const [name, field] of Object.entries(schema.shape) as [string, z.ZodType][]) {
    const fallback = field.safeParse(undefined).data;
    const flag = `${flagOf(name)}${fallback === false ? "" : " <value>"}`;
    const shown = fallback === undefined || fallback === false ? "" : ` (default: ${formatDefault(fallback)})`;
    command.addOption(new Option(flag, `${field.description ?? ""}${shown}`));
  }
}

function formatDefault(value: unknown): string {
  const one = (item: unknown) =>
    typeof item === "number" && item > 0 && item < 0.05 && Number.isInteger(Math.round(item * 255e6) / 1e6)
      ? `${Math.round(item * 255)}/255`
      : String(item);
  return Array.isArray(value) ? value.map(one).join(",") : one(value);
}

/** Flags over configuration file over environment over defaults. Throws SettingError with every problem in one line. */
export async function resolveSettings<S extends z.ZodObject>(
  schema: S,
  flags: Readonly<Record<string, unknown>>,
  configFile: string | undefined,
): Promise<z.output<S>> {
  const names = Object.keys(schema.shape);
  const pick = (values: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(names.filter((name) => values[name] !== undefined).map((name) => [name, values[name]]));
  const fromEnvironment = Object.fromEntries(
    Object.entries(environment)
      .filter(([name]) => names.includes(name))
      .map(([name, variable]) => [name, process.env[variable] || undefined]),
  );
  const fromFile = configFile === undefined ? {} : await readConfigFile(configFile);
  return checkSettings(schema, { ...pick(fromEnvironment), ...fromFile, ...pick(flags) });
}

/** Applies a schema; throws SettingError naming the flags at fault. */
export function checkSettings<S extends z.ZodObject>(schema: S, values: unknown): z.output<S> {
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const received = values as Record<string, unknown>;
  const issues = parsed.error.issues;
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys");
  if (unknown)
    throw new SettingError({
      argument: "configuration",
      expected: `fields among ${Object.keys(schema.shape).join(", ")}`,
      received: unknown.keys.join(", "),
    });
  const name = String(issues[0]!.path[0]);
  // zod says "Too small: expected number to be >=1"; the error adds its own "expected"
  const wanted = issues.map((issue) => issue.message.replace(/^[A-Z][a-z ]+: expected /, "")).join("; ");
  const argument = flagOf(name);
  if (received[name] !== undefined) throw new SettingError({ argument, expected: wanted, received: received[name] });
  const meaning = schema.shape[name]?.description;
  const hint = meaning ? `it has no default: ${meaning}` : "it has no default";
  throw new SettingError({ argument, expected: "a value", received: undefined, hint });
}

/** Throws SettingError when a flag says something else than what a continued run was started with; `complete` checks and fills in settings. */
export function checkUnchanged(
  schema: z.ZodObject,
  config: object,
  flags: Readonly<Record<string, unknown>>,
  complete: (values: object) => object,
): void {
  const given = Object.keys(schema.shape).filter((name) => flags[name] !== undefined);
  const asked = complete({ ...config, ...Object.fromEntries(given.map((name) => [name, flags[name]])) });
  const settingOf = (values: object, name: string) => (values as Record<string, unknown>)[name];
  for (const name of given) {
    if (JSON.stringify(settingOf(asked, name)) === JSON.stringify(settingOf(config, name))) continue;
    throw new SettingError({
      argument: flagOf(name),
      expected: `${settingOf(config, name) ?? "none"}, as the run was started with`,
      received: flags[name],
      hint: "leave the flag out, or start a new run",
    });
  }
}

async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new DataError({
      argument: "--config",
      expected: "a readable JSON file",
      received: path,
      hint: (error as Error).message,
    });
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // reported below
  }
  throw new FormatError({ argument: "--config", expected: "a JSON object", received: path });
}
