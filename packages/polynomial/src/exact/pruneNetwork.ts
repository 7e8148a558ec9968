// From the weight matrices of an interior point to the network with the fewest neurons that costs no more than an allowance
// above the full one: thresholds on the eigenvalues, ever larger, as long as the exact objective permits (math.md 8).

import type { Kernels } from "@worstcase/linalg";
import type { Activation } from "../activation.js";
import type { Neurons } from "../quadratic.js";
import { extractNeurons, type Spectrum, spectrumOf } from "./extractNeurons.js";

const shares = [1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3];

/**
 * positive, negative: Z and Z', `[d + 1, d + 1]`. `evaluate` judges a network exactly; networks above
 * (1 + allowance) times the full one's total are not taken.
 */
export function pruneNetwork<Candidate extends { readonly objective: { readonly total: number } }>(
  matrices: { readonly positive: Float64Array; readonly negative: Float64Array },
  order: number,
  activation: Activation,
  kernels: Kernels,
  allowance: number,
  evaluate: (neurons: Neurons) => Candidate,
): Candidate {
  const spectra = [matrices.positive, matrices.negative].map((matrix) => spectrumOf(matrix, order, kernels));
  const top = Math.max(...spectra.map(({ values }) => values[order - 1]));
  let chosen = evaluate(joined(spectra, 0, activation));
  const allowed = chosen.objective.total * (1 + allowance);
  for (const share of shares) {
    const pruned = evaluate(joined(spectra, share * top, activation));
    if (!(pruned.objective.total <= allowed)) break;
    chosen = pruned;
  }
  return chosen;
}

function joined(spectra: readonly Spectrum[], threshold: number, activation: Activation): Neurons {
  const [one, two] = spectra.map((spectrum) => extractNeurons(spectrum, threshold));
  const directions = new Float64Array(one.directions.length + two.directions.length);
  directions.set(one.directions);
  directions.set(two.directions, one.directions.length);
  return { directions, weights: Float64Array.of(...one.sizes, ...two.sizes.map((size) => -size)), activation };
}
