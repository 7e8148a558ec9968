import { describeSdpSolver } from "../testing/index.js";
import { splitting } from "./splitting.js";

describeSdpSolver({ solver: splitting, tolerance: 1e-6, objectiveTolerance: 1e-4, hardTolerance: 1e-3 });
