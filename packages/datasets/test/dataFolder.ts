// Where real data files lie for tests: WORSTCASE_DATA, else shared/data beside the repository; undefined when there is none.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const beside = fileURLToPath(new URL("../../../../shared/data", import.meta.url));

export const dataFolder = process.env.WORSTCASE_DATA ?? (existsSync(beside) ? beside : undefined);
export const skipReason = "no data files: set WORSTCASE_DATA";
