import { packageBuild } from "../../.config/tsup";

// split, so that a command loads only what it needs
export default packageBuild({ entry: ["src/main.ts"], format: ["esm"], dts: false, splitting: true });
