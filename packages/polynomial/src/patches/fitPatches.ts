// The patch (convolutional) variant (math.md 11): f_c(x) = sum over patches k and filters j of alpha_cjk sigma(u_j'I_k x),
// ||u_j|| = 1, regularised by sum |alpha|. A filter at one position is a neuron supported on that patch, so the program is that of
// fitPairwise with directions restricted to patches, and everything exact stays exact: worst cases and flip distances are those of
// the assembled quadratic on the whole image. The certificate compares with all networks of filters at these positions.

import { type NumericBatch, ShapeError } from "@worstcase/core";
import { patchSpheres } from "../multiclass/directionSets.js";
import { fitScores, type PairwiseFit, type PairwiseFitOptions } from "../multiclass/fitPairwise.js";
import type { Neurons } from "../quadratic.js";
import { type ImagePatches, imagePatches, type PatchLayout } from "./imagePatches.js";

export interface PatchFilter {
  /** Position of the patch in row-major order. */
  readonly patch: number;
  /** Unit filter on the patch's coordinates, `[patch size]`. */
  readonly filter: Float64Array;
  readonly weight: number;
}

export interface PatchFit extends PairwiseFit {
  readonly patches: ImagePatches;
  /** Filters of each class with their positions and output weights. */
  readonly filters: readonly (readonly PatchFilter[])[];
}

export type PatchFitOptions = Omit<PairwiseFitOptions, "bias"> & { readonly layout: PatchLayout };

/**
 * Trains on images `[samples, height, width, channels]` (or `[samples, height, width]`, or flattened) with class indices
 * `[samples]`; the adversary is an l2 ball on the whole image. Throws as `fitPairwise`, and SettingError on a malformed layout.
 */
export function fitPatches(
  images: NumericBatch,
  labels: Int32Array,
  classCount: number,
  options: PatchFitOptions,
): PatchFit {
  const { layout, ...rest } = options;
  const patches = imagePatches(layout);
  const features = flatten(images, layout, patches.size);
  const largest = Math.max(...patches.supports.map(({ length }) => length));
  const maxNeuronsPerClass = rest.maxNeuronsPerClass ?? Math.min(64, patches.supports.length * (largest + 1));
  const fit = fitScores(features, labels, classCount, { ...rest, maxNeuronsPerClass }, (d, kernels) =>
    patchSpheres(patches.supports, d, kernels),
  );
  return { ...fit, patches, filters: fit.networks.map((network) => filtersOf(network, patches)) };
}

/** The neurons of a patch network as filters. Throws ShapeError when a neuron fits no patch. */
function filtersOf({ directions, weights }: Neurons, { supports, size }: ImagePatches): PatchFilter[] {
  return Array.from(weights, (weight, j) => {
    const row = directions.subarray(j * size, (j + 1) * size);
    const used = Array.from(row.keys()).filter((k) => row[k] !== 0);
    const patch = supports.findIndex((support) => used.every((k) => support.includes(k)));
    if (patch < 0) {
      throw new ShapeError({ argument: `directions[${j}]`, expected: "a direction inside one patch", received: used });
    }
    return { patch, filter: Float64Array.from(supports[patch], (k) => row[k]), weight };
  });
}

function flatten(images: NumericBatch, layout: PatchLayout, size: number): NumericBatch {
  const [samples, ...sample] = images?.shape ?? [];
  const { height, width, channels = 1 } = layout;
  const flat = sample.length === 1 && sample[0] === size;
  const plane = sample.length === 2 && channels === 1 && sample[0] === height && sample[1] === width;
  const full = sample.length === 3 && sample[0] === height && sample[1] === width && sample[2] === channels;
  if (!flat && !plane && !full) {
    const expected = `[samples, ${height}, ${width}, ${channels}]`;
    throw new ShapeError({ argument: "images.shape", expected, received: images?.shape });
  }
  return { data: images.data, shape: [samples, size] };
}
