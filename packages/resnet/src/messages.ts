// Messages between the extractor and its worker threads. Errors travel as plain data and are rebuilt with their type.

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
  type WorstcaseError,
} from "@worstcase/core";
import type { BackendName } from "@worstcase/tensor";
import type { Engine } from "./engine.js";
import type { FoldedNetwork } from "./fold.js";

/** Given to a worker at its start. */
export interface WorkerStart {
  readonly network: FoldedNetwork;
  readonly backend: BackendName;
}

export interface WorkerRequest<M extends keyof Engine = keyof Engine> {
  readonly id: number;
  readonly method: M;
  readonly parameters: Parameters<Engine[M]>;
}

/** Answer to the request `id`; id 0 says that the worker is ready or could not start. */
export type WorkerAnswer =
  | { readonly id: number; readonly result: Float32Array | undefined }
  | { readonly id: number; readonly error: PlainError };

export interface PlainError {
  readonly code: ErrorCode | null;
  readonly details: ErrorDetails;
}

const errorTypes: Record<ErrorCode, new (details: ErrorDetails) => WorstcaseError> = {
  shape: ShapeError,
  setting: SettingError,
  data: DataError,
  resource: ResourceError,
  unsupported: UnsupportedError,
  format: FormatError,
  aborted: AbortedError,
};

export function toPlainError(error: unknown): PlainError {
  if (isWorstcaseError(error)) {
    const { argument, expected, received, hint } = error.details;
    const details = { argument, expected, received: String(received), ...(hint !== undefined && { hint }) };
    return { code: error.code, details };
  }
  const received = error instanceof Error ? error.message : String(error);
  return { code: null, details: { argument: "worker", expected: "a result", received } };
}

/** The typed error again; anything that was not one of ours becomes a ResourceError. */
export function fromPlainError({ code, details }: PlainError): WorstcaseError {
  return new errorTypes[code ?? "resource"](details);
}
