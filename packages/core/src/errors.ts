// Typed errors for misuse. Every message says where, what was expected, what came, and a hint.
// Errors are branded by a global symbol, so two copies of this package recognise each other's errors.

const brand: unique symbol = Symbol.for("worstcase.error") as never;

export type ErrorCode = "shape" | "setting" | "data" | "resource" | "unsupported" | "format" | "aborted";

export interface ErrorDetails {
  /** The argument, option or file at fault, for example `options.radius`. */
  readonly argument: string;
  /** What would have been right, for example `a finite number >= 0`. */
  readonly expected: string;
  /** What came instead; printed shortened. */
  readonly received: unknown;
  /** What to do about it. */
  readonly hint?: string;
}

/** Base of all errors thrown by worstcase packages for misuse; mathematical outcomes are returned, never thrown. */
export abstract class WorstcaseError extends Error {
  abstract readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly [brand] = true;

  constructor(details: ErrorDetails, options?: { cause?: unknown }) {
    super(describe(details), options);
    this.name = new.target.name;
    this.details = details;
  }
}

/** An array or batch has the wrong shape. */
export class ShapeError extends WorstcaseError {
  readonly code = "shape" as const;
}
/** A setting is unknown, out of range or of the wrong type. */
export class SettingError extends WorstcaseError {
  readonly code = "setting" as const;
}
/** The data cannot be used: NaN, empty, one class, missing file. */
export class DataError extends WorstcaseError {
  readonly code = "data" as const;
}
/** The work does not fit into memory or another limited resource. */
export class ResourceError extends WorstcaseError {
  readonly code = "resource" as const;
}
/** The request is meaningful but not available here (a missing backend, an unsupported norm). */
export class UnsupportedError extends WorstcaseError {
  readonly code = "unsupported" as const;
}
/** A file is truncated, corrupted or of another format. */
export class FormatError extends WorstcaseError {
  readonly code = "format" as const;
}
/** The caller's AbortSignal fired. */
export class AbortedError extends WorstcaseError {
  readonly code = "aborted" as const;
}

/** Whether `value` is a worstcase error, also when it was made by another copy of this package. */
export function isWorstcaseError(value: unknown): value is WorstcaseError {
  return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[brand] === true;
}

/** Throws {@link AbortedError} when the signal has fired; call it once per iteration of every long loop. */
export function throwIfAborted(signal: AbortSignal | undefined, where: string): void {
  if (!signal?.aborted) return;
  const details = { argument: "signal", expected: `no abort during ${where}`, received: "aborted" };
  throw new AbortedError(details, { cause: signal.reason });
}

function describe({ argument, expected, received, hint }: ErrorDetails): string {
  return `${argument}: expected ${expected}, got ${shorten(received)}${hint ? ` (${hint})` : ""}`;
}

function shorten(value: unknown): string {
  if (typeof value === "string") return value.length > 120 ? `${value.slice(0, 117)}...` : value;
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) {
    return String(value);
  }
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
  if (Array.isArray(value))
    return value.length <= 8 ? `[${value.map(shorten).join(", ")}]` : `array of ${value.length}`;
  return typeof value === "object" ? value.constructor?.name || "object" : typeof value;
}
