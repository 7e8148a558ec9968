// The solvers that come with the package, by name: what `--solver` and workers choose from.

import { interiorPoint } from "./interiorPoint/interiorPoint.js";
import type { SdpSolver } from "./solver.js";
import { splitting } from "./splitting/splitting.js";

export const solvers: readonly SdpSolver[] = [interiorPoint, splitting as unknown as SdpSolver];

/** The solver of this name, or undefined. */
export const findSolver = (name: string): SdpSolver | undefined => solvers.find((solver) => solver.name === name);
