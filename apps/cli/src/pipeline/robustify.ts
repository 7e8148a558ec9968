// The main job: features, calibration, training on training images, choices on validation images, one look at the test images.
// Every finished piece of work is kept in the run folder (run/runFolder.ts), so the job can be killed and continued at any moment.

import { accuracyOf } from "@worstcase/attacks";
import { createRng, type LabelledBatch, throwIfAborted } from "@worstcase/core";
import { applyScaling, attach, cachedFeatures, linearToIsotropic, robustSamples } from "@worstcase/head";
import type { RobustifyConfig } from "../config/robustify.js";
import { describeEnvironment } from "../run/environment.js";
import type { RunFolder } from "../run/runFolder.js";
import { attackHead, craftExamples } from "./attackHead.js";
import { type Backbone, openBackbone } from "./backbone.js";
import { type Calibrated, calibrate } from "./calibrate.js";
import type { Evaluation, HeadResult } from "./evaluation.js";
import { loadImages } from "./images.js";
import type { Job, JobTools, LabelledFeatures } from "./job.js";
import { type ChosenHead, chooseHeads } from "./trainHeads.js";
import { writeResults } from "./writeResults.js";

/** Runs the job to its end and writes the results into the run folder. */
export async function robustify(config: RobustifyConfig, folder: RunFolder, tools: JobTools): Promise<Evaluation> {
  const started = performance.now();
  const job: Job = { config, folder, tools, rng: createRng(config.seed) };
  const images = await loadImages(config, tools);
  const backbone = await openBackbone(config);
  const { extractor } = backbone;
  try {
    // left out where it is one-vs-all, as in folders made before there was a choice
    const training = config.multiclass === "one-vs-all" ? {} : { multiclass: config.multiclass };
    const { fingerprint, backend } = extractor;
    await folder.tie({ ...images.fingerprints, backbone: fingerprint, backend, ...training });
    const environment = { ...describeEnvironment(), backend: extractor.backend, workers: extractor.workers };
    await folder.write("environment.json", environment);
    const train = await extract(job, backbone, images.train, "train");
    const validation = await extract(job, backbone, images.validation, "validation");
    const calibrated = await calibrate(job, backbone, images.train, train.inputs);
    const heads = await chooseHeads(job, train, validation, calibrated, images.classNames.length);
    // from here on nothing is chosen any more: the test images are used once
    const results = await evaluateHeads(job, backbone, images.test, heads, calibrated);
    const evaluation: Evaluation = {
      format: 1,
      data: {
        id: config.data,
        train: images.train.labels.length,
        validation: images.validation.labels.length,
        test: images.test.labels.length,
      },
      backbone: { id: extractor.id, fingerprint: extractor.fingerprint, features: extractor.featureCount },
      backend: extractor.backend,
      seed: config.seed,
      norm: "linf",
      epsilons: config.epsilon,
      calibration: calibrated.sets.map(({ kind, meanFgsm, meanPgd }) => ({
        set: kind,
        epsilon: config.calibrationEpsilon,
        fgsm: meanFgsm,
        pgd: meanPgd,
      })),
      heads: results,
      warnings: calibrated.sets.flatMap((set) => set.warnings),
      environment,
      seconds: (performance.now() - started) / 1000,
    };
    await writeResults(folder, evaluation, heads);
    return evaluation;
  } finally {
    await extractor.close();
  }
}

async function extract(
  { tools }: Job,
  { extractor }: Backbone,
  batch: LabelledBatch,
  label: string,
): Promise<LabelledFeatures> {
  const { signal, onEvent, cacheDir } = tools;
  const options = { folder: cacheDir, label, signal, onEvent };
  return { inputs: await cachedFeatures(extractor, batch.inputs, options), labels: batch.labels };
}

async function evaluateHeads(
  job: Job,
  backbone: Backbone,
  images: LabelledBatch,
  heads: readonly ChosenHead[],
  { isotropic }: Calibrated,
): Promise<HeadResult[]> {
  const { extractor } = backbone;
  const test = await extract(job, backbone, images, "test");
  const radius = job.config.radius[0]!;
  const original = attach(extractor, backbone.head);
  const examples = await craftExamples(job, original, images);
  const accuracy = (robust: Uint8Array) => accuracyOf(robust.map((value) => 1 - value));
  const ownQuadratics = linearToIsotropic(backbone.weights, isotropic);
  const ownRobust = robustSamples(ownQuadratics, applyScaling(isotropic, test.inputs), test.labels, radius);
  const results: HeadResult[] = [
    {
      name: "backbone head",
      kind: "linear",
      training: null,
      featureSpace: { kind: "exact", radius, accuracy: accuracy(ownRobust) },
      ...(await attackHead(job, "backbone head", original, null, images, [])),
    },
  ];
  for (const chosen of heads) {
    throwIfAborted(job.tools.signal, "evaluation");
    const { head } = chosen;
    const { kind, robust } = head.robustness(test.inputs, test.labels, radius, isotropic);
    const surrogate = head.surrogate && attach(extractor, head.surrogate);
    const attacked = await attackHead(job, head.name, attach(extractor, head.classifier), surrogate, images, [
      examples,
    ]);
    results.push({
      name: head.name,
      kind: head.kind,
      training: trainingOf(chosen),
      featureSpace: { kind, radius, accuracy: accuracy(robust) },
      ...attacked,
      warnings: [...head.warnings, ...attacked.warnings],
    });
  }
  return results;
}

function trainingOf({ head, set, covers, validation, seconds }: ChosenHead): HeadResult["training"] {
  const { objective, lowerBound, gap, statuses, solved } = head.evidence;
  const radius = head.radius.value;
  const multiclass = head.trained.kind === "polynomial" ? head.trained.training.multiclass : null;
  const trained = { multiclass, objective, lowerBound, gap, statuses, solved, seconds };
  return { set, norm: "l2", radius, beta: head.beta, covers, ...trained, validation };
}
