import { packageBuild } from "../../.config/tsup";

// the worker thread of fitGatedRelu is a module of its own beside the index
export default packageBuild({ entry: { index: "src/index.ts", hingeWorker: "src/threads/hingeWorker.ts" } });
