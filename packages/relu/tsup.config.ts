import { packageBuild } from "../../.config/tsup";

// the worker threads of fitGatedRelu and fitGatedLarge are modules of their own beside the index
export default packageBuild({
  entry: {
    index: "src/index.ts",
    hingeWorker: "src/threads/hingeWorker.ts",
    shardWorker: "src/large/shardWorker.ts",
  },
});
