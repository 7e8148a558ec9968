// Small problems for tests: reference optima from an independent conic solver (references.json holds its own making script) and
// seeded random data.

import { readFileSync } from "node:fs";
import { createRng, type Norm, type NumericBatch, type Rng } from "@worstcase/core";
import { lengthOf, normExponent, type PerturbationNorm } from "../ballSupport.js";

export interface ReferenceCase {
  readonly kind: "gated" | "relu";
  readonly samples: number;
  readonly featureCount: number;
  readonly gateCount: number;
  readonly classCount: number;
  readonly radius: number;
  readonly norm: Norm;
  readonly beta: number;
  readonly bias: boolean;
  readonly features: readonly number[];
  readonly labels: readonly number[];
  readonly gates: readonly number[];
  readonly objective: number;
}

export function referenceCases(): ReferenceCase[] {
  return JSON.parse(readFileSync(new URL("./references.json", import.meta.url), "utf8")).cases;
}

/** Gaussian clouds around random centres, one per class. */
export function clouds(
  seed: number,
  samples: number,
  featureCount: number,
  classCount: number,
): { features: NumericBatch; labels: Int32Array; rng: Rng } {
  const rng = createRng(seed);
  const centres = Float64Array.from({ length: classCount * featureCount }, () => rng.normal());
  const labels = Int32Array.from({ length: samples }, (_, i) => i % classCount);
  const data = Float64Array.from({ length: samples * featureCount }, (_, k) => {
    const label = labels[Math.floor(k / featureCount)];
    return centres[label * featureCount + (k % featureCount)] + 0.5 * rng.normal();
  });
  return { features: { data, shape: [samples, featureCount] }, labels, rng };
}

/** A random point of the ball of the given norm and radius, often on its boundary. */
export function pointInBall(rng: Rng, length: number, norm: PerturbationNorm, radius: number): Float64Array {
  const point = Float64Array.from({ length }, () => rng.normal());
  if (norm === "linf") return point.map((t) => radius * (rng.uniform() < 0.5 ? Math.sign(t) : 2 * rng.uniform() - 1));
  if (norm === "l1" && rng.uniform() < 0.5) {
    const corner = rng.integer(length);
    return point.map((t, k) => (k === corner ? radius * Math.sign(t) : 0));
  }
  const size = lengthOf(point, 0, length, normExponent(norm));
  return point.map((t) => (t * radius) / size);
}
