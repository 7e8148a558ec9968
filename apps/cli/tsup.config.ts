import { packageBuild } from "../../.config/tsup";

export default packageBuild({ entry: ["src/main.ts"], format: ["esm"], dts: false });
