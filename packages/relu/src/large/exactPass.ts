// One pass over the samples of a shard in float64: values, multipliers and slopes of the robust hinge at given pieces, for ALL gates.
//   B_ic = sum over listed gates of d_pi t_pc,  u_ic = 1 - x_i'A_ic + N_mu(A_ic),  a_ic = clip(abar_ic + u_ic / w, 0, 1),  A_ic = B_iy - B_ic
//   sums h_cp = sum_i d_pi G_ic with G as in gated/robustHinge.ts, so that (-h / n, sum a / n) is a valid pair of dualBound.ts.
// Rows are read block by block; slopes of rows with a positive multiplier are gathered class by class before they are multiplied by the patterns.
// gradient: [C, P, D], overwritten by sums (not means)

import type { Kernels, Workspace } from "@worstcase/linalg";
import { ballSupport, smoothedSupport, squaredReach } from "../ballSupport.js";
import { RowReader } from "./featureRows.js";
import {
  answer,
  bitBytes,
  listsOf,
  packListed,
  patternWords,
  type ShardRange,
  type ShardTask,
  setting,
  widthOf,
} from "./shardData.js";

/** Numbers in a block of products. */
const BLOCK_NUMBERS = 2 ** 21;
/** Columns multiplied at a time: what a product adds to stays in the second-level cache. */
const PANEL = 64;

/** Rows read at a time, and rows of slopes gathered. */
function passRows(samples: number, classCount: number, width: number): number {
  return Math.max(1, Math.min(samples, 1024, Math.max(64, Math.floor(BLOCK_NUMBERS / (classCount * width)))));
}

/** Numbers from row to row: an odd number of cache lines, so that rows below each other do not share their places in the cache. */
const strideOf = (width: number) => 8 * (2 * Math.floor(Math.ceil(width / 8) / 2) + 1);

export class ExactPass {
  private readonly stride: number;
  private readonly width: number;
  private readonly moved: number;
  private readonly block: number;
  private readonly words: number;
  private readonly reader: RowReader;
  private readonly attack: Float64Array;
  private readonly own: Float64Array;
  private readonly workspace: Workspace;
  private readonly points: Float64Array;
  private readonly products: Float64Array;
  private readonly slopes: Float64Array;
  private readonly listed: Float64Array;
  private readonly kept: Float64Array;
  private readonly keptWords: Uint32Array;
  private readonly pieces: Float64Array;
  private readonly part: Float64Array;
  /** Rows gathered by class. */
  private readonly gathered: Int32Array;

  /** Numbers taken from the workspace. */
  static sizes(samples: number, classCount: number, width: number, gateCount: number): number[] {
    const block = passRows(samples, classCount, width);
    const words = patternWords(gateCount) / 2;
    const row = classCount * strideOf(width);
    const pieces = gateCount * strideOf(width);
    return [block * width, block * row, block * row, block * words, block * words * classCount, pieces, pieces];
  }

  constructor(
    private readonly task: ShardTask,
    private readonly range: ShardRange,
    kernels: Kernels,
    workspaceSize: (...lengths: number[]) => number,
  ) {
    const { classCount, gates, rows } = task;
    this.width = widthOf(task);
    this.stride = strideOf(this.width);
    this.moved = rows.featureCount;
    const samples = range.to - range.from;
    this.block = passRows(samples, classCount, this.width);
    this.words = patternWords(gates.count);
    this.reader = new RowReader(rows, this.block);
    this.attack = new Float64Array(this.moved);
    this.own = new Float64Array(this.width);
    this.gathered = new Int32Array(classCount);
    const sizes = ExactPass.sizes(samples, classCount, this.width, gates.count);
    this.workspace = kernels.workspace(workspaceSize(...sizes));
    const taken = sizes.map((length) => this.workspace.float64(length));
    [this.points, this.products, this.slopes, this.listed, this.kept, this.pieces, this.part] = taken;
    this.keptWords = new Uint32Array(this.kept.buffer, this.kept.byteOffset, 2 * this.kept.length);
  }

  run(): void {
    const { task, range, block, width, reader, points } = this;
    const { classCount, mail } = task;
    const lists = listsOf(mail, classCount);
    const answers = range.answers;
    answers.fill(0);
    range.gradient.fill(0);
    this.gathered.fill(0);
    for (let from = range.from; from < range.to; from += block) {
      const count = Math.min(block, range.to - from);
      reader.read(from, count, points, width);
      if (task.bias) for (let i = 0; i < count; i++) points[i * width + this.moved] = 1;
      this.multiply(from, count, lists);
      for (let row = 0; row < count; row++) this.hinges(from + row, row, answers);
    }
    for (let c = 0; c < classCount; c++) this.flush(c);
  }

  close(): void {
    this.reader.close();
  }

  private multiply(from: number, count: number, lists: readonly Int32Array[]): void {
    const { task, width, stride, listed, products, pieces, workspace, words } = this;
    const bytes = new Uint8Array(listed.buffer, listed.byteOffset, listed.byteLength);
    let start = 0;
    for (let c = 0; c < task.classCount; c++) {
      const list = lists[c];
      const target = products.subarray(c * this.block * stride);
      if (list.length === 0) {
        target.fill(0, 0, count * stride);
        continue;
      }
      const step = bitBytes(list.length);
      for (let i = 0; i < count; i++) packListed(task.patterns, (from + i) * words, list, bytes, i * step, step);
      for (let p = 0; p < list.length; p++, start += width) {
        pieces.set(task.mail.weights.subarray(start, start + width), p * stride);
      }
      for (let j = 0; j < width; j += PANEL) {
        workspace.gemmBits(
          ...([false, count, Math.min(PANEL, width - j), list.length, 1] as const),
          ...([listed, step / 8, pieces.subarray(j), stride, 0, target.subarray(j), stride] as const),
        );
      }
    }
  }

  private hinges(sample: number, row: number, answers: Float64Array): void {
    const { task, width, stride, moved, products: B, points, attack } = this;
    const { classCount, norm, radius, centres, excess, mail } = task;
    const smoothing = mail.settings[setting.smoothing];
    const reach = squaredReach(norm, radius, moved);
    const mu = reach > 0 ? mail.settings[setting.normSmoothing] / reach : 1;
    const label = task.labels[sample];
    const x = row * width;
    const own = (label * this.block + row) * stride;
    let any = false;
    for (let c = 0; c < classCount; c++) {
      if (c === label) continue;
      const rival = (c * this.block + row) * stride;
      const pair = sample * classCount + c;
      let score = 0;
      let square = 0;
      for (let k = 0; k < moved; k++) {
        const t = B[rival + k] - B[own + k];
        B[rival + k] = t;
        score += t * points[x + k];
        square += t * t;
      }
      if (width > moved) {
        B[rival + moved] -= B[own + moved];
        score += B[rival + moved] * points[x + moved];
      }
      const reached = norm === "l2" ? radius * Math.sqrt(square) : ballSupport(B, rival, moved, norm, radius);
      const worst = 1 + score + reached;
      excess[pair] = worst;
      if (worst > 0) answers[answer.loss] += worst;
      const centre = centres[pair];
      let u = 0;
      let a = 0;
      if (centre + worst / smoothing > 0) {
        u = 1 + score + smoothedSupport(B, rival, moved, norm, radius, mu, attack);
        a = Math.max(0, Math.min(1, centre + u / smoothing));
      }
      answers[answer.smooth] += a * u - (smoothing / 2) * (a - centre) * (a - centre);
      answers[answer.dualSum] += a;
      if (mail.settings[setting.recentre] > 0) centres[pair] = a;
      if (a === 0) continue;
      if (!any) this.own.fill(0);
      any = true;
      for (let k = 0; k < moved; k++) B[rival + k] = a * (points[x + k] + attack[k]);
      if (width > moved) B[rival + moved] = a * points[x + moved];
      for (let k = 0; k < width; k++) this.own[k] -= B[rival + k];
      this.gather(sample, c, B.subarray(rival, rival + width));
    }
    if (any) this.gather(sample, label, this.own);
  }

  private gather(sample: number, c: number, slope: Float64Array): void {
    const { task, stride, slopes, words, block } = this;
    const place = c * block + this.gathered[c]++;
    slopes.set(slope, place * stride);
    const pattern = sample * words;
    this.keptWords.set(task.patterns.subarray(pattern, pattern + words), place * words);
    if (this.gathered[c] === block) this.flush(c);
  }

  private flush(c: number): void {
    const { task, range, width, stride, slopes, kept, words, workspace, part, block } = this;
    const count = this.gathered[c];
    if (count === 0) return;
    const [from, bits] = [c * block * stride, (c * block * words) / 2];
    for (let j = 0; j < width; j += PANEL) {
      workspace.gemmBits(
        ...([true, task.gates.count, Math.min(PANEL, width - j), count, 1] as const),
        ...([kept.subarray(bits), words / 2, slopes.subarray(from + j), stride, 0, part.subarray(j), stride] as const),
      );
    }
    const { count: gateCount } = task.gates;
    for (let p = 0; p < gateCount; p++) {
      const out = (c * gateCount + p) * width;
      for (let k = 0; k < width; k++) range.gradient[out + k] += part[p * stride + k];
    }
    this.gathered[c] = 0;
  }
}
