// Walks over the bytes of an SDPA file: separators, lines, comments and decimal numbers, with line and column for errors.
// Braces, parentheses, commas and blanks separate numbers; an exponent is written with e, E, d or D.

import { FormatError } from "@worstcase/core";

const newline = 10;
const carriageReturn = 13;
/** 1 for blank, tab, comma, braces and parentheses. */
const separators = new Uint8Array(256);
for (const character of " \t\v\f\0,(){}") separators[character.charCodeAt(0)] = 1;
const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
/** Below this a further decimal digit keeps the mantissa exact. */
const exactMantissa = 900719925474099;
/** Longer ones are refused. */
const longestNumber = 1000;

export class Scanner {
  position = 0;

  constructor(
    readonly bytes: Uint8Array,
    private readonly name: string,
  ) {}

  get atEnd(): boolean {
    return this.position >= this.bytes.length;
  }

  get bytesLeft(): number {
    return this.bytes.length - this.position;
  }

  /** Moves to the next character of this line that is no separator. Returns false at the end of the line or file. */
  skipSeparators(): boolean {
    const { bytes } = this;
    let at = this.position;
    while (at < bytes.length && separators[bytes[at]] === 1) at++;
    this.position = at;
    return at < bytes.length && bytes[at] !== newline && bytes[at] !== carriageReturn;
  }

  /** Moves behind the end of this line. */
  skipLine(): void {
    const { bytes } = this;
    let at = this.position;
    while (at < bytes.length && bytes[at] !== newline && bytes[at] !== carriageReturn) at++;
    if (bytes[at] === carriageReturn && bytes[at + 1] === newline) at++;
    this.position = Math.min(at + 1, bytes.length);
  }

  /** From the start of a line to the first character of the next line with content; false at the end of the file. */
  skipEmptyLines(): boolean {
    for (;;) {
      if (this.skipSeparators() && !this.atComment) return true;
      if (this.atEnd) return false;
      this.skipLine();
    }
  }

  /** `*` and `"` begin a comment when they are first on a line. */
  get atComment(): boolean {
    return this.bytes[this.position] === 42 || this.bytes[this.position] === 34;
  }

  /** Whether a number may begin here: digit, sign or point. */
  get atNumber(): boolean {
    const c = this.bytes[this.position];
    return (c >= 48 && c <= 57) || c === 43 || c === 45 || c === 46;
  }

  /** Reads a finite number and stops behind it. Throws FormatError saying that `expected` should stand here. */
  number(expected: string): number {
    const start = this.position;
    const value = this.decimal();
    if (Number.isNaN(value)) this.fail(start, expected);
    return value;
  }

  /** Reads an integer from `least` to `most`. */
  integer(least: number, most: number, what: string): number {
    const start = this.position;
    const value = this.decimal();
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    const range = most < least ? "of which there is none" : `an integer from ${least} to ${most}`;
    return this.fail(start, `${what}: ${range}`);
  }

  /** The number at the position, rounded correctly; NaN when there is none, or none that is finite. */
  private decimal(): number {
    const { bytes } = this;
    const start = this.position;
    let at = start;
    const negative = bytes[at] === 45;
    if (negative || bytes[at] === 43) at++;
    let [mantissa, exponent, digits, exact] = [0, 0, 0, true];
    for (let c = bytes[at]; c >= 48 && c <= 57; c = bytes[++at], digits++) {
      if (mantissa < exactMantissa) mantissa = mantissa * 10 + (c - 48);
      else exact = false;
    }
    if (bytes[at] === 46) {
      at++;
      for (let c = bytes[at]; c >= 48 && c <= 57; c = bytes[++at], digits++) {
        if (mantissa < exactMantissa) {
          mantissa = mantissa * 10 + (c - 48);
          exponent--;
        } else exact = false;
      }
    }
    if (digits === 0) return Number.NaN;
    const letter = bytes[at] | 32;
    if (letter === 101 || letter === 100) {
      let next = at + 1;
      const down = bytes[next] === 45;
      if (down || bytes[next] === 43) next++;
      const from = next;
      let power = 0;
      for (let c = bytes[next]; c >= 48 && c <= 57; c = bytes[++next]) power = Math.min(power * 10 + (c - 48), 1e6);
      if (next === from) return Number.NaN;
      exponent += down ? -power : power;
      at = next;
    }
    this.position = at;
    // the product or quotient of two exact numbers is rounded once: it is the nearest double
    if (exact && exponent >= -22 && exponent <= 22) {
      const value = exponent < 0 ? mantissa / powersOfTen[-exponent] : mantissa * powersOfTen[exponent];
      return negative ? -value : value;
    }
    if (at - start > longestNumber) return Number.NaN;
    const value = Number(this.text(start, at).replace(/[dD]/, "e"));
    return Number.isFinite(value) ? value : Number.NaN;
  }

  /** Throws unless a separator, the end of the line or the end of the file comes next. */
  endOfNumber(start: number, expected: string): void {
    const c = this.bytes[this.position];
    if (this.atEnd || separators[c] === 1 || c === newline || c === carriageReturn) return;
    this.fail(start, expected);
  }

  /** Throws FormatError that names line and column (from 1, in bytes) and quotes what stands at `offset`. */
  fail(offset: number, expected: string, hint?: string): never {
    const { bytes } = this;
    let line = 1;
    let lineStart = 0;
    for (let at = 0; at < offset; at++) {
      if (bytes[at] === newline || (bytes[at] === carriageReturn && bytes[at + 1] !== newline)) {
        line++;
        lineStart = at + 1;
      }
    }
    let end = offset;
    while (end < bytes.length && end < offset + 40 && bytes[end] > 32 && bytes[end] !== 44) end++;
    const atLineEnd = bytes[offset] === newline || bytes[offset] === carriageReturn;
    const received = offset >= bytes.length ? "the end of the file" : atLineEnd ? "the end of the line" : undefined;
    throw new FormatError({
      argument: `${this.name}, line ${line}, column ${offset - lineStart + 1}`,
      expected,
      received: received ?? this.text(offset, Math.max(end, offset + 1)),
      ...(hint ? { hint } : {}),
    });
  }

  private text(from: number, to: number): string {
    return String.fromCharCode(...this.bytes.subarray(from, to));
  }
}
