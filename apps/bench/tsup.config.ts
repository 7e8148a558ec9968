import { packageBuild } from "../../.config/tsup";

// the stock TensorFlow.js network runs in a worker thread, so that it keeps a kernel registry of its own
export default packageBuild({
  entry: { main: "src/main.ts", stockWorker: "src/stock/stockWorker.ts" },
  format: ["esm"],
  dts: false,
});
