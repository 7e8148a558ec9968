import { packageBuild } from "../../.config/tsup";

// the worker thread of fitInThreads is a module of its own beside the index
export default packageBuild({ entry: { index: "src/index.ts", classWorker: "src/threads/classWorker.ts" } });
