// What the page or program and its worker say to each other. Solvers travel by name, errors by code and details.

import {
  AbortedError,
  DataError,
  type ErrorCode,
  type ErrorDetails,
  FormatError,
  isWorstcaseError,
  ResourceError,
  SettingError,
  ShapeError,
  UnsupportedError,
} from "@worstcase/core";
import type { KernelRequest } from "@worstcase/linalg/kernels";
import type { SdpProblem } from "../problem.js";
import type { SdpResult } from "../result.js";
import type { SolveOptions } from "../solve.js";
import type { SdpEvent } from "../solver.js";

/** The part of the solve options that can be sent. */
export interface SentOptions extends Omit<SolveOptions, "solver" | "backend" | "onEvent" | "signal"> {
  readonly solver: string;
  readonly backend: KernelRequest | undefined;
  /** Whether events are wanted. */
  readonly events: boolean;
}

export type ToWorker =
  | { readonly type: "solve"; readonly problem: SdpProblem; readonly options: SentOptions; readonly aborted: boolean }
  | { readonly type: "abort" };

export type FromWorker =
  | { readonly type: "event"; readonly event: SdpEvent }
  | { readonly type: "result"; readonly result: SdpResult }
  | { readonly type: "failure"; readonly failure: SentError };

export type SentError =
  | { readonly code: ErrorCode; readonly details: ErrorDetails }
  | { readonly code: undefined; readonly message: string; readonly stack: string | undefined };

export function packError(error: unknown): SentError {
  if (isWorstcaseError(error)) {
    const { received } = error.details;
    const plain = received === null || !["object", "function", "symbol"].includes(typeof received);
    const shown = plain || Array.isArray(received) ? received : Object.prototype.toString.call(received);
    return { code: error.code, details: { ...error.details, received: shown } };
  }
  const { message = String(error), stack } = error instanceof Error ? error : {};
  return { code: undefined, message, stack };
}

const classes = {
  shape: ShapeError,
  setting: SettingError,
  data: DataError,
  resource: ResourceError,
  unsupported: UnsupportedError,
  format: FormatError,
  aborted: AbortedError,
} as const;

/** The error as it would have been thrown here. */
export function unpackError(sent: SentError): Error {
  if (sent.code !== undefined) return new classes[sent.code](sent.details);
  return new Error(`the worker failed: ${sent.message}`, { cause: sent.stack });
}
