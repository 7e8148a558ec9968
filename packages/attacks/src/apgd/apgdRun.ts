// One run of APGD from one start, for all samples that are still worth attacking. The state lies in arrays over all samples of the
// batch, allocated once for all runs of the attack.

import type { Budget, NumericBatch, Rng } from "@worstcase/core";
import type { AttackOptions } from "../attack.js";
import type { BestPoints } from "../bestPoints.js";
import type { ModelCalls } from "../modelCalls.js";
import { emptyLike, PerturbationSet, type Values } from "../perturbationSet.js";
import type { ApgdSettings } from "./apgd.js";
import { SparseSteps } from "./sparseSteps.js";
import { StepSchedule } from "./stepSchedule.js";

/** Share of the new direction in every step but the first. */
const momentum = 0.75;

export class ApgdRun {
  private readonly sets = new Map<number, PerturbationSet>();
  private readonly points: Values;
  private readonly previous: Values;
  private readonly gradient: Float64Array;
  private readonly bestPoints: Values;
  private readonly bestGradient: Float64Array;
  private readonly bestLoss: Float64Array;
  private readonly loss: Float64Array;
  private readonly lossBefore: Float64Array;
  private readonly size: number;
  private readonly scratch: Values;

  constructor(
    private readonly calls: ModelCalls,
    private readonly best: BestPoints,
    private readonly options: AttackOptions,
    private readonly settings: Required<ApgdSettings>,
  ) {
    const { data } = calls.batch.inputs;
    const samples = calls.batch.labels.length;
    this.size = calls.size;
    this.points = emptyLike(data, data.length);
    this.previous = emptyLike(data, data.length);
    this.bestPoints = emptyLike(data, data.length);
    this.scratch = emptyLike(data, calls.size);
    this.gradient = new Float64Array(data.length);
    this.bestGradient = new Float64Array(data.length);
    this.loss = new Float64Array(samples);
    this.lossBefore = new Float64Array(samples);
    this.bestLoss = new Float64Array(samples);
  }

  /** A run from `start` (`[samples, size]`), or from random points, towards one class per sample where given. */
  async from(start: Values | null, rngs: (sample: number) => Rng, targets?: Int32Array): Promise<void> {
    const { steps } = this.settings;
    const { norm, epsilon } = this.options.budget;
    if (this.active().length === 0 || epsilon === 0) return;
    if (start) this.points.set(start);
    if (norm !== "l1") return this.phase({ norm, epsilon }, steps, !start, true, rngs, targets);
    const parts = [Math.ceil(0.3 * steps), Math.ceil(0.3 * steps)];
    const plan = [
      { factor: 3, length: parts[0] },
      { factor: 2, length: Math.min(parts[1], steps - parts[0]) },
      { factor: 1, length: Math.max(1, steps - parts[0] - parts[1]) },
    ];
    for (const [p, { factor, length }] of plan.entries()) {
      if (p > 0) this.points.set(this.bestPoints);
      const budget = { norm, epsilon: factor * epsilon };
      if (length > 0) await this.phase(budget, length, !start && p === 0, factor === 1, rngs, targets);
    }
  }

  private active(): Int32Array {
    const { settled } = this.best;
    const everyone = Int32Array.from(settled.keys());
    return this.settings.stopWhenFooled ? everyone.filter((i) => !settled[i]) : everyone;
  }

  /** `steps` steps inside one budget. Points are offered as results only where the budget is that of the attack (`final`). */
  private async phase(
    budget: Budget,
    steps: number,
    random: boolean,
    final: boolean,
    rngs: (sample: number) => Rng,
    targets: Int32Array | undefined,
  ): Promise<void> {
    const { size, points } = this;
    const set = this.setOf(budget);
    let active = this.active();
    for (const i of active) {
      if (random) set.edge(points, i, i, rngs(i));
      else set.project(points, i, i);
      this.previous.set(points.subarray(i * size, (i + 1) * size), i * size);
    }
    this.bestLoss.fill(Number.NEGATIVE_INFINITY);
    await this.measure(active, final, targets);
    const sparse = budget.norm === "l1" ? new SparseSteps(this.calls.batch, budget.epsilon, steps) : null;
    if (sparse) for (const i of active) sparse.begin(i, points);
    const schedule = new StepSchedule(this.bestLoss, budget.epsilon, steps, this.settings.halving);
    for (let step = 0; step < steps; step++) {
      active = this.settings.stopWhenFooled ? active.filter((i) => !this.best.settled[i]) : active;
      if (active.length === 0) return;
      for (const i of active) {
        if (sparse) {
          sparse.step(points, this.gradient, i);
          set.project(points, i, i);
        } else this.momentumStep(set, i, schedule.stepSize[i], step > 0 ? momentum : 1, rngs);
      }
      this.lossBefore.set(this.loss);
      await this.measure(active, final, targets);
      if (sparse) {
        if (sparse.atCheckpoint(step))
          for (const i of active) if (sparse.check(i, this.bestPoints)) this.returnToBest(i);
        continue;
      }
      for (const i of active) schedule.record(i, this.loss[i] > this.lossBefore[i]);
      if (schedule.atCheckpoint())
        for (const i of active) if (schedule.check(i, this.bestLoss[i])) this.returnToBest(i);
      const values = { survivors: active.length };
      this.options.onEvent?.({ type: "progress", task: "apgd", done: step + 1, total: steps, values });
    }
  }

  /** v+ = project(v + share (z - v) + (1 - share)(v - previous)) with z = project(v + length dir(g)). */
  private momentumStep(
    set: PerturbationSet,
    i: number,
    length: number,
    share: number,
    rngs: (sample: number) => Rng,
  ): void {
    const { size, points, previous, scratch } = this;
    const base = i * size;
    scratch.set(points.subarray(base, base + size));
    set.step(points, i, this.gradient, i, length, i, () => rngs(i));
    for (let k = 0; k < size; k++) {
      const v = scratch[k];
      points[base + k] = v + share * (points[base + k] - v) + (1 - share) * (v - previous[base + k]);
      previous[base + k] = v;
    }
    set.project(points, i, i);
  }

  /** Loss and gradient at the current points; keeps the best of the run and offers results. */
  private async measure(active: Int32Array, final: boolean, targets: Int32Array | undefined): Promise<void> {
    const { size, settings, calls } = this;
    const { gradientSamples } = settings;
    for (let draw = 0; draw < gradientSamples; draw++) {
      const at = await calls.lossGradient(this.points, active, settings.loss, targets);
      for (let j = 0; j < active.length; j++) {
        const base = active[j] * size;
        const row = at.gradient.data.subarray(j * size, (j + 1) * size);
        if (draw === 0) this.gradient.set(row, base);
        else for (let k = 0; k < size; k++) this.gradient[base + k] += row[k];
        this.loss[active[j]] = (draw === 0 ? 0 : this.loss[active[j]]) + at.loss[j] / gradientSamples;
      }
      if (final && draw === gradientSamples - 1) this.offer(active, at.logits);
    }
    for (const i of active) {
      if (!(this.loss[i] > this.bestLoss[i])) continue;
      this.bestLoss[i] = this.loss[i];
      this.bestPoints.set(this.points.subarray(i * size, (i + 1) * size), i * size);
      this.bestGradient.set(this.gradient.subarray(i * size, (i + 1) * size), i * size);
    }
  }

  private offer(active: Int32Array, logits: NumericBatch): void {
    const { calls, best } = this;
    best.offerAt(active, this.points, calls.margins(logits, active), logits);
  }

  private returnToBest(i: number): void {
    const { size } = this;
    this.points.set(this.bestPoints.subarray(i * size, (i + 1) * size), i * size);
    this.gradient.set(this.bestGradient.subarray(i * size, (i + 1) * size), i * size);
  }

  private setOf(budget: Budget): PerturbationSet {
    let set = this.sets.get(budget.epsilon);
    if (!set) {
      set = new PerturbationSet(this.calls.batch.inputs, budget, this.calls.model.bounds);
      this.sets.set(budget.epsilon, set);
    }
    return set;
  }
}
