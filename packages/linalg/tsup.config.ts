import { packageBuild } from "../../.config/tsup";

// one copy of the kernels for both entries
export default packageBuild({ entry: { index: "src/index.ts", kernels: "src/kernelsOnly.ts" }, splitting: true });
