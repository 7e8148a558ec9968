import { packageTests } from "../../.config/vitest.ts";

// see tsup.config.ts: Node cannot load these modules, vite can; the main file of tfjs-core stays external (one copy)
export default packageTests({ server: { deps: { inline: [/tfjs-core\/dist\/(?!tf-core)/] } } });
