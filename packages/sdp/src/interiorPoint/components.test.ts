import fc from "fast-check";
import { expect, test } from "vitest";
import { constantTerms, split, variableTerms } from "./components.js";

const entry = fc.record({
  matrix: fc.integer({ min: 0, max: 4 }),
  row: fc.integer({ min: 0, max: 6 }),
  column: fc.integer({ min: 0, max: 6 }),
  value: fc.integer({ min: -3, max: 3 }),
});
const term = fc.record({
  matrix: fc.integer({ min: 0, max: 4 }),
  weight: fc.integer({ min: -2, max: 2 }),
  vector: fc.array(fc.integer({ min: -1, max: 1 }), { minLength: 7, maxLength: 7 }),
});

test("the components put together are the matrices of the block, whatever the order and repetition of entries", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 25 }), fc.array(term, { maxLength: 2 }), (list, terms) => {
      const size = 7;
      const upper = list.map((e) => ({ ...e, row: Math.min(e.row, e.column), column: Math.max(e.row, e.column) }));
      const expected = Array.from({ length: 5 }, () => new Float64Array(size * size));
      for (const { matrix, row, column, value } of upper) expected[matrix][row * size + column] += value;
      for (const { matrix, weight, vector } of terms) {
        for (let i = 0; i < size; i++) {
          for (let j = i; j < size; j++) expected[matrix][i * size + j] += weight * vector[i] * vector[j];
        }
      }
      const parts = split({
        kind: "psd",
        size,
        entries: {
          matrix: Int32Array.from(upper, (e) => e.matrix),
          row: Int32Array.from(upper, (e) => e.row),
          column: Int32Array.from(upper, (e) => e.column),
          value: Float64Array.from(upper, (e) => e.value),
        },
        rankOne: terms.map((t) => ({ ...t, vector: Float64Array.from(t.vector) })),
      });
      const found = expected.map(() => new Float64Array(size * size));
      const seen = new Set<number>();
      for (const { index, entries, rankOne } of parts) {
        for (const i of index) {
          expect(seen.has(i)).toBe(false);
          seen.add(i);
        }
        // variables renumbered backwards
        const position = Int32Array.from([3, 2, 1, 0]);
        for (const { variable, start, row, column, value } of [
          constantTerms(entries),
          variableTerms(entries, position),
        ]) {
          const counts = [...variable.keys()].map((g) => start[g + 1] - start[g]);
          expect(counts.every((count, g) => count > 0 && (g === 0 || count <= counts[g - 1]))).toBe(true);
          expect(start[variable.length]).toBe(value.length);
          variable.forEach((k, g) => {
            const places = new Set<number>();
            for (let e = start[g]; e < start[g + 1]; e++) {
              const at = index[row[e]] * size + index[column[e]];
              expect(places.has(at)).toBe(false);
              places.add(at);
              found[k < 0 ? 0 : 4 - k][at] += value[e];
            }
          });
        }
        for (const { variable, weight, vector } of rankOne) {
          for (let i = 0; i < index.length; i++) {
            for (let j = i; j < index.length; j++) {
              found[variable + 1][index[i] * size + index[j]] += weight * vector[i] * vector[j];
            }
          }
        }
      }
      expect(found).toEqual(expected);
    }),
    { numRuns: 300, seed: 7 },
  );
});
