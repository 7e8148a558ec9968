// Projected gradient descent on the negative loss (Madry et al. 2018, arXiv 1706.06083; math.md 16):
//   v <- project(v + a_t sign(g))  for linf,   v <- project(v + a_t g / ||g||)  for l2
//   decaying: a_t = stepSize epsilon (1 + cos(pi t / steps)) / 2,  t = 0 .. steps - 1     constant: a_t = stepSize epsilon
// Constant steps of 2.5 epsilon / steps, the usual choice, travel 2.5 epsilon in all: on a curved l2 ball they stop short of the worst
// point however many they are, while long first steps and short last ones reach it.
// The projection is onto the budget and the model's bounds together (perturbationSet.ts). The best iterate is returned, and the
// FGSM point is the first start, so PGD is never weaker than FGSM with the same loss.

import type { DifferentiableClassifier, Loss, LossGradient, Rng } from "@worstcase/core";
import { evaluateLoss, type LabelledBatch, type NumericBatch, SettingError, throwIfAborted } from "@worstcase/core";
import { type Attack, type AttackLoss, type AttackOptions, sampleRng } from "../attack.js";
import { BestPoints } from "../bestPoints.js";
import { checkAttackRun, checkInteger, checkLogits, checkLossName } from "../checks.js";
import { checkGradient } from "../gradient.js";
import { emptyLike, PerturbationSet, type Values } from "../perturbationSet.js";

export interface PgdSettings {
  /** Loss to raise. Default `margin`. */
  readonly loss?: AttackLoss;
  /** Gradient steps of each run. Default 20. */
  readonly steps?: number;
  /** Whether steps shrink from `stepSize` to nearly 0 along half a cosine. Default `decaying`. */
  readonly schedule?: "decaying" | "constant";
  /** Length of the first step as a multiple of epsilon. Default 1; for `constant` the classical 2.5 / steps. */
  readonly stepSize?: number;
  /** Runs from uniformly random starts, after the run from the FGSM point and the given starts. Default 1. */
  readonly restarts?: number;
  /** Whether samples leave the work as soon as they are fooled. False finds the highest loss for each. Default true. */
  readonly stopWhenFooled?: boolean;
}

/**
 * PGD in linf or l2. Gradient calls per sample: at most 1 + (1 + restarts) * steps. Throws SettingError on settings out of range.
 */
export function pgd(settings: PgdSettings = {}): Attack {
  const { loss = "margin", steps = 20, schedule = "decaying", restarts = 1, stopWhenFooled = true } = settings;
  checkLossName(loss);
  checkInteger(steps, 1, "settings.steps");
  if (schedule !== "decaying" && schedule !== "constant") {
    throw new SettingError({ argument: "settings.schedule", expected: "decaying or constant", received: schedule });
  }
  const { stepSize = schedule === "constant" ? 2.5 / steps : 1 } = settings;
  checkInteger(restarts, 0, "settings.restarts");
  if (!(Number.isFinite(stepSize) && stepSize > 0)) {
    throw new SettingError({ argument: "settings.stepSize", expected: "a finite number > 0", received: stepSize });
  }
  const needs = { norms: ["linf", "l2"], gradients: true } as const;
  const complete = { loss, steps, schedule, stepSize, restarts, stopWhenFooled };
  return {
    name: "pgd",
    kind: "iterative",
    needs,
    settings: complete,
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: "pgd", needs }, options);
      const search = new Search(model, batch, options, complete);
      await search.fromGradient();
      for (let restart = 0; restart < restarts; restart++) await search.fromRandom(restart);
      return { data: search.best.points, shape: batch.inputs.shape };
    },
  };
}

/** One attack on one batch: the working buffers, allocated once, and the runs that share them. */
class Search {
  readonly best: BestPoints;
  private readonly set: PerturbationSet;
  /** Compact: the samples still attacked, their labels and current points, in rows 0 .. count - 1. */
  private readonly samples: Int32Array;
  private readonly names: Int32Array;
  private readonly labels: Int32Array;
  private readonly points: Values;
  private count = 0;

  constructor(
    private readonly model: DifferentiableClassifier,
    private readonly batch: LabelledBatch,
    private readonly options: AttackOptions,
    private readonly settings: Required<PgdSettings>,
  ) {
    const total = batch.labels.length;
    this.best = new BestPoints(batch);
    this.set = new PerturbationSet(batch.inputs, options.budget, model.bounds);
    this.samples = new Int32Array(total);
    this.names = new Int32Array(total);
    this.labels = new Int32Array(total);
    this.points = emptyLike(batch.inputs.data, batch.inputs.data.length);
  }

  /** The run that begins, for each sample, at the better of the FGSM point and the given starts. */
  async fromGradient(): Promise<void> {
    const rngs = this.streams("gradient");
    this.begin();
    this.points.set(this.batch.inputs.data);
    const clean = await this.gradient();
    const { data } = clean.gradient;
    this.keepRows((from, to, i) => this.set.steepest(data, from, this.points, to, i, () => rngs(i)));
    const given = this.options.starts ?? [];
    if (given.length > 0) await this.chooseStarts(given);
    await this.descend(rngs);
  }

  /** A run from a uniformly random point of the budget, for the samples not fooled yet. */
  async fromRandom(restart: number): Promise<void> {
    const rngs = this.streams(`restart ${restart}`);
    this.begin();
    for (let j = 0; j < this.count; j++) this.set.random(this.points, j, this.samples[j], rngs(this.samples[j]));
    await this.descend(rngs);
  }

  /** Offers the FGSM points and the given starts, then sets every row to the best point seen for its sample. */
  private async chooseStarts(given: readonly NumericBatch[]): Promise<void> {
    const { size } = this.set;
    await this.offerPoints();
    for (const start of given) {
      this.begin();
      for (let j = 0; j < this.count; j++) {
        const i = this.samples[j];
        this.points.set(start.data.subarray(i * size, (i + 1) * size), j * size);
        this.set.project(this.points, j, i);
      }
      await this.offerPoints();
    }
    this.begin();
    for (let j = 0; j < this.count; j++) {
      const i = this.samples[j];
      this.points.set(this.best.points.subarray(i * size, (i + 1) * size), j * size);
    }
  }

  /** `steps` projected gradient steps from the current points. */
  private async descend(rngs: (sample: number) => Rng): Promise<void> {
    const { steps, stepSize, schedule } = this.settings;
    const first = stepSize * this.options.budget.epsilon;
    const { size } = this.set;
    for (let step = 0; step < steps && this.count > 0; step++) {
      const { gradient } = await this.gradient();
      const length = schedule === "constant" ? first : (first * (1 + Math.cos((Math.PI * step) / steps))) / 2;
      this.keepRows((from, to, i) => {
        if (to < from) this.points.copyWithin(to * size, from * size, (from + 1) * size);
        this.set.step(this.points, to, gradient.data, from, length, i, () => rngs(i));
      });
      const values = { survivors: this.count };
      this.options.onEvent?.({ type: "progress", task: "pgd", done: step + 1, total: steps, values });
    }
    await this.offerPoints();
  }

  /** Rows for all samples that are still worth attacking. */
  private begin(): void {
    this.count = 0;
    for (let i = 0; i < this.batch.labels.length; i++) {
      if (!this.settings.stopWhenFooled || !this.best.settled[i]) this.setRow(this.count++, i);
    }
  }

  /** Drops settled samples; `move` brings row `from` of the others to row `to`. */
  private keepRows(move: (from: number, to: number, sample: number) => void): void {
    const before = this.count;
    this.count = 0;
    for (let from = 0; from < before; from++) {
      const i = this.samples[from];
      if (this.settings.stopWhenFooled && this.best.settled[i]) continue;
      move(from, this.count, i);
      this.setRow(this.count++, i);
    }
  }

  private setRow(row: number, sample: number): void {
    this.samples[row] = sample;
    this.labels[row] = this.batch.labels[sample];
    this.names[row] = this.batch.indices[sample];
  }

  private current(): { inputs: NumericBatch; loss: Loss; names: Int32Array } {
    const { count } = this;
    const data = this.points.subarray(0, count * this.set.size);
    const loss: Loss = { kind: this.settings.loss, labels: this.labels.subarray(0, count) };
    return {
      inputs: { data, shape: [count, ...this.batch.inputs.shape.slice(1)] },
      loss,
      names: this.names.subarray(0, count),
    };
  }

  private async gradient(): Promise<LossGradient> {
    throwIfAborted(this.options.signal, "pgd");
    const { inputs, loss, names } = this.current();
    const result = await this.model.lossGradient(inputs, loss);
    checkLogits(result.logits, this.model, names);
    checkGradient(result.gradient, inputs, this.model, names);
    this.best.offer(this.samples, this.count, this.points, result.loss, result.logits);
    return result;
  }

  private async offerPoints(): Promise<void> {
    if (this.count === 0) return;
    throwIfAborted(this.options.signal, "pgd");
    const { inputs, loss, names } = this.current();
    const logits = await this.model.logits(inputs);
    checkLogits(logits, this.model, names);
    this.best.offer(this.samples, this.count, this.points, evaluateLoss(logits, loss).loss, logits);
  }

  /** One random stream per sample and run, made when first used. */
  private streams(run: string): (sample: number) => Rng {
    const made = new Map<number, Rng>();
    return (sample) => {
      let rng = made.get(sample);
      if (!rng) {
        rng = sampleRng(this.options.rng, this.batch.indices[sample]).fork(run);
        made.set(sample, rng);
      }
      return rng;
    };
  }
}
