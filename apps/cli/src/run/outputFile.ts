// A file named by --out or --plot: its folder is checked before work starts, and it is written beside and renamed, so it is never half written.

import { access, constants, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { DataError } from "@worstcase/core";

/** Throws DataError when the folder of `path` is missing or read-only, or `path` is a folder itself. No path, no check. */
export async function checkOutputFile(path: string | undefined, flag = "--out"): Promise<void> {
  if (path === undefined) return;
  await access(dirname(path), constants.W_OK).catch(cannotWrite(path, flag));
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) cannotWrite(path, flag)(new Error("it is a folder"));
}

/** Throws DataError, and leaves nothing behind, when the file cannot be written. */
export async function writeOutputFile(path: string, content: string | Uint8Array, flag = "--out"): Promise<void> {
  const beside = `${path}.${process.pid}.part`;
  try {
    await writeFile(beside, content);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    cannotWrite(path, flag)(error);
  }
}

const cannotWrite = (path: string, flag: string) => (error: unknown) => {
  const hint = (error as Error).message;
  throw new DataError({ argument: flag, expected: "a file that can be written", received: path, hint });
};
