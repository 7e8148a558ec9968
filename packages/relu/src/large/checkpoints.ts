// When a large fit writes its state, and how a state lies in the arrays of a checkpoint file.

import { FormatError } from "@worstcase/core";
import { readCheckpoint, writeCheckpoint } from "./checkpointFile.js";
import { countGroups, type Lists } from "./groups.js";
import type { RoundState } from "./rounds.js";

const FORMAT = "worstcase/gated-large";

export class Checkpoints {
  private readonly file: string;
  private readonly every: number;
  private readonly identity: string;
  private last = performance.now();

  constructor({ file, everySeconds = 60 }: { file: string; everySeconds?: number }, identity: () => string) {
    this.file = file;
    this.every = 1000 * everySeconds;
    this.identity = identity();
  }

  /** Writes the state when it is time. */
  offer(state: () => RoundState): void {
    if (performance.now() - this.last < this.every) return;
    const { numbers, lists, point, bestLists, best, pairs, centres, excess } = state();
    const header = { format: FORMAT, version: 1, identity: this.identity, numbers };
    const arrays = [flat(lists), point, flat(bestLists), best, centres, excess, ...pairs];
    writeCheckpoint(this.file, { header, arrays });
    this.last = performance.now();
  }

  /** The state in the file, or undefined where there is none. Throws FormatError on a damaged file or one of another problem. */
  read(): RoundState | undefined {
    const { existsSync } = process.getBuiltinModule("node:fs");
    if (!existsSync(this.file)) return undefined;
    const { header, arrays } = readCheckpoint(this.file);
    const { format, version, identity, numbers } = header as Record<string, unknown>;
    const argument = "options.checkpoint.file";
    if (format !== FORMAT || version !== 1) {
      const received = `${format}, version ${version}`;
      throw new FormatError({ argument, expected: `${FORMAT}, version 1`, received });
    }
    if (identity !== this.identity) {
      const hint = "give the same rows, labels, gates and settings as the interrupted run, or another file";
      throw new FormatError({ argument, expected: "a checkpoint of this problem", received: "another", hint });
    }
    const [lists, point, bestLists, best, centres, excess, ...pairs] = arrays;
    return {
      numbers: numbers as RoundState["numbers"],
      lists: unflat(lists as Int32Array),
      point: point as Float64Array,
      bestLists: unflat(bestLists as Int32Array),
      best: best as Float64Array,
      centres: centres as Float32Array,
      excess: excess as Float32Array,
      pairs: pairs as Float64Array[],
    };
  }

  /** Removes the file: the run has ended. */
  remove(): void {
    process.getBuiltinModule("node:fs").rmSync(this.file, { force: true });
  }
}

/** Number of classes, the lengths of their lists, the lists. */
function flat(lists: Lists): Int32Array {
  const out = new Int32Array(1 + lists.length + countGroups(lists));
  out[0] = lists.length;
  let at = 1 + lists.length;
  lists.forEach((list, c) => {
    out[1 + c] = list.length;
    out.set(list, at);
    at += list.length;
  });
  return out;
}

function unflat(words: Int32Array): Int32Array[] {
  let at = 1 + words[0];
  return Array.from({ length: words[0] }, (_, c) => {
    const list = words.slice(at, at + words[1 + c]);
    at += words[1 + c];
    return list;
  });
}
