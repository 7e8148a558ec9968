import type { ViteUserConfig } from "vitest/config";
import { packageTests } from "../../.config/vitest.ts";
import { embedWorkerInTests } from "./embedWorker.ts";

const config: ViteUserConfig = { ...packageTests(), plugins: [embedWorkerInTests] };
export default config;
