// Square attack (Andriushchenko et al. 2020, arXiv 1912.00049): random search without gradients. Every query changes the perturbation in
// one random window and is kept when the margin rises.
//   linf: the window becomes +-epsilon, one sign per channel; it starts with random vertical stripes
//   l2, l1: the length of one window moves to another and is shaped by a tile with a random sign (windowMoves.ts); it starts with tiles
// The window covers a share of the image that is halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 queries.

import { type Classifier, type NumericBatch, normOf, type Rng, SettingError } from "@worstcase/core";
import { type Attack, type AttackOptions, sampleRng } from "../attack.js";
import { BestPoints } from "../bestPoints.js";
import { checkAttackRun, checkInteger } from "../checks.js";
import { everySample, ModelCalls } from "../modelCalls.js";
import { PerturbationSet, type Values } from "../perturbationSet.js";
import { type ImageLayout, imageLayout, randomWindow, windowSides } from "./imageLayout.js";
import type { WindowNorm } from "./tile.js";
import { moveWindow, startWithTiles } from "./windowMoves.js";

export interface SquareSettings {
  /** Model calls per sample and restart. Default 5000. */
  readonly queries?: number;
  /** Share of the image that the first windows cover. Default 0.8. */
  readonly firstShare?: number;
  /** Independent searches. Default 1. */
  readonly restarts?: number;
  /** Whether samples leave the work as soon as they are fooled. Default true. */
  readonly stopWhenFooled?: boolean;
}

const halvings = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];

/** Square attack in linf, l2 or l1, without gradients. Throws SettingError on settings out of range. */
export function square(settings: SquareSettings = {}): Attack<Classifier> {
  const { queries = 5000, firstShare = 0.8, restarts = 1, stopWhenFooled = true } = settings;
  checkInteger(queries, 1, "settings.queries");
  checkInteger(restarts, 1, "settings.restarts");
  if (!(firstShare > 0 && firstShare <= 1)) {
    throw new SettingError({ argument: "settings.firstShare", expected: "a number in (0, 1]", received: firstShare });
  }
  const needs = { norms: ["linf", "l2", "l1"], gradients: false } as const;
  return {
    name: "square",
    kind: "gradient-free",
    needs,
    settings: { queries, firstShare, restarts, stopWhenFooled },
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: "square", needs }, options);
      const calls = new ModelCalls(model, batch, options.signal, "square");
      const best = new BestPoints(batch);
      const everyone = everySample(batch.labels.length);
      const clean = await calls.logits(batch.inputs.data, everyone);
      best.offerAt(everyone, batch.inputs.data, calls.margins(clean, everyone), clean);
      const search = new Search(calls, best, options, stopWhenFooled);
      for (let restart = 0; restart < restarts && options.budget.epsilon > 0; restart++) {
        const rngs = Array.from(batch.indices, (index) => sampleRng(options.rng, index).fork(`restart ${restart}`));
        await search.run(queries, firstShare, rngs);
      }
      return { data: best.points, shape: batch.inputs.shape };
    },
  };
}

class Search {
  private readonly layout: ImageLayout;
  private readonly set: PerturbationSet;
  private readonly points: Values;
  private readonly kept: Values;
  private readonly margin: Float64Array;
  private readonly displacement: Float64Array;

  constructor(
    private readonly calls: ModelCalls<Classifier>,
    private readonly best: BestPoints,
    private readonly options: AttackOptions,
    private readonly stopWhenFooled: boolean,
  ) {
    const { inputs, labels } = calls.batch;
    this.layout = imageLayout(inputs.shape.slice(1));
    this.set = new PerturbationSet(inputs, options.budget, calls.model.bounds);
    this.points = inputs.data.slice();
    this.kept = inputs.data.slice();
    this.margin = new Float64Array(labels.length);
    this.displacement = new Float64Array(calls.size);
  }

  async run(queries: number, firstShare: number, rngs: readonly Rng[]): Promise<void> {
    const { points, kept, options, layout } = this;
    const { norm } = options.budget;
    this.margin.fill(Number.NEGATIVE_INFINITY);
    let active = this.active(everySample(rngs.length));
    for (const i of active) {
      if (norm === "linf") this.stripes(i, rngs[i]);
      else this.tiles(i, rngs[i], norm);
    }
    await this.query(active);
    for (let query = 0; query < queries; query++) {
      active = this.active(active);
      if (active.length === 0) return;
      const share = firstShare / 2 ** halvings.filter((after) => query > after).length;
      const sides = windowSides(layout, share, norm === "linf" ? 1 : 3, norm !== "linf");
      const size = this.calls.size;
      for (const i of active) {
        points.set(kept.subarray(i * size, (i + 1) * size), i * size);
        if (norm === "linf") this.fillWindow(i, sides, rngs[i]);
        else this.moveWindow(i, sides, rngs[i], norm);
      }
      await this.query(active);
      const values = { survivors: active.length };
      if (query % 100 === 99)
        options.onEvent?.({ type: "progress", task: "square", done: query + 1, total: queries, values });
    }
  }

  private active(samples: Int32Array): Int32Array {
    return this.stopWhenFooled ? samples.filter((i) => !this.best.settled[i]) : samples;
  }

  /** Evaluates the points of the samples and keeps those whose margin rose. */
  private async query(active: Int32Array): Promise<void> {
    if (active.length === 0) return;
    const { calls, points, kept, margin, best } = this;
    const logits = await calls.logits(points, active);
    const margins = calls.margins(logits, active);
    best.offerAt(active, points, margins, logits);
    for (let j = 0; j < active.length; j++) {
      const i = active[j];
      if (!(margins[j] > margin[i])) continue;
      margin[i] = margins[j];
      kept.set(points.subarray(i * calls.size, (i + 1) * calls.size), i * calls.size);
    }
  }

  /** x + epsilon with one random sign for every column and channel. */
  private stripes(i: number, rng: Rng): void {
    const { height, width, channels } = this.layout;
    const { data } = this.calls.batch.inputs;
    const base = i * this.calls.size;
    for (let column = 0; column < width * channels; column++) {
      const move = signed(rng) * this.options.budget.epsilon;
      for (let row = 0; row < height; row++) {
        const k = base + row * width * channels + column;
        this.points[k] = data[k] + move;
      }
    }
    this.set.project(this.points, i, i);
  }

  private fillWindow(i: number, sides: { height: number; width: number }, rng: Rng): void {
    const { width, channels } = this.layout;
    const { data } = this.calls.batch.inputs;
    const window = randomWindow(this.layout, sides, rng);
    for (let c = 0; c < channels; c++) {
      const move = signed(rng) * this.options.budget.epsilon;
      for (let y = window.top; y < window.top + window.height; y++) {
        for (let x = window.left; x < window.left + window.width; x++) {
          const k = i * this.calls.size + (y * width + x) * channels + c;
          this.points[k] = data[k] + move;
        }
      }
    }
    this.set.project(this.points, i, i);
  }

  private tiles(i: number, rng: Rng, norm: WindowNorm): void {
    startWithTiles(this.displacement, this.layout, rng, norm);
    this.placeDisplacement(i, norm);
  }

  private moveWindow(i: number, sides: { height: number; width: number }, rng: Rng, norm: WindowNorm): void {
    const { displacement, points } = this;
    const { data } = this.calls.batch.inputs;
    const base = i * this.calls.size;
    for (let k = 0; k < displacement.length; k++) displacement[k] = points[base + k] - data[base + k];
    moveWindow(displacement, this.layout, sides, this.options.budget.epsilon, rng, norm);
    this.placeDisplacement(i, norm);
  }

  /** x + displacement, kept to budget and bounds: in l2 scaled to length epsilon before, in l1 projected as it is. */
  private placeDisplacement(i: number, norm: WindowNorm): void {
    const { displacement, points } = this;
    const { data } = this.calls.batch.inputs;
    const base = i * this.calls.size;
    const scale = norm === "l2" ? this.options.budget.epsilon / (normOf(displacement, "l2") || 1) : 1;
    for (let k = 0; k < displacement.length; k++) points[base + k] = data[base + k] + scale * displacement[k];
    this.set.project(points, i, i);
  }
}

function signed(rng: Rng): number {
  return rng.uniform() < 0.5 ? -1 : 1;
}
