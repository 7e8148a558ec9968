// Public data files of the development machine: WORSTCASE_DATA, else ../shared/data beside the repository.

import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Path of a data file, or null when it is not here. */
export function dataFile(name: string): string | null {
  const folder = process.env.WORSTCASE_DATA ?? beside("shared/data");
  const file = folder && path.join(folder, name);
  return file && existsSync(file) ? file : null;
}

/** `name` in one of the folders above this module. */
function beside(name: string): string | null {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (path.dirname(folder) !== folder) {
    if (existsSync(path.join(folder, name))) return path.join(folder, name);
    folder = path.dirname(folder);
  }
  return null;
}
