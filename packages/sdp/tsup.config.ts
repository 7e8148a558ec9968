import { packageBuild } from "../../.config/tsup";
import { embedWorker } from "./embedWorker";

export default packageBuild({
  entry: { index: "src/index.ts", testing: "src/testing/index.ts" },
  esbuildPlugins: [embedWorker],
});
