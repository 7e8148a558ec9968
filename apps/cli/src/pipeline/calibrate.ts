// The perturbation sets of a run: scalings fitted on training features, displacements measured on training images.

import { type LabelledBatch, type NumericBatch, takeSamples, type Warning } from "@worstcase/core";
import {
  attach,
  type Calibration,
  chooseRadius,
  type FeatureScaling,
  fitScaling,
  meanJacobianProduct,
  measureDisplacements,
  summarise,
  whiteningOf,
} from "@worstcase/head";
import { arraysUnit, jsonUnit } from "../run/runFolder.js";
import type { Backbone } from "./backbone.js";
import type { Job } from "./job.js";

export type SetKind = FeatureScaling["kind"];

interface CalibratedSet {
  readonly kind: SetKind;
  readonly scaling: FeatureScaling;
  /** Training radii to try, with the share of measured displacements each covers. */
  readonly radii: readonly { readonly radius: number; readonly coveredFgsm: number; readonly coveredPgd: number }[];
  /** Mean displacements at the calibration budget, in scaled coordinates. */
  readonly meanFgsm: number;
  readonly meanPgd: number;
  readonly warnings: readonly Warning[];
}

export interface Calibrated {
  /** Coordinates in which heads are compared: centred, mean norm 1. */
  readonly isotropic: FeatureScaling;
  readonly sets: readonly CalibratedSet[];
}

export async function calibrate(
  job: Job,
  backbone: Backbone,
  train: LabelledBatch,
  features: NumericBatch,
): Promise<Calibrated> {
  const { config, folder, tools, rng } = job;
  const positions = rng.fork("calibration").permutation(train.labels.length).slice(0, config.calibrationImages);
  const images = takeSamples(train, positions);
  const isotropic = fitScaling(features);
  const scalings: FeatureScaling[] = [];
  for (const set of config.set) {
    scalings.push(
      set === "isotropic" ? isotropic : fitScaling(features, await whitening(job, backbone, images.inputs)),
    );
  }
  const measured = await folder.once("displacements", jsonUnit<{ fgsm: number[]; pgd: number[] }[]>(), async () => {
    const calibrations = await measureDisplacements({
      extractor: backbone.extractor,
      classifier: attach(backbone.extractor, backbone.head),
      images,
      scalings,
      budget: { norm: "linf", epsilon: config.calibrationEpsilon },
      rng: rng.fork("displacements"),
      signal: tools.signal,
    });
    return calibrations.map(({ displacements }) => ({ fgsm: [...displacements.fgsm], pgd: [...displacements.pgd] }));
  });
  return { isotropic, sets: scalings.map((scaling, k) => setOf(job, scaling, measured[k]!)) };
}

async function whitening({ folder, tools }: Job, { extractor }: Backbone, images: NumericBatch): Promise<Float64Array> {
  const width = extractor.featureCount;
  const stored = await folder.once("jacobian", arraysUnit, async () => {
    const product = await meanJacobianProduct(extractor, images, tools);
    return { product: { data: Float32Array.from(product), shape: [width, width] } };
  });
  return whiteningOf(Float64Array.from(stored.product!.data));
}

function setOf({ config }: Job, scaling: FeatureScaling, measured: { fgsm: number[]; pgd: number[] }): CalibratedSet {
  const displacements = { fgsm: Float64Array.from(measured.fgsm), pgd: Float64Array.from(measured.pgd) };
  const calibration: Calibration = {
    scaling,
    budget: { norm: "linf", epsilon: config.calibrationEpsilon },
    displacements,
  };
  const requests =
    scaling.kind === "isotropic" ? config.radius.map((radius) => ({ radius })) : config.tau.map((tau) => ({ tau }));
  const choices = requests.map((request) => chooseRadius(calibration, request));
  return {
    kind: scaling.kind,
    scaling,
    radii: choices.map(({ radius, coveredFgsm, coveredPgd }) => ({ radius, coveredFgsm, coveredPgd })),
    meanFgsm: summarise(displacements.fgsm).mean,
    meanPgd: summarise(displacements.pgd).mean,
    warnings: choices.flatMap((choice) => choice.warnings),
  };
}
