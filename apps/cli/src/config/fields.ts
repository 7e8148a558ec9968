// Schema pieces shared by the commands: lists written with commas, fractions such as 8/255, ranges such as 1/255..8/255.

import { z } from "zod";

/** A number or a fraction: `0.1`, `1e-3`, `8/255`. NaN when it is neither. */
function readNumber(text: string): number {
  const [numerator, denominator, ...rest] = text.trim().split("/");
  if (rest.length > 0 || !numerator?.trim() || denominator?.trim() === "") return Number.NaN;
  return Number(numerator) / (denominator === undefined ? 1 : Number(denominator));
}

/** `a..b` with b an integer multiple of a stands for a, 2a, ..., b. */
function readNumbers(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const ends = part.split("..");
    if (ends.length !== 2) return [readNumber(part)];
    const [from, to] = ends.map(readNumber) as [number, number];
    const count = Math.round(to / from);
    if (!(from > 0) || Math.abs(count * from - to) > 1e-9 * to) return [Number.NaN];
    return Array.from({ length: count }, (_, i) => (to * (i + 1)) / count);
  });
}

/** A number given as a number or as text. */
export const numeric = (schema: z.ZodNumber) =>
  z.preprocess((value) => (typeof value === "string" ? readNumber(value) : value), schema);

/** A nonempty list of numbers given as a number, an array or text. */
export const numericList = (schema: z.ZodNumber) =>
  z.preprocess((value) => {
    if (typeof value === "number") return [value];
    return typeof value === "string" ? readNumbers(value) : value;
  }, z.array(schema).nonempty());

/** A nonempty list of distinct words given as an array or as text with commas. */
export const wordList = <const W extends readonly [string, ...string[]]>(words: W) =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.split(",").map((word) => word.trim()) : value),
    z
      .array(z.enum(words))
      .nonempty()
      .refine((list) => new Set(list).size === list.length, "expected distinct words"),
  );

export const count = (least = 1) => numeric(z.number().int().min(least));
export const epsilon = z
  .number()
  .positive()
  .refine((value) => value <= 1, {
    error: ({ input }) => `at most 1, the whole pixel range (did you mean ${input}/255?)`,
  });
