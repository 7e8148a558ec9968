// Robustness radius of every sample between a certified lower bound and an attack (math.md 13.5): bisection on the radius.
// A positive lower bound of the margin at one radius certifies every smaller one, since the balls are nested.
// features: [n, d]   labels: [n]   lower, upper: [n]   points: [n, d]

import { type NumericBatch, SettingError, sampleCount } from "@worstcase/core";
import { lengthOf, normExponent } from "../ballSupport.js";
import { checkOptions } from "../checks.js";
import type { GatedReluModel } from "../gatedModel.js";
import { gatedModelOfNetwork, type ReluNetwork } from "../network/reluNetwork.js";
import { Pauses } from "../pauses.js";
import { withConstant } from "../program/program.js";
import { branchAndBound, localAttack } from "./branching.js";
import { ClosedForm } from "./certifiedMargins.js";
import { LocalPieces, marginScale, type Reading } from "./localPieces.js";
import { checkCertificate, margins, type WorstMarginOptions } from "./worstMargins.js";

export interface CertifiedRadiiOptions extends Omit<WorstMarginOptions, "radius" | "tolerance"> {
  /** Largest radius looked at, in FEATURE space. */
  readonly maximumRadius: number;
  /** `closed-form`: fixed-pattern bound of `certifiedMargins`. `branching` (default): exact up to the node limit. */
  readonly method?: "closed-form" | "branching";
  /** Accuracy of the bisection, relative to the radius (default 1e-3). */
  readonly accuracy?: number;
}

export interface CertifiedRadii {
  readonly reading: Reading;
  /** The class cannot change within this radius, `[n]`; 0 for samples that are wrong as they are. */
  readonly lower: Float64Array;
  /** Distance of `points`, where the class is no longer the label, `[n]`; Infinity where no such point was found. */
  readonly upper: Float64Array;
  /** Perturbed samples `[n, d]`; the sample itself where none was found. */
  readonly points: NumericBatch;
}

/**
 * For every sample bounds of the distance at which its class first changes. With `branching` they differ by the accuracy unless the
 * node limit was met or the radius reaches `maximumRadius`. Throws ShapeError, DataError or SettingError, and AbortedError.
 */
export async function certifiedRadii(
  subject: GatedReluModel | ReluNetwork,
  features: NumericBatch,
  labels: Int32Array,
  options: CertifiedRadiiOptions,
): Promise<CertifiedRadii> {
  checkOptions(options);
  const { maximumRadius, method = "branching", accuracy = 1e-3 } = options;
  const checked = checkCertificate(subject, features, labels, { ...options, radius: 0, tolerance: 0.5 });
  const { norm, maximumNodes } = checked;
  if (!(maximumRadius > 0) || !Number.isFinite(maximumRadius)) {
    throw new SettingError({
      argument: "options.maximumRadius",
      expected: "a finite number > 0",
      received: maximumRadius,
    });
  }
  if (!(accuracy > 0 && accuracy < 1)) {
    throw new SettingError({ argument: "options.accuracy", expected: "a number in (0, 1)", received: accuracy });
  }
  if (method !== "closed-form" && method !== "branching") {
    throw new SettingError({ argument: "options.method", expected: "closed-form or branching", received: method });
  }
  const samples = sampleCount(features);
  const clean = margins(subject, features, labels);
  const lower = new Float64Array(samples);
  const upper = new Float64Array(samples).fill(Number.POSITIVE_INFINITY);
  const moved = Float64Array.from(features.data);
  const empty = subject.kind === "relu-network" && subject.neurons === 0;
  const judge = empty ? null : new Judge(subject, features, { ...options, norm, method, maximumNodes });
  const pause = new Pauses("certifiedRadii", samples, options);
  for (let i = 0; i < samples; i++) {
    await pause.at(i);
    if (!judge || !(clean[i] > 0)) {
      upper[i] = 0;
      continue;
    }
    let low = 0;
    let high = maximumRadius; // not certified there, unless it is
    for (let radius = maximumRadius; ; radius = (low + high) / 2) {
      const { certified, point } = judge.at(i, labels[i], radius);
      if (point) {
        const distance = lengthOf(point, 0, point.length, normExponent(norm));
        if (distance < upper[i]) {
          upper[i] = distance;
          for (let k = 0; k < point.length; k++)
            moved[i * point.length + k] = features.data[i * point.length + k] + point[k];
        }
      }
      if (certified) low = radius;
      else high = point ? Math.min(radius, upper[i]) : radius;
      if (low >= maximumRadius || high - low <= accuracy * high || high < 1e-12 * maximumRadius) break;
    }
    lower[i] = Math.min(low, upper[i]);
  }
  const points = { data: moved, shape: [...features.shape] };
  return { reading: subject.kind === "gated-relu" ? "gated-as-trained" : "true-relu", lower, upper, points };
}

class Judge {
  private readonly local: LocalPieces;
  private readonly closedForm: ClosedForm | null;
  private readonly inputs: Float64Array;

  constructor(
    subject: GatedReluModel | ReluNetwork,
    features: NumericBatch,
    private readonly options: CertifiedRadiiOptions & { readonly maximumNodes: number },
  ) {
    const { norm, method } = options;
    this.local = new LocalPieces(subject, features, norm);
    const model = subject.kind === "gated-relu" ? subject : gatedModelOfNetwork(subject);
    this.closedForm = method === "closed-form" ? new ClosedForm(model, norm) : null;
    this.inputs = withConstant(features, true);
  }

  /** Whether the class is certified at this radius, and else, if one was found, a perturbation that changes it. */
  at(i: number, label: number, radius: number): { certified: boolean; point?: Float64Array } {
    const { norm, maximumNodes } = this.options;
    const length = this.local.model.featureCount;
    if (this.closedForm && this.closedForm.margin(this.inputs, i * (length + 1), label, radius) > 0) {
      return { certified: true };
    }
    const pairs = this.local.around(i, label, radius);
    if (this.closedForm) {
      const { upper, point } = localAttack(pairs, length, norm, radius);
      return upper <= 0 ? { certified: false, point } : { certified: false };
    }
    const limits = { tolerance: 1e-9 * marginScale(pairs, norm, radius), maximumNodes, signOnly: true };
    const { lower, upper, point } = branchAndBound(pairs, length, norm, radius, limits);
    if (lower > 0) return { certified: true };
    return upper <= 0 ? { certified: false, point } : { certified: false };
  }
}
