// A block as the direct sum of its connected components: the positions that the aggregate pattern of F_0..F_m joins.
// Entries stay in typed arrays throughout; large problems have millions.

import type { Block } from "../problem.js";
import type { RankOne, Terms } from "./reducedProblem.js";

/** Upper-triangle entries; matrix 0 is F_0, matrix k the caller's variable k - 1. */
export interface Entries {
  readonly matrix: Int32Array;
  readonly row: Int32Array;
  readonly column: Int32Array;
  readonly value: Float64Array;
}

export interface Component {
  /** Positions in the block, ascending. */
  readonly index: Int32Array;
  /** Numbered within the component, in the order given; rank-one terms of F_0 and of order 1 are written out at the end. */
  readonly entries: Entries;
  readonly rankOne: readonly RankOne[];
}

/** Components in order of their first position; positions without entries are left out. */
export function split({ kind, size, entries, rankOne = [] }: Block): Component[] {
  const parent = new Int32Array(size);
  for (let i = 0; i < size; i++) parent[i] = i;
  const root = (i: number) => {
    while (parent[i] !== i) {
      parent[i] = parent[parent[i]];
      i = parent[i];
    }
    return i;
  };
  const occurs = new Uint8Array(size);
  const { matrix, row, column, value } = entries;
  for (let e = 0; e < value.length; e++) {
    if (value[e] === 0) continue;
    occurs[row[e]] = occurs[column[e]] = 1;
    if (kind === "psd") parent[root(row[e])] = root(column[e]);
  }
  for (const { vector, weight } of rankOne) {
    const first = weight === 0 ? -1 : vector.findIndex((v) => v !== 0);
    for (let i = Math.max(first, 0); first >= 0 && i < size; i++) {
      if (vector[i] === 0) continue;
      occurs[i] = 1;
      parent[root(i)] = root(first);
    }
  }
  const componentOf = new Int32Array(size).fill(-1);
  const local = new Int32Array(size);
  const members: number[][] = [];
  for (let i = 0; i < size; i++) {
    if (!occurs[i]) continue;
    const r = root(i);
    if (componentOf[r] < 0) componentOf[r] = members.push([]) - 1;
    componentOf[i] = componentOf[r];
    local[i] = members[componentOf[i]].push(i) - 1;
  }
  const counts = new Int32Array(members.length);
  for (let e = 0; e < value.length; e++) if (value[e] !== 0) counts[componentOf[row[e]]]++;
  const written = members.map(() => [] as [matrix: number, row: number, column: number, value: number][]);
  const kept = members.map(() => [] as RankOne[]);
  for (const { matrix: k, weight, vector } of rankOne) {
    const first = weight === 0 ? -1 : vector.findIndex((v) => v !== 0);
    if (first < 0) continue;
    const index = members[componentOf[first]];
    if (k > 0 && index.length > 1) {
      const restricted = Float64Array.from(index, (i) => vector[i]);
      kept[componentOf[first]].push({ variable: k - 1, weight, vector: restricted });
      continue;
    }
    for (let i = 0; i < index.length; i++) {
      if (vector[index[i]] === 0) continue;
      for (let j = i; j < index.length; j++) {
        const product = weight * vector[index[i]] * vector[index[j]];
        if (product !== 0) written[componentOf[first]].push([k, i, j, product]);
      }
    }
  }
  const parts = members.map((index, c): Component => {
    const total = counts[c] + written[c].length;
    const [m, i, j] = [new Int32Array(total), new Int32Array(total), new Int32Array(total)];
    const into = { matrix: m, row: i, column: j, value: new Float64Array(total) };
    written[c].forEach(([k, p, q, v], e) => {
      put(into, counts[c] + e, k, p, q, v);
    });
    return { index: Int32Array.from(index), entries: into, rankOne: kept[c] };
  });
  const next = new Int32Array(members.length);
  for (let e = 0; e < value.length; e++) {
    if (value[e] === 0) continue;
    const c = componentOf[row[e]];
    put(parts[c].entries, next[c]++, matrix[e], local[row[e]], local[column[e]], value[e]);
  }
  return parts;
}

function put(into: Entries, at: number, matrix: number, row: number, column: number, value: number): void {
  into.matrix[at] = matrix;
  into.row[at] = row;
  into.column[at] = column;
  into.value[at] = value;
}

/** F_0 of a component, as one group of variable -1 (none where F_0 is empty there). */
export function constantTerms(entries: Entries): Terms {
  return group(entries, true);
}

/** F_1..F_m of a component, grouped by variable, those with most entries first; `position` renumbers the caller's variables. */
export function variableTerms(entries: Entries, position: Int32Array): Terms {
  const terms = group(entries, false);
  for (let g = 0; g < terms.variable.length; g++) terms.variable[g] = position[terms.variable[g]];
  return terms;
}

/** Sums repeated entries and groups by matrix, most entries first and at equal counts the last matrix first. */
function group({ matrix, row, column, value }: Entries, constant: boolean): Terms {
  const ids = new Int32Array(value.length);
  let count = 0;
  for (let e = 0; e < value.length; e++) if ((matrix[e] === 0) === constant) ids[count++] = e;
  const compare = (p: number, q: number) => matrix[p] - matrix[q] || row[p] - row[q] || column[p] - column[q];
  let sorted = true;
  for (let i = 1; sorted && i < count; i++) sorted = compare(ids[i - 1], ids[i]) <= 0;
  const order = sorted ? ids.subarray(0, count) : ids.subarray(0, count).sort(compare);
  // one pass counts, a second fills in
  let [merged, groups] = [0, 0];
  for (let i = 0; i < count; i++) {
    if (i > 0 && compare(order[i - 1], order[i]) === 0) continue;
    merged++;
    if (i === 0 || matrix[order[i]] !== matrix[order[i - 1]]) groups++;
  }
  const own = new Int32Array(groups);
  const sizes = new Int32Array(groups);
  for (let i = 0, g = -1; i < count; i++) {
    if (i > 0 && compare(order[i - 1], order[i]) === 0) continue;
    if (g < 0 || own[g] !== matrix[order[i]]) own[++g] = matrix[order[i]];
    sizes[g]++;
  }
  const rank = new Int32Array(groups);
  for (let g = 0; g < groups; g++) rank[g] = g;
  rank.sort((p, q) => sizes[q] - sizes[p] || own[q] - own[p]);
  const start = new Int32Array(groups + 1);
  const variable = new Int32Array(groups);
  const cursor = new Int32Array(groups);
  rank.forEach((g, at) => {
    variable[at] = own[g] - 1;
    cursor[g] = start[at];
    start[at + 1] = start[at] + sizes[g];
  });
  const out = { row: new Int32Array(merged), column: new Int32Array(merged), value: new Float64Array(merged) };
  for (let i = 0, g = -1, at = 0; i < count; i++) {
    const e = order[i];
    const repeated = i > 0 && compare(order[i - 1], e) === 0;
    if (!repeated) {
      if (g < 0 || own[g] !== matrix[e]) g++;
      at = cursor[g]++;
      out.row[at] = row[e];
      out.column[at] = column[e];
    }
    out.value[at] += value[e];
  }
  return { variable, start, ...out };
}
