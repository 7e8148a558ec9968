import { packageBuild } from "../../.config/tsup";

// the worker threads are modules of their own beside the index
export default packageBuild({
  entry: {
    index: "src/index.ts",
    classWorker: "src/threads/classWorker.ts",
    worstCaseWorker: "src/threads/worstCaseWorker.ts",
  },
});
