// Heads as JSON: numbers are written by JavaScript's shortest exact notation, so reading gives the same bits back.
// A fingerprint over the numbers detects edited or truncated files.

import { FormatError, fingerprint } from "@worstcase/core";
import type { Activation } from "./activation.js";
import { type Quadratic, quadraticFromNeurons } from "./quadratic.js";

export interface QuadraticJson {
  /** The network, when the quadratic is one; else Q, q, s. */
  readonly neurons?: {
    readonly activation: Activation;
    readonly directions: readonly number[];
    readonly weights: readonly number[];
  };
  readonly Q?: readonly number[];
  readonly q?: readonly number[];
  readonly s?: number;
}

export interface HeadJson {
  readonly format: "worstcase-polynomial-head";
  readonly version: 1;
  readonly dimension: number;
  readonly quadratics: readonly QuadraticJson[];
  /** Anything the writer wants to keep beside the numbers (radius, beta, certificate). */
  readonly details: Readonly<Record<string, unknown>>;
  readonly fingerprint: string;
}

export interface PolynomialHead {
  readonly quadratics: readonly Quadratic[];
  readonly details: Readonly<Record<string, unknown>>;
}

/** `details` must be JSON data; NaN and infinities in it would not survive. */
export function headToJson(head: { quadratics: readonly Quadratic[]; details?: Record<string, unknown> }): HeadJson {
  const quadratics = head.quadratics.map(({ neurons, Q, q, s }): QuadraticJson => {
    if (!neurons) return { Q: plain(Q), q: plain(q), s: s + 0 };
    const { activation, directions, weights } = neurons;
    return { neurons: { activation: { ...activation }, directions: plain(directions), weights: plain(weights) } };
  });
  const dimension = head.quadratics[0]?.dimension ?? 0;
  return {
    format: "worstcase-polynomial-head",
    version: 1,
    dimension,
    quadratics,
    details: head.details ?? {},
    fingerprint: contentHash(dimension, quadratics),
  };
}

/** Reads what `headToJson` wrote (parsed or as text). Throws FormatError on anything else. */
export function headFromJson(source: HeadJson | string): PolynomialHead {
  let json: HeadJson;
  try {
    json = typeof source === "string" ? JSON.parse(source) : source;
  } catch (cause) {
    throw new FormatError({ argument: "source", expected: "JSON text", received: source }, { cause });
  }
  if (json?.format !== "worstcase-polynomial-head" || json.version !== 1) {
    const expected = "worstcase-polynomial-head, version 1";
    throw new FormatError({ argument: "source.format", expected, received: json?.format });
  }
  const d = json.dimension;
  if (!Number.isSafeInteger(d) || d < 1 || !Array.isArray(json.quadratics) || json.quadratics.length === 0) {
    throw new FormatError({ argument: "source", expected: "a dimension >= 1 and quadratics", received: d });
  }
  if (contentHash(d, json.quadratics) !== json.fingerprint) {
    const hint = "the file was edited or damaged";
    throw new FormatError({
      argument: "source.fingerprint",
      expected: "the hash of the content",
      received: json.fingerprint,
      hint,
    });
  }
  const quadratics = json.quadratics.map((entry, c): Quadratic => {
    const at = `source.quadratics[${c}]`;
    if (entry.neurons) {
      const { activation, directions, weights } = entry.neurons;
      const count = Array.isArray(weights) ? weights.length : 0;
      const neurons = {
        activation: { a: activation?.a, b: activation?.b, c: activation?.c },
        directions: numbers(directions, count * d, `${at}.neurons.directions`),
        weights: numbers(weights, count, `${at}.neurons.weights`),
      };
      return quadraticFromNeurons(neurons, d);
    }
    const [s] = numbers([entry.s as number], 1, `${at}.s`);
    return { dimension: d, Q: numbers(entry.Q, d * d, `${at}.Q`), q: numbers(entry.q, d, `${at}.q`), s };
  });
  return { quadratics, details: json.details ?? {} };
}

/** Plain numbers; negative zero, which JSON cannot keep, becomes zero. */
function plain(values: Float64Array): number[] {
  return Array.from(values, (value) => value + 0);
}

function numbers(values: readonly number[] | undefined, length: number, argument: string): Float64Array {
  if (!Array.isArray(values) || values.length !== length || !values.every((value) => Number.isFinite(value))) {
    const received = Array.isArray(values) ? values.length : values;
    throw new FormatError({ argument, expected: `${length} finite numbers`, received });
  }
  return Float64Array.from(values);
}

function contentHash(dimension: number, quadratics: readonly QuadraticJson[]): string {
  return fingerprint(String(dimension), JSON.stringify(quadratics));
}
