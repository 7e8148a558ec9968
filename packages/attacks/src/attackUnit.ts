// A unit of work of an evaluation: one attack at one epsilon. Units are plain JSON, so they can be saved and given back.

import {
  type Classifier,
  DataError,
  type DifferentiableClassifier,
  fingerprint,
  type Norm,
  type Rng,
  type Warning,
} from "@worstcase/core";
import type { Attack } from "./attack.js";

/** One attack of an evaluation. */
export interface NamedAttack {
  /** Unique within the evaluation; the random stream is forked by it. */
  readonly name: string;
  readonly attack: Attack | Attack<Classifier>;
  /** Where gradients come from when not from the model; success is always measured on the model. */
  readonly surrogate?: DifferentiableClassifier | undefined;
}

export interface AttackUnit {
  /** Name of the attack in the evaluation. */
  readonly attack: string;
  readonly norm: Norm;
  readonly epsilon: number;
  /** Hash of model, samples, attack settings, random stream and smaller epsilons: whatever decides the numbers. */
  readonly fingerprint: string;
  /** Whether the sample is misclassified, broken at a smaller epsilon, or broken here, `[samples]`. */
  readonly fooled: readonly boolean[];
  /** Measured distance of the point that broke the sample, or of the last one tried, `[samples]`. */
  readonly distance: readonly number[];
  /** Margin loss at that point, `[samples]`. */
  readonly loss: readonly number[];
  readonly calls: { readonly forward: number; readonly gradient: number };
  readonly zeroGradients: { readonly samples: number; readonly zero: number };
  /** With `warmStart`: the last points of the samples that were not broken, where attacks at the next epsilon begin. */
  readonly ends?: StoredPoints | undefined;
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

/** Points of some samples as text. */
export interface StoredPoints {
  /** Rows of the batch. */
  readonly rows: readonly number[];
  readonly type: "float32" | "float64";
  /** Little-endian values in base64, `[rows, size]`. */
  readonly values: string;
}

/** The rows of `points` (`[samples, size]`), to be saved. */
export function storePoints(points: Float32Array | Float64Array, rows: readonly number[], size: number): StoredPoints {
  const data = points.slice(0, rows.length * size);
  for (const [j, i] of rows.entries()) data.set(points.subarray(i * size, (i + 1) * size), j * size);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let from = 0; from < bytes.length; from += 8192)
    text += String.fromCharCode(...bytes.subarray(from, from + 8192));
  return { rows: [...rows], type: data instanceof Float64Array ? "float64" : "float32", values: btoa(text) };
}

/** Writes stored points into `points` (`[samples, size]`). Throws DataError when they do not fit. */
export function restorePoints(stored: StoredPoints, points: Float32Array | Float64Array, size: number): void {
  const bytes = Uint8Array.from(atob(stored.values), (character) => character.charCodeAt(0));
  const width = stored.type === "float64" ? 8 : 4;
  if (bytes.length !== stored.rows.length * size * width) {
    const expected = `${stored.rows.length} rows of ${size} values`;
    throw new DataError({ argument: "unit.ends", expected, received: `${bytes.length} bytes of ${stored.type}` });
  }
  const data = stored.type === "float64" ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer);
  for (const [j, i] of stored.rows.entries()) points.set(data.subarray(j * size, (j + 1) * size), i * size);
}

/** What a unit's numbers depend on, hashed. `smaller` are the epsilons attacked before it, `chain` what else came before. */
export function unitFingerprint(
  model: Classifier,
  entry: NamedAttack,
  samples: string,
  norm: Norm,
  epsilon: number,
  smaller: readonly number[],
  rng: Rng,
  chain?: { readonly warmStart?: true; readonly after?: string },
): string {
  const { attack, surrogate } = entry;
  const surrogateId = surrogate?.id ?? null;
  const settings = { attack: attack.name, kind: attack.kind, ...attack.settings };
  const made = {
    model: model.id,
    name: entry.name,
    surrogateId,
    settings,
    norm,
    epsilon,
    smaller,
    rng: rng.state().name,
    ...chain,
  };
  return fingerprint(JSON.stringify(made), samples);
}

/** The completed unit for this attack and epsilon, if any. Throws DataError when it was made from something else. */
export function findCompleted(
  completed: readonly AttackUnit[],
  name: string,
  norm: Norm,
  epsilon: number,
  expected: string,
): AttackUnit | undefined {
  const at = completed.findIndex((unit) => unit.attack === name && unit.norm === norm && unit.epsilon === epsilon);
  const unit = completed[at];
  if (!unit || unit.fingerprint === expected) return unit;
  throw new DataError({
    argument: `options.completed[${at}]`,
    expected: `work of ${name} at ${epsilon} with fingerprint ${expected.slice(0, 12)}`,
    received: String(unit.fingerprint).slice(0, 12),
    hint: "it was made with another model, data, seed, setting or list of smaller epsilons; leave it out to compute it again",
  });
}
