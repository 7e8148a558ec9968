// Groups of pieces in use, one list of gates per class, and how the set grows and shrinks after an exact pass.
// h: [C, P, D]   point: groups in use, class by class, [groups, D]

export type Lists = readonly Int32Array[];

export const countGroups = (lists: Lists) => lists.reduce((sum, list) => sum + list.length, 0);

export interface Choice {
  readonly beta: number;
  readonly width: number;
  readonly gateCount: number;
  /** Groups added at most. */
  readonly most: number;
}

/** Idle groups whose ||h|| is below this share of beta leave. */
const LEAVE_BELOW = 0.9;

/**
 * The next groups: those that are not zero, zero ones that are nearly tight, and the `most` with the largest ||h|| > beta.
 * Returns them with the point carried over, new ones at zero, and how many were added.
 */
export function chooseGroups(
  h: Float64Array,
  lists: Lists,
  point: Float64Array,
  { beta, width, gateCount, most }: Choice,
): { lists: Int32Array[]; point: Float64Array; added: number } {
  const norms = groupNorms(h, width);
  const places = new Map<number, number>();
  let group = 0;
  lists.forEach((list, c) => {
    for (const p of list) {
      const from = group++ * width;
      const idle = point.subarray(from, from + width).every((t) => t === 0);
      if (!idle || norms[c * gateCount + p] >= LEAVE_BELOW * beta) places.set(c * gateCount + p, from);
    }
  });
  const violators = [...norms.keys()].filter((g) => norms[g] > beta && !places.has(g));
  violators.sort((a, b) => norms[b] - norms[a] || a - b);
  const added = violators.slice(0, most);
  for (const g of added) places.set(g, -1);
  const chosen = [...places.keys()].sort((a, b) => a - b);
  const next = new Float64Array(chosen.length * width);
  chosen.forEach((g, t) => {
    const from = places.get(g)!;
    if (from >= 0) next.set(point.subarray(from, from + width), t * width);
  });
  const nextLists = lists.map((_, c) =>
    Int32Array.from(
      chosen.filter((g) => Math.floor(g / gateCount) === c),
      (g) => g - c * gateCount,
    ),
  );
  return { lists: nextLists, point: next, added: added.length };
}

function groupNorms(values: Float64Array, width: number): Float64Array {
  const norms = new Float64Array(values.length / width);
  for (let g = 0; g < norms.length; g++) {
    let square = 0;
    for (let k = g * width; k < (g + 1) * width; k++) square += values[k] * values[k];
    norms[g] = Math.sqrt(square);
  }
  return norms;
}

/** All pieces `[P, C, D]` with zeros where no group is in use. */
export function densePieces(lists: Lists, point: Float64Array, width: number, gateCount: number): Float64Array {
  const classCount = lists.length;
  const pieces = new Float64Array(gateCount * classCount * width);
  let group = 0;
  lists.forEach((list, c) => {
    for (const p of list) {
      pieces.set(point.subarray(group * width, (group + 1) * width), (p * classCount + c) * width);
      group++;
    }
  });
  return pieces;
}

/** The reverse: the groups that are not zero. */
export function groupsOf(
  pieces: Float64Array,
  width: number,
  gateCount: number,
  classCount: number,
): { lists: Int32Array[]; point: Float64Array } {
  const piece = (p: number, c: number) =>
    pieces.subarray((p * classCount + c) * width, (p * classCount + c + 1) * width);
  const lists = Array.from({ length: classCount }, (_, c) =>
    Int32Array.from({ length: gateCount }, (_, p) => p).filter((p) => piece(p, c).some((value) => value !== 0)),
  );
  const point = new Float64Array(countGroups(lists) * width);
  let group = 0;
  lists.forEach((list, c) => {
    for (const p of list) point.set(piece(p, c), group++ * width);
  });
  return { lists, point };
}
