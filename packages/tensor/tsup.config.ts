import { packageBuild } from "../../.config/tsup";

// the gradients of tfjs-core are written with extensionless imports, which Node cannot load: bundle them
export default packageBuild({ noExternal: [/^@tensorflow\/tfjs-core\/dist\//] });
