// Trains the candidates of every row and keeps the one that is best on validation images.
// Criterion: robust accuracy of the argmax on l2 balls of the largest requested radius in the row's own coordinates (exact for polynomial heads,
// certified for gated ones); clean accuracy decides between equals. With one candidate nothing is chosen, and the numbers are still reported.

import { predictedClasses } from "@worstcase/core";
import {
  type FeatureScaling,
  type Remember,
  type RobustHead,
  trainGatedHead,
  trainPolynomialHead,
} from "@worstcase/head";
import { fileName, jsonUnit } from "../run/runFolder.js";
import type { Calibrated, SetKind } from "./calibrate.js";
import type { Job, LabelledFeatures } from "./job.js";

export interface ChosenHead {
  readonly head: RobustHead;
  readonly set: SetKind;
  readonly covers: { readonly fgsm: number; readonly pgd: number };
  /** Accuracies on validation images. */
  readonly validation: { readonly clean: number; readonly robust: number };
  /** Seconds of training of all candidates of the row. */
  readonly seconds: number;
}

interface Candidate {
  readonly set: SetKind;
  readonly scaling: FeatureScaling;
  readonly radius: number;
  readonly covers: ChosenHead["covers"];
}

interface Row {
  readonly name: string;
  readonly kind: "polynomial" | "relu";
  readonly candidates: readonly Candidate[];
}

export async function chooseHeads(
  job: Job,
  train: LabelledFeatures,
  validation: LabelledFeatures,
  calibrated: Calibrated,
  classCount: number,
): Promise<ChosenHead[]> {
  const chosen: ChosenHead[] = [];
  for (const row of rowsOf(job, calibrated)) {
    const measure = Math.max(...row.candidates.map((candidate) => candidate.radius)) || job.config.radius[0]!;
    let best: ChosenHead | null = null;
    let seconds = 0;
    for (const [k, candidate] of row.candidates.entries()) {
      for (const beta of job.config.beta) {
        const head = await trainCandidate(
          job,
          row,
          `${row.name} ${k} beta ${beta}`,
          candidate,
          beta,
          train,
          classCount,
        );
        seconds += head.evidence.seconds;
        const accuracies = await validate(head, validation, measure);
        const better =
          !best ||
          accuracies.robust > best.validation.robust ||
          (accuracies.robust === best.validation.robust && accuracies.clean > best.validation.clean);
        if (better) best = { head, set: candidate.set, covers: candidate.covers, validation: accuracies, seconds };
      }
    }
    chosen.push({ ...best!, seconds });
  }
  return chosen;
}

function rowsOf({ config }: Job, { isotropic, sets }: Calibrated): Row[] {
  const nothing: Candidate = { set: "isotropic", scaling: isotropic, radius: 0, covers: { fgsm: 0, pgd: 0 } };
  return config.head.flatMap((kind) => {
    const title = kind === "relu" ? "gated ReLU" : "polynomial";
    const robust = sets.map(({ kind: set, scaling, radii }) => ({
      name: `robust ${title}, ${set}`,
      kind,
      candidates: radii.map(({ radius, coveredFgsm, coveredPgd }) => ({
        set,
        scaling,
        radius,
        covers: { fgsm: coveredFgsm, pgd: coveredPgd },
      })),
    }));
    return [{ name: `${title}, not robust`, kind, candidates: [nothing] }, ...robust];
  });
}

async function trainCandidate(
  { config, folder, tools, rng }: Job,
  row: Row,
  unit: string,
  { scaling, radius }: Candidate,
  beta: number,
  { inputs, labels }: LabelledFeatures,
  classCount: number,
): Promise<RobustHead> {
  const remember: Remember = (name, compute) => folder.once(`train-${fileName(unit)}-${name}`, jsonUnit(), compute);
  const common = { name: row.name, scaling, radius, beta, classCount, remember, ...tools };
  if (row.kind === "polynomial") {
    return trainPolynomialHead(inputs, labels, {
      ...common,
      tolerance: config.tolerance,
      multiclass: config.multiclass,
      classWeights: config.classWeights,
    });
  }
  const tolerance = config.reluTolerance;
  return trainGatedHead(inputs, labels, { ...common, tolerance, gates: config.gates, rng: rng.fork("gates") });
}

async function validate(
  head: RobustHead,
  { inputs, labels }: LabelledFeatures,
  radius: number,
): Promise<ChosenHead["validation"]> {
  const predicted = predictedClasses(await head.classifier.logits(inputs));
  const { robust } = head.robustness(inputs, labels, radius, head.scaling);
  const share = (hits: (i: number) => boolean) =>
    labels.reduce((sum, _, i) => sum + (hits(i) ? 1 : 0), 0) / labels.length;
  return { clean: share((i) => predicted[i] === labels[i]), robust: share((i) => robust[i] === 1) };
}
