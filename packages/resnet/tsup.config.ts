import { packageBuild } from "../../.config/tsup";

// the worker thread of the extractor is a module of its own beside the index
export default packageBuild({ entry: ["src/index.ts", "src/worker.ts"] });
