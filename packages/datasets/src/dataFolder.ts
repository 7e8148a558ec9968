// Where data files are looked for: an explicit folder, else the environment variable WORSTCASE_DATA; in it, the usual subfolders.

import { existsSync } from "node:fs";
import path from "node:path";
import { DataError } from "@worstcase/core";

/** The given folder, else WORSTCASE_DATA, else undefined. Nothing is checked. */
export function resolveDataFolder(dataDir?: string): string | undefined {
  return dataDir || process.env.WORSTCASE_DATA || undefined;
}

/**
 * The first existing of `names` in the folder or one of its `subfolders`, searched folder by folder.
 * Throws DataError that lists where it looked when there is none.
 */
export function findFile(
  folder: string | undefined,
  subfolders: readonly string[],
  names: readonly string[],
  hint: string,
): string {
  const expected = `${names.join(" or ")} in the folder or in ${subfolders.join(", ")}`;
  if (!folder) {
    const received = "no data folder (no option and no WORSTCASE_DATA)";
    throw new DataError({ argument: "options.folder", expected, received, hint });
  }
  for (const place of ["", ...subfolders]) {
    for (const name of names) {
      const file = path.join(folder, place, name);
      if (existsSync(file)) return file;
    }
  }
  throw new DataError({ argument: "options.folder", expected, received: folder, hint });
}
