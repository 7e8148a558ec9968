// Seeded random numbers: xoshiro128** (Blackman and Vigna 2018), seeded by SHA-256 of a label, forked by name.
// The state is six numbers, so a checkpoint restores the stream exactly; forks depend on names, not on order of use.

import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { SettingError } from "./errors.js";

export interface RngState {
  /** Path of names from the seed, for example `seed 7/attack/restart 2`. */
  readonly name: string;
  /** The four 32-bit words of xoshiro128**. */
  readonly words: readonly [number, number, number, number];
  /** Second value of the last normal pair, or null. */
  readonly spare: number | null;
}

export interface Rng {
  /** Uniform in [0, 1) with 53 random bits. */
  uniform(): number;
  /** Standard normal (polar Box-Muller). */
  normal(): number;
  /** Uniform integer in 0 .. below - 1, unbiased. */
  integer(below: number): number;
  /** A uniformly random order of 0 .. length - 1 (Fisher-Yates). */
  permutation(length: number): Int32Array;
  /** An independent stream by name; the same name gives the same stream, whatever was drawn before. */
  fork(name: string): Rng;
  /** Exact, JSON-serialisable state. */
  state(): RngState;
}

/** A generator from a nonnegative integer seed. Throws SettingError otherwise. */
export function createRng(seed: number): Rng {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new SettingError({ argument: "seed", expected: "an integer >= 0", received: seed });
  }
  return fromName(`seed ${seed}`);
}

/** Continues exactly where `state` was taken. Throws SettingError on a malformed state. */
export function restoreRng(state: RngState): Rng {
  const words = state?.words;
  const valid =
    Array.isArray(words) &&
    words.length === 4 &&
    words.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffffffff);
  if (!valid || typeof state.name !== "string" || words.every((word) => word === 0)) {
    throw new SettingError({ argument: "state", expected: "a state returned by rng.state()", received: state });
  }
  return new Xoshiro128(state.name, Uint32Array.from(words), state.spare);
}

function fromName(name: string): Rng {
  const digest = sha256(utf8ToBytes(`worstcase rng\n${name}`));
  const view = new DataView(digest.buffer, digest.byteOffset);
  const words = Uint32Array.from([0, 4, 8, 12], (offset) => view.getUint32(offset, true));
  if (words.every((word) => word === 0)) words[0] = 1;
  return new Xoshiro128(name, words, null);
}

class Xoshiro128 implements Rng {
  constructor(
    private readonly name: string,
    private readonly words: Uint32Array,
    private spare: number | null,
  ) {}

  private next(): number {
    const w = this.words;
    const scrambled = Math.imul(rotate(Math.imul(w[1]!, 5), 7), 9) >>> 0;
    const shifted = w[1]! << 9;
    w[2]! ^= w[0]!;
    w[3]! ^= w[1]!;
    w[1]! ^= w[2]!;
    w[0]! ^= w[3]!;
    w[2]! ^= shifted;
    w[3] = rotate(w[3]!, 11);
    return scrambled;
  }

  uniform(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 0x4000000 + low) / 0x20000000000000;
  }

  normal(): number {
    if (this.spare !== null) {
      const value = this.spare;
      this.spare = null;
      return value;
    }
    let x: number;
    let y: number;
    let square: number;
    do {
      x = 2 * this.uniform() - 1;
      y = 2 * this.uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    this.spare = y * factor;
    return x * factor;
  }

  integer(below: number): number {
    if (!Number.isInteger(below) || below < 1 || below > 0x100000000) {
      throw new SettingError({ argument: "below", expected: "an integer in 1 .. 2^32", received: below });
    }
    const limit = 0x100000000 - (0x100000000 % below);
    let value = this.next();
    while (value >= limit) value = this.next();
    return value % below;
  }

  permutation(length: number): Int32Array {
    const order = Int32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = order[i]!;
      order[i] = order[j]!;
      order[j] = kept;
    }
    return order;
  }

  fork(name: string): Rng {
    return fromName(`${this.name}/${name}`);
  }

  state(): RngState {
    const [a, b, c, d] = this.words as unknown as [number, number, number, number];
    return { name: this.name, words: [a, b, c, d], spare: this.spare };
  }
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
