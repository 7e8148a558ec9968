// Attacks on the two small networks of packages/attacks/fixtures over 1,000 MNIST images, against the counts and distances that the
// published Python implementations reached on the same networks and images (reference.json there, three seeds). Times are ours alone.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import {
  type Attack,
  apgd,
  carliniWagner,
  deepFool,
  evaluateAttack,
  evaluateStandard,
  fab,
  fgsm,
  type MinimumNormAttack,
  miFgsm,
  pgd,
  square,
  withinBudget,
} from "@worstcase/attacks";
import {
  type Classifier,
  createRng,
  type DifferentiableClassifier,
  distances,
  type LabelledBatch,
  type Norm,
  predictedClasses,
  takeSamples,
} from "@worstcase/core";
import { type StoredNetwork, storedNetwork } from "../../../../packages/attacks/src/testing/reluNetwork.js";
import type { Row } from "../harness/compare.js";
import { dataFile } from "../harness/data.js";
import { type Suite, type SuiteContext, unit } from "../harness/suite.js";

interface ReferenceEntry {
  readonly model: string;
  readonly attack: string;
  readonly norm?: Norm;
  readonly kind?: "budget" | "distance";
  readonly correct?: readonly number[];
  readonly median?: readonly number[];
  readonly images?: number;
}

const budgets = [
  { norm: "linf", epsilon: 0.1 },
  { norm: "l2", epsilon: 1 },
  { norm: "l1", epsilon: 2.5 },
] as const;

type BudgetAttack = Attack | Attack<Classifier>;

/** Attacks under their names in reference.json, in stages: what has to agree within half a point first, what takes longest last. */
const stages: readonly {
  readonly title: string;
  readonly attacks: Readonly<Record<string, BudgetAttack>>;
  readonly nearest?: Readonly<Record<string, MinimumNormAttack>>;
  readonly suite?: boolean;
}[] = [
  {
    title: "APGD and FAB",
    attacks: {
      "apgd cross-entropy": apgd(),
      "apgd dlr": apgd({ loss: "dlr" }),
      "apgd targeted": apgd({ loss: "dlr", targets: 9 }),
      "fab targeted": withinBudget(fab()),
    },
  },
  {
    title: "FGSM, PGD, MI-FGSM, DeepFool",
    attacks: {
      fgsm: fgsm({ loss: "cross-entropy" }),
      // constant steps, as in the reference
      pgd: pgd({ loss: "cross-entropy", schedule: "constant" }),
      "mi-fgsm": miFgsm(),
    },
    nearest: { deepfool: deepFool() },
  },
  { title: "standard suite", attacks: {}, suite: true },
  { title: "Square", attacks: { square: square() } },
  { title: "distances of FAB", attacks: {}, nearest: { fab: fab({ targets: 0 }) } },
  { title: "distances of Carlini-Wagner", attacks: {}, nearest: { "carlini-wagner": carliniWagner() } },
];

export const attackAgreement: Suite = {
  name: "attacks",
  summary:
    "survivors of 1,000 MNIST images under each attack, beside AutoAttack, torchattacks and Foolbox on the same networks",
  async run(context) {
    const models = fixture<{ models: Record<string, StoredNetwork> }>("models.json").models;
    const reference = fixture<{ entries: ReferenceEntry[] }>("reference.json").entries;
    const count = context.quick ? 50 : 1000;
    for (const stage of stages) {
      for (const [name, stored] of Object.entries(models)) {
        const batch = testImages(stored.digits, count);
        if (!batch) {
          context.skip(`attacks on ${name}`, "mnist/t10k-*.gz is not in the data folder");
          continue;
        }
        const entries = reference.filter((entry) => entry.model === name);
        for (const budget of budgets)
          await measure(context, stage, storedNetwork(name, stored), batch, budget, entries);
      }
    }
  },
};

async function measure(
  context: SuiteContext,
  stage: (typeof stages)[number],
  model: DifferentiableClassifier,
  batch: LabelledBatch,
  budget: (typeof budgets)[number],
  reference: readonly ReferenceEntry[],
): Promise<void> {
  const { norm, epsilon } = budget;
  const find = (attack: string, kind: string) =>
    reference.find((entry) => entry.norm === norm && entry.attack === attack && entry.kind === kind);
  const rows: Row[] = [];
  const notes: Record<string, string> = {};
  const keep = (title: string, seconds: number, ours: string, theirs: string) => {
    rows.push({
      name: title,
      median: seconds,
      minimum: seconds,
      ratio: (rows[0]?.median ?? seconds) / seconds,
      repeats: 1,
    });
    notes[title] = `ours ${ours}; reference ${theirs}`;
  };
  for (const [title, attack] of Object.entries(stage.attacks)) {
    const entry = find(title, "budget");
    if (!entry) continue;
    const result = await evaluateAttack(model, batch, attack, { budget, rng: createRng(0), batchSize: 250 });
    const survivors = result.fooled.filter((fooled) => fooled === 0).length;
    keep(title, result.seconds, String(survivors), (entry.correct ?? []).join(" "));
  }
  const suite = stage.suite ? find("standard suite", "budget") : undefined;
  if (suite) {
    const options = { norm, epsilons: [epsilon], rng: createRng(0), batchSize: 250 };
    const result = await evaluateStandard(model, batch, options);
    const after = result.attacks.map((attack) => `${attack.name} ${attack.accuracy[0]?.correct}`).join(", ");
    keep("standard suite", result.seconds, `${result.worst[0]?.correct} (${after})`, (suite.correct ?? []).join(" "));
  }
  for (const [title, attack] of Object.entries(stage.nearest ?? {})) {
    const entry = find(title, "distance");
    if (!entry) continue;
    const count = Math.min(entry.images ?? 1000, batch.labels.length);
    const part = takeSamples(
      batch,
      Int32Array.from({ length: count }, (_, i) => i),
    );
    const started = performance.now();
    const median = await medianDistance(model, part, attack, norm);
    const seconds = (performance.now() - started) / 1000;
    const theirs = (entry.median ?? []).map((d) => d.toFixed(5)).join(" ");
    keep(`${title}, median distance of ${count}`, seconds, median.toFixed(5), theirs);
  }
  if (rows.length === 0) return;
  const title = `${stage.title}: network ${model.id}, ${norm} ${epsilon}, survivors of ${batch.labels.length} images`;
  context.report({ title, unit: unit.seconds, rows, notes });
}

/** Lower median over the samples that are classified correctly; failures count as infinitely far. */
async function medianDistance(
  model: DifferentiableClassifier,
  batch: LabelledBatch,
  attack: MinimumNormAttack,
  norm: Norm,
): Promise<number> {
  const found = await attack.find(model, batch, { norm, rng: createRng(0) });
  const before = predictedClasses(await model.logits(batch.inputs));
  const after = predictedClasses(await model.logits(found));
  const measured = distances(batch.inputs, found, norm);
  const list = Array.from(measured, (d, i) => (after[i] === batch.labels[i] ? Number.POSITIVE_INFINITY : d));
  const correct = list.filter((_, i) => before[i] === batch.labels[i]).sort((a, b) => a - b);
  return correct[Math.floor((correct.length - 1) / 2)] ?? Number.NaN;
}

/** A file beside the sources of the attacks; the bench runs from its own dist folder. */
function fixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../packages/attacks/fixtures/${name}`, import.meta.url), "utf8")) as T;
}

/** The first test images of these digits, with a border of one pixel and averaged over 2 x 2 to 15 x 15, as fixtures/trainModels.py does. */
function testImages(digits: readonly number[], count: number): LabelledBatch | null {
  const files = ["mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz"].map(dataFile);
  if (!files[0] || !files[1]) return null;
  const pixels = gunzipSync(readFileSync(files[0])).subarray(16);
  const classes = gunzipSync(readFileSync(files[1])).subarray(8);
  const rows = Array.from(classes.keys())
    .filter((i) => digits.includes(classes[i] ?? -1))
    .slice(0, count);
  const data = new Float32Array(rows.length * 225);
  const pixel = (image: number, y: number, x: number) =>
    y < 0 || x < 0 || y > 27 || x > 27 ? 0 : (pixels[image * 784 + y * 28 + x] ?? 0);
  for (const [j, image] of rows.entries()) {
    for (let y = 0; y < 15; y++) {
      for (let x = 0; x < 15; x++) {
        let sum = 2;
        for (const [dy, dx] of [
          [-1, -1],
          [-1, 0],
          [0, -1],
          [0, 0],
        ] as const) {
          sum += pixel(image, 2 * y + dy, 2 * x + dx);
        }
        data[j * 225 + y * 15 + x] = Math.floor(sum / 4) / 255;
      }
    }
  }
  return {
    inputs: { data, shape: [rows.length, 15, 15, 1] },
    labels: Int32Array.from(rows, (image) => digits.indexOf(classes[image] ?? -1)),
    indices: Int32Array.from(rows),
  };
}
