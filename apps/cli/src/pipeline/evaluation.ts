// The result of a run: one row per head, everything that evaluation.json, the table and --json show.

import type { Accuracy } from "@worstcase/attacks";
import type { Warning } from "@worstcase/core";
import type { Multiclass } from "@worstcase/head";
import type { Environment } from "../run/environment.js";

export interface HeadResult {
  readonly name: string;
  readonly kind: "linear" | "polynomial" | "gated-relu";
  /** Perturbation set of training: radius in scaled feature coordinates (mean feature norm 1), null for the backbone's own head. */
  readonly training: null | {
    readonly set: "isotropic" | "ellipsoid";
    readonly norm: "l2";
    readonly radius: number;
    readonly beta: number;
    /** Fractions of feature displacements at the calibration budget that the radius covers. */
    readonly covers: { readonly fgsm: number; readonly pgd: number };
    /** How the classes of a polynomial head were trained; null for other heads. */
    readonly multiclass: Multiclass | null;
    readonly objective: number;
    readonly lowerBound: number;
    readonly gap: number;
    readonly statuses: readonly string[];
    readonly solved: boolean;
    readonly seconds: number;
    readonly validation: { readonly clean: number; readonly robust: number };
  };
  readonly clean: Accuracy;
  /** l-infinity in pixels, one accuracy per epsilon: upper bounds on robust accuracy (attacked). */
  readonly attacked: Readonly<Record<string, readonly Accuracy[]>>;
  /** Worst per image over all attacks, per epsilon. */
  readonly worst: readonly Accuracy[];
  /** Argmax on l2 balls in isotropic feature coordinates: exact, or a certified lower bound. */
  readonly featureSpace: { readonly kind: "exact" | "certified"; readonly radius: number; readonly accuracy: Accuracy };
  readonly attackSeconds: number;
  readonly warnings: readonly Warning[];
}

export interface Evaluation {
  readonly format: 1;
  readonly data: { readonly id: string; readonly train: number; readonly validation: number; readonly test: number };
  readonly backbone: { readonly id: string; readonly fingerprint: string; readonly features: number };
  readonly backend: string;
  readonly seed: number;
  readonly norm: "linf";
  readonly epsilons: readonly number[];
  readonly calibration: readonly {
    readonly set: "isotropic" | "ellipsoid";
    readonly epsilon: number;
    readonly fgsm: number;
    readonly pgd: number;
  }[];
  readonly heads: readonly HeadResult[];
  readonly warnings: readonly Warning[];
  readonly environment: Environment;
  readonly seconds: number;
}
