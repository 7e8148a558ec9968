import { packageBuild } from "../../.config/tsup";

export default packageBuild({ entry: { index: "src/index.ts", testing: "src/testing/index.ts" } });
