// Which trainer: exact (interior point) or factored (solvers.md 0). The exact one costs about 4 n N^2 + N^3 / 3 + 40 n p^3
// operations an iteration with p = features + 1, N = p (p + 1) / 2, and holds 8 n p^2 + 2 n N numbers.

import { SettingError } from "@worstcase/core";
import type { MarginLoss } from "../marginLoss.js";
import { interiorSize } from "./interiorPoint.js";

export type Method = "exact" | "factored";

/** Numbers (8 bytes each) and operations an iteration above which the exact trainer is not chosen by itself. */
const mostNumbers = 1.3e8;
const mostOperations = 1.5e10;
/** Gap at and above which the factored trainer is tried first: it gets there sooner. */
const easyGap = 3e-3;

export interface MethodRequest {
  readonly method: "auto" | Method;
  readonly samples: number;
  readonly features: number;
  readonly radius: number;
  readonly loss: MarginLoss;
  readonly hardMargins: boolean;
  /** As given by the caller, if it was. */
  readonly tolerance: number | undefined;
  /** Options were given that only the factored trainer has. */
  readonly factoredOptions: boolean;
  /** False when the points are read block by block: only the factored trainer can do that. */
  readonly inMemory: boolean;
}

export interface MethodChoice {
  readonly method: Method;
  /** The exact trainer may take over when the factored one does not reach the gap. */
  readonly mayHandOver: boolean;
}

/** Throws SettingError when the factored trainer is asked for what only the exact one can do. */
export function chooseMethod(request: MethodRequest): MethodChoice {
  const { method, loss, hardMargins, tolerance, factoredOptions, inMemory } = request;
  const onlyExact = loss !== "hinge" || hardMargins;
  if (method === "exact" && !inMemory) {
    const expected = "factored or auto for features that are read in chunks";
    throw new SettingError({ argument: "options.method", expected, received: method });
  }
  if (method === "factored" || !inMemory) {
    if (onlyExact) {
      const expected = "exact or auto for this loss or for hard margins";
      const hint = "the factored trainer minimises hinge losses only";
      throw new SettingError({ argument: "options.method", expected, received: method, hint });
    }
    return { method: "factored", mayHandOver: false };
  }
  if (method === "exact" || onlyExact) return { method: "exact", mayHandOver: false };
  const fits = exactFits(request);
  if (!fits) return { method: "factored", mayHandOver: false };
  if (factoredOptions || (tolerance ?? 0) >= easyGap) return { method: "factored", mayHandOver: true };
  return { method: "exact", mayHandOver: false };
}

/** Whether the exact trainer solves this size in memory of about a gigabyte and seconds an iteration. */
export function exactFits({
  samples,
  features,
  radius,
}: Pick<MethodRequest, "samples" | "features" | "radius">): boolean {
  const p = features + 1;
  const entries = (p * (p + 1)) / 2;
  const operations = 4 * samples * entries * entries + entries ** 3 / 3 + 40 * samples * p ** 3;
  return operations <= mostOperations && interiorSize(samples, features, radius) <= mostNumbers;
}
