// The conformance suite every implementation of the kernels must pass. Oracles: the definition of a product, ml-matrix,
// matrices built from a known spectrum, closed forms, published values. Residual bounds are 50 n eps.

import { describe, test } from "vitest";
import type { Kernels } from "../kernels.js";
import { describeBallMinima } from "./describeBallMinima.js";
import { describeBallScales } from "./describeBallScales.js";
import { describeBatch } from "./describeBatch.js";
import { describeBitProducts } from "./describeBitProducts.js";
import { describeCholesky } from "./describeCholesky.js";
import { describeEigen } from "./describeEigen.js";
import { describeInverse } from "./describeInverse.js";
import { describeMatrixVector } from "./describeMatrixVector.js";
import { describeProducts } from "./describeProducts.js";
import { describeTriangular } from "./describeTriangular.js";
import { describeWorkspace } from "./describeWorkspace.js";

/** Runs the suite on `kernels`; when they are missing here, one skipped test says why. */
export function describeKernels(name: string, kernels: Kernels | undefined, whyMissing = "not available"): void {
  if (!kernels) {
    describe(name, () => test.skip(whyMissing, () => {}));
    return;
  }
  describe(name, () => {
    describeWorkspace(kernels);
    describeProducts(kernels);
    describeBitProducts(kernels);
    describeTriangular(kernels);
    describeCholesky(kernels);
    describeInverse(kernels);
    describeMatrixVector(kernels);
    describeBatch(kernels);
    describeEigen(kernels);
    describeBallMinima(kernels);
    describeBallScales(kernels);
  });
}
