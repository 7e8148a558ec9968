// The samples of a shard that can matter between two exact passes, with float32 products: those with a positive multiplier or a hinge argument above
// -depth at the last pass. Their features and the bits of the gates in use lie packed in the memory of the kernels, so a step touches nothing else.
// weights, gradient: groups in use, [groups, D]

import { dualExponentOf, normExponent, squaredReach } from "../ballSupport.js";
import { RowReader } from "./featureRows.js";
import { Kernel32, padded } from "./kernel32.js";
import { answer, bitBytes, listsOf, packListed, patternWords, type ShardRange, type ShardTask, setting, widthOf } from "./shardData.js";

/** Bytes of a block of products. */
const BLOCK_BYTES = 8 * 2 ** 20;

/** Rows of a block of products, a multiple of 64. */
export function stepRows(classCount: number, width: number): number {
  return 64 * Math.max(1, Math.min(16, Math.floor(BLOCK_BYTES / (256 * classCount * padded(width)))));
}

/** Samples that can matter: any multiplier above zero or hinge argument above -depth. */
export function chooseRows(task: ShardTask, range: ShardRange, depth: number): Int32Array {
  const { classCount, labels, centres, excess } = task;
  const chosen = new Int32Array(range.to - range.from);
  let count = 0;
  for (let i = range.from; i < range.to; i++) {
    for (let c = 0; c < classCount; c++) {
      const pair = i * classCount + c;
      if (c === labels[i] || (centres[pair] === 0 && excess[pair] <= -depth)) continue;
      chosen[count++] = i;
      break;
    }
  }
  return chosen.slice(0, count);
}

export class WorkingRows {
  private readonly kernel: Kernel32;
  private readonly width: number;
  private readonly moved: number;
  private readonly block: number;
  private readonly base: number;
  private readonly ball: number;
  private lists: Int32Array[] = [];
  private chosen: Int32Array = new Int32Array(0);
  private at = { x: 0, bits: 0, labels: 0, centres: 0, excess: 0, weights: 0, gradient: 0, products: 0, kept: 0, sums: 0 };
  private step = 0;

  constructor(
    private readonly task: ShardTask,
    private readonly range: ShardRange,
  ) {
    this.width = widthOf(task);
    this.moved = task.rows.featureCount;
    this.block = stepRows(task.classCount, this.width);
    this.kernel = new Kernel32(0, task.gates.count * (this.block / 8));
    this.base = this.kernel.mark();
    const q = normExponent(task.norm);
    this.ball = task.radius === 0 ? 0 : q === 2 ? 1 : dualExponentOf(task.norm) === 1 ? 2 : -1;
  }

  /** Gathers the rows that can matter and the bits of the gates in use. */
  select(): void {
    const { task, range, kernel, width, block } = this;
    const { classCount, mail, labels, centres, patterns } = task;
    this.lists = listsOf(mail, classCount).map((list) => list.slice());
    this.chosen = chooseRows(task, range, mail.settings[setting.depth]);
    const count = this.chosen.length;
    range.answers[answer.rows] = count;
    const segment = 4 * padded(width);
    const groups = this.lists.reduce((sum, list) => sum + list.length, 0);
    this.step = this.lists.reduce((sum, list) => sum + bitBytes(list.length), 0);
    const rowBytes = 4 * width;
    const sizes = {
      x: count * rowBytes,
      bits: count * this.step,
      labels: 4 * count,
      centres: 4 * count * classCount,
      excess: 4 * block * classCount,
      weights: groups * segment,
      gradient: groups * segment,
      products: block * classCount * segment,
      kept: block * this.step,
      sums: 24,
    };
    kernel.release(this.base);
    kernel.reserve(Object.values(sizes).reduce((sum, size) => sum + size + 64, 0));
    for (const name of Object.keys(sizes) as (keyof typeof sizes)[]) this.at[name] = kernel.take(sizes[name]);
    kernel.floats(this.at.weights, (groups * segment) / 4).fill(0);
    kernel.floats(this.at.products, (block * classCount * segment) / 4).fill(0);
    const bytes = kernel.bytes(this.at.bits, count * this.step);
    const words = patternWords(task.gates.count);
    const x = kernel.floats(this.at.x, count * width);
    const reader = new RowReader(task.rows, 1);
    for (let t = 0; t < count; t++) {
      const i = this.chosen[t];
      reader.read(i, 1, x.subarray(t * width, (t + 1) * width), width);
      if (task.bias) x[t * width + this.moved] = 1;
      let to = t * this.step;
      for (const list of this.lists) {
        packListed(patterns, i * words, list, bytes, to, bitBytes(list.length));
        to += bitBytes(list.length);
      }
    }
    reader.close();
    const [own, centred] = [kernel.words(this.at.labels, count), kernel.floats(this.at.centres, count * classCount)];
    for (let t = 0; t < count; t++) {
      const i = this.chosen[t];
      own[t] = labels[i];
      centred.set(centres.subarray(i * classCount, (i + 1) * classCount), t * classCount);
    }
  }

  /** Sums of values and of the gradient over the chosen rows. */
  evaluate(): void {
    const { task, range, kernel, width, moved, block, at, step } = this;
    const { classCount, radius, mail, norm } = task;
    const stride = padded(width);
    const segment = 4 * stride;
    const groups = this.lists.reduce((sum, list) => sum + list.length, 0);
    const weights = kernel.floats(at.weights, groups * stride);
    for (let g = 0; g < groups; g++) weights.set(mail.weights.subarray(g * width, (g + 1) * width), g * stride);
    const gradient = kernel.floats(at.gradient, groups * stride);
    gradient.fill(0);
    kernel.doubles(at.sums, 3).fill(0);
    const reach = squaredReach(norm, radius, moved);
    const mu = reach > 0 ? mail.settings[setting.normSmoothing] / reach : 1;
    const smoothing = mail.settings[setting.smoothing];
    for (let from = 0; from < this.chosen.length; from += block) {
      const count = Math.min(block, this.chosen.length - from);
      const bits = at.bits + from * step;
      this.perClass((c, listLength, group, offset) => {
        const target = at.products + c * segment;
        if (listLength === 0) this.clear(target, count, classCount * segment, stride);
        else {
          kernel.run.forward(
            ...[count, stride, listLength, bits + offset, step],
            ...[at.weights + group * segment, segment, target, classCount * segment],
          );
        }
      });
      const active = kernel.run.hinge(
        ...[count, classCount, width, moved, at.products, segment, at.x + 4 * from * width, 4 * width, bits, step, at.kept],
        ...[at.labels + 4 * from, at.centres + 4 * from * classCount, at.excess, at.sums],
        ...[this.ball, radius, mu, smoothing, true, false],
      );
      if (active === 0) continue;
      this.perClass((c, listLength, group, offset) => {
        if (listLength === 0) return;
        kernel.run.backward(
          ...[active, stride, listLength, at.kept + offset, step, at.products + c * segment, classCount * segment],
          ...[at.gradient + group * segment, segment],
        );
      });
    }
    const [smooth, loss, dualSum] = kernel.doubles(at.sums, 3);
    range.answers[answer.smooth] = smooth;
    range.answers[answer.loss] = loss;
    range.answers[answer.dualSum] = dualSum;
    for (let g = 0; g < groups; g++) {
      const found = gradient.subarray(g * stride, g * stride + width);
      range.gradient.set(found, g * width);
    }
  }

  private perClass(visit: (c: number, length: number, group: number, offset: number) => void): void {
    let group = 0;
    let offset = 0;
    this.lists.forEach((list, c) => {
      visit(c, list.length, group, offset);
      group += list.length;
      offset += bitBytes(list.length);
    });
  }

  private clear(at: number, count: number, step: number, stride: number): void {
    const floats = this.kernel.floats(at, (count - 1) * (step / 4) + stride);
    for (let i = 0; i < count; i++) floats.fill(0, (i * step) / 4, (i * step) / 4 + stride);
  }
}
