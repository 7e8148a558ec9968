// One shard of the samples of a large fit: obeys the commands of the trainer, in the trainer's thread or in one of its own.

import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { GateEvaluator } from "../patterns/packedPatterns.js";
import { ExactPass } from "./exactPass.js";
import { RowReader } from "./featureRows.js";
import { command, patternWords, type ShardRange, type ShardTask } from "./shardData.js";
import { WorkingRows } from "./workingRows.js";

/** Rows whose patterns are found at a time. */
const PATTERN_ROWS = 512;

export class Shard {
  private readonly pass: ExactPass;
  private readonly working: WorkingRows;

  constructor(
    private readonly task: ShardTask,
    private readonly range: ShardRange,
    kernels: Kernels,
  ) {
    this.pass = new ExactPass(task, range, kernels, workspaceSize);
    this.working = new WorkingRows(task, range);
  }

  obey(what: number): void {
    if (what === command.pass) this.pass.run();
    else if (what === command.select) this.working.select();
    else if (what === command.evaluate) this.working.evaluate();
    else this.findPatterns();
  }

  close(): void {
    this.pass.close();
  }

  private findPatterns(): void {
    const { task, range } = this;
    const { rows, gates, patterns } = task;
    const words = patternWords(gates.count);
    const block = Math.min(PATTERN_ROWS, range.to - range.from);
    const data = new Float64Array(block * rows.featureCount);
    const reader = new RowReader(rows, block);
    const evaluator = new GateEvaluator({ data, shape: [block, rows.featureCount] }, gates.bias);
    for (let from = range.from; from < range.to; from += block) {
      const count = Math.min(block, range.to - from);
      reader.read(from, count, data, rows.featureCount);
      evaluator.forEach(gates.gates, gates.count, (p, i, opening) => {
        if (opening >= 0 && i < count) patterns[(from + i) * words + (p >> 5)] |= 1 << (p & 31);
      });
    }
    reader.close();
  }
}
