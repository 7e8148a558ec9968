// The samples of a shard that can matter between two exact passes, with float32 products. A pair of sample and class matters when its multiplier is positive or
// its hinge argument was above -depth at the last pass; a sample matters with any of its pairs and then needs the sums of pieces of its own class
// and of the classes it is paired with. Features and, class by class, the bits of the gates in use lie packed in the memory of the
// kernels, so a step touches nothing else.
// weights, gradient: groups in use, [groups, D]

import { dualExponentOf, normExponent, squaredReach } from "../ballSupport.js";
import { RowReader } from "./featureRows.js";
import { Kernel32, padded } from "./kernel32.js";
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

/** Bytes of a block of products. */
const BLOCK_BYTES = 16 * 2 ** 20;

/** Rows of a block of products, a multiple of 64. */
export function stepRows(classCount: number, width: number): number {
  return 64 * Math.max(1, Math.min(16, Math.floor(BLOCK_BYTES / (256 * classCount * padded(width)))));
}

/** Whether the pair of sample and class can matter. */
function matters({ classCount, labels, centres, excess }: ShardTask, i: number, c: number, depth: number): boolean {
  const pair = i * classCount + c;
  return c !== labels[i] && (centres[pair] > 0 || excess[pair] > -depth);
}

/** Samples from .. to - 1 with a pair that can matter. */
export function chooseRows(task: ShardTask, { from, to }: { from: number; to: number }, depth: number): Int32Array {
  const chosen = new Int32Array(to - from);
  let count = 0;
  for (let i = from; i < to; i++) {
    for (let c = 0; c < task.classCount; c++) {
      if (!matters(task, i, c, depth)) continue;
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
  /** Rows of class c in block k: starts[k C + c] .. starts[k C + c] + counts[k C + c] - 1 of the class. */
  private starts = new Int32Array(0);
  private counts = new Int32Array(0);
  /** Where the bits of every class begin. */
  private bits: number[] = [];
  private at = {
    x: 0,
    slots: 0,
    labels: 0,
    centres: 0,
    weights: 0,
    gradient: 0,
    products: 0,
    kept: 0,
    flags: 0,
    sums: 0,
  };

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
    const { classCount, mail, labels, centres } = task;
    const depth = mail.settings[setting.depth];
    this.lists = listsOf(mail, classCount).map((list) => list.slice());
    this.chosen = chooseRows(task, range, depth);
    const count = this.chosen.length;
    range.answers[answer.rows] = count;
    const totals = this.countPairs(depth);
    const segment = 4 * padded(width);
    const groups = this.lists.reduce((sum, list) => sum + list.length, 0);
    const steps = this.lists.map((list) => bitBytes(list.length));
    const sizes = {
      x: 4 * count * width,
      slots: 4 * count * classCount,
      labels: 4 * count,
      centres: 4 * count * classCount,
      weights: groups * segment,
      gradient: groups * segment,
      products: block * classCount * segment,
      kept: block * Math.max(0, ...steps),
      flags: block * classCount,
      sums: 24,
    };
    const bitSizes = totals.map((total, c) => total * steps[c]);
    kernel.release(this.base);
    kernel.reserve([...Object.values(sizes), ...bitSizes].reduce((sum, size) => sum + size + 64, 0));
    for (const name of Object.keys(sizes) as (keyof typeof sizes)[]) this.at[name] = kernel.take(sizes[name]);
    this.bits = bitSizes.map((size) => kernel.take(size));
    kernel.floats(this.at.weights, (groups * segment) / 4).fill(0);
    this.gatherRows(depth);
    const [own, centred] = [kernel.words(this.at.labels, count), kernel.floats(this.at.centres, count * classCount)];
    for (let t = 0; t < count; t++) {
      const i = this.chosen[t];
      own[t] = labels[i];
      centred.set(centres.subarray(i * classCount, (i + 1) * classCount), t * classCount);
    }
  }

  /** Sums of values and of the gradient over the chosen rows. */
  evaluate(): void {
    const { task, range, kernel, width, moved, block, at } = this;
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
    for (let k = 0, from = 0; from < this.chosen.length; k++, from += block) {
      const count = Math.min(block, this.chosen.length - from);
      this.perClass(k, (c, rows, listLength, group, bits, step) => {
        const target = at.products + c * block * segment;
        if (listLength === 0) kernel.floats(target, rows * stride).fill(0);
        else {
          kernel.run.forward(
            ...[rows, stride, listLength, bits, step],
            ...[at.weights + group * segment, segment, target, segment],
          );
        }
      });
      kernel.run.hinge(
        ...[count, classCount, width, moved, at.products, block * segment, segment, at.slots + 4 * from * classCount],
        ...[
          at.flags,
          block,
          at.x + 4 * from * width,
          4 * width,
          at.labels + 4 * from,
          at.centres + 4 * from * classCount,
        ],
        ...[at.sums, this.ball, radius, mu, smoothing],
      );
      this.perClass(k, (c, rows, listLength, group, bits, step) => {
        if (listLength === 0) return;
        const target = at.products + c * block * segment;
        const active = kernel.run.compact(rows, target, segment, at.flags + c * block, bits, step, at.kept);
        const to = at.gradient + group * segment;
        if (active > 0) kernel.run.backward(active, stride, listLength, at.kept, step, target, segment, to, segment);
      });
    }
    const [smooth, loss, dualSum] = kernel.doubles(at.sums, 3);
    range.answers[answer.smooth] = smooth;
    range.answers[answer.loss] = loss;
    range.answers[answer.dualSum] = dualSum;
    for (let g = 0; g < groups; g++) {
      range.gradient.set(gradient.subarray(g * stride, g * stride + width), g * width);
    }
  }

  /** Rows of every class by block; returns them by class. */
  private countPairs(depth: number): number[] {
    const { task, block, chosen } = this;
    const { classCount, labels } = task;
    const blocks = Math.ceil(chosen.length / block);
    this.starts = new Int32Array(blocks * classCount);
    this.counts = new Int32Array(blocks * classCount);
    const totals = new Array<number>(classCount).fill(0);
    for (let k = 0; k < blocks; k++) {
      for (let c = 0; c < classCount; c++) this.starts[k * classCount + c] = totals[c];
      for (let t = k * block; t < Math.min(chosen.length, (k + 1) * block); t++) {
        for (let c = 0; c < classCount; c++) {
          if (c !== labels[chosen[t]] && !matters(task, chosen[t], c, depth)) continue;
          this.counts[k * classCount + c]++;
          totals[c]++;
        }
      }
    }
    return totals;
  }

  private gatherRows(depth: number): void {
    const { task, kernel, width, block, chosen, lists } = this;
    const { classCount, labels, patterns } = task;
    const words = patternWords(task.gates.count);
    const steps = lists.map((list) => bitBytes(list.length));
    const x = kernel.floats(this.at.x, chosen.length * width);
    const slots = kernel.words(this.at.slots, chosen.length * classCount);
    const bytes = kernel.bytes(0, kernel.run.memory.buffer.byteLength);
    const reader = new RowReader(task.rows, 1);
    const filled = new Int32Array(classCount);
    for (let t = 0; t < chosen.length; t++) {
      const i = chosen[t];
      if (t % block === 0) filled.fill(0);
      reader.read(i, 1, x.subarray(t * width, (t + 1) * width), width);
      if (task.bias) x[t * width + this.moved] = 1;
      for (let c = 0; c < classCount; c++) {
        const needed = c === labels[i] || matters(task, i, c, depth);
        slots[t * classCount + c] = needed ? filled[c] : -1;
        if (!needed) continue;
        const row = this.starts[Math.floor(t / block) * classCount + c] + filled[c]++;
        packListed(patterns, i * words, lists[c], bytes, this.bits[c] + row * steps[c], steps[c]);
      }
    }
    reader.close();
  }

  private perClass(
    k: number,
    visit: (c: number, rows: number, listLength: number, group: number, bits: number, step: number) => void,
  ): void {
    const { classCount } = this.task;
    let group = 0;
    this.lists.forEach((list, c) => {
      const step = bitBytes(list.length);
      const rows = this.counts[k * classCount + c];
      if (rows > 0) visit(c, rows, list.length, group, this.bits[c] + this.starts[k * classCount + c] * step, step);
      group += list.length;
    });
  }
}
