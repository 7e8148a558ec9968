// A trained classifier as one object: standardisation, one quadratic score per class, prediction, exact robustness, and files that
// give back the same bits. Points are raw features; radii, and the ellipsoid if there is one, are in the model's own units (standardised
// when it standardises). A model keeps what its adversary may do, and judges by it.

import { checkLabels, FormatError, fingerprint, type NumericBatch, type Radius, ShapeError } from "@worstcase/core";
import { type HeadJson, headFromJson, headToJson } from "../headJson.js";
import { checkPoints } from "../inputs.js";
import { type MoveOptions, moveSetOf, movesOf } from "../moveSet.js";
import { fitPairwise, type PairwiseFit, type PairwiseFitOptions } from "../multiclass/fitPairwise.js";
import { preparePairwise } from "../pairwise.js";
import { checkQuadratic, evaluateQuadratic, linearQuadratic, type Quadratic } from "../quadratic.js";
import { fitStandardisation, type Standardisation, standardise } from "./standardisation.js";

export interface ModelParts {
  /** One score per class on standardised features; a single one is that of class 1 against 0. */
  readonly quadratics: readonly Quadratic[];
  readonly standardisation?: Standardisation | null;
  /** What the adversary may do within a radius, for scores and radii of this model: immutable features, an ellipsoid. */
  readonly moves?: MoveOptions;
  /** JSON data kept beside the numbers, for example radius, beta and certificate. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ModelFitOptions extends PairwiseFitOptions {
  /** `train` (default) standardises by the training points; `none` takes them as they are. */
  readonly standardise?: "train" | "none";
}

export interface ModelJson {
  readonly format: "worstcase-polynomial-model";
  readonly version: 1;
  readonly standardisation: { readonly means: readonly number[]; readonly scales: readonly number[] } | null;
  readonly head: HeadJson;
  /** Absent for the ball of all features. */
  readonly moves?: { readonly immutable?: readonly number[]; readonly ellipsoid?: readonly number[] };
  readonly fingerprint: string;
}

export class PolynomialModel {
  readonly quadratics: readonly Quadratic[];
  readonly standardisation: Standardisation | null;
  readonly details: Readonly<Record<string, unknown>>;
  /** Empty for the ball of all features. */
  readonly moves: MoveOptions;
  readonly features: number;
  readonly classCount: number;

  /** Wraps scores trained in any way. Throws ShapeError or DataError on malformed parts. */
  constructor(parts: ModelParts) {
    const { standardisation = null, details = {} } = parts;
    if (!Array.isArray(parts.quadratics) || parts.quadratics.length === 0) {
      throw new ShapeError({ argument: "quadratics", expected: "at least one score", received: parts.quadratics });
    }
    parts.quadratics.forEach((quadratic, c) => {
      checkQuadratic(quadratic, `quadratics[${c}]`);
    });
    const d = parts.quadratics[0].dimension;
    if (parts.quadratics.some(({ dimension }) => dimension !== d)) {
      throw new ShapeError({ argument: "quadratics", expected: `${d} features in every score`, received: "others" });
    }
    if (standardisation && (standardisation.means.length !== d || standardisation.scales.length !== d)) {
      const received = standardisation.means.length;
      throw new ShapeError({ argument: "standardisation", expected: `${d} means and scales`, received });
    }
    const single = parts.quadratics.length === 1;
    this.quadratics = single ? [linearQuadratic(new Float64Array(d), 0), parts.quadratics[0]] : [...parts.quadratics];
    this.standardisation = standardisation;
    this.details = details;
    this.moves = checkedMoves(parts.moves ?? {}, d);
    this.features = d;
    this.classCount = this.quadratics.length;
  }

  /**
   * Trains all classes jointly (`fitPairwise`) on points `[samples, features]` with class indices `[samples]`; the number of
   * classes is the largest label + 1 unless given. `fit` of the result carries the certificate. Throws as `fitPairwise`.
   */
  static fit(
    points: NumericBatch,
    labels: Int32Array,
    options: ModelFitOptions & { readonly classCount?: number },
  ): PolynomialModel & { readonly fit: PairwiseFit } {
    const { standardise: mode = "train", classCount, ...rest } = options;
    const [samples] = checkPoints(points, "points");
    const classes = classCount ?? labels.reduce((largest, label) => Math.max(largest, label + 1), 2);
    checkLabels(labels, samples, classes);
    const standardisation = mode === "train" ? fitStandardisation(points) : null;
    const fit = fitPairwise(standardise(points, standardisation), labels, classes, rest);
    const { status, objective, lowerBound, gap, radius, beta, loss } = fit;
    const details = { status, objective: objective.total, lowerBound, gap, radius, beta, loss, bias: rest.bias ?? 0 };
    const moves = movesOf(rest);
    return Object.assign(new PolynomialModel({ quadratics: fit.quadratics, standardisation, moves, details }), { fit });
  }

  /** Score of every class, `[samples, classes]`. */
  decision(points: NumericBatch): Float64Array {
    const [samples, d] = checkPoints(points, "points", this.features);
    const { data } = standardise(points, this.standardisation);
    const scores = new Float64Array(samples * this.classCount);
    for (let i = 0; i < samples; i++) {
      const x = data.subarray(i * d, (i + 1) * d);
      this.quadratics.forEach((quadratic, c) => {
        scores[i * this.classCount + c] = evaluateQuadratic(quadratic, x);
      });
    }
    return scores;
  }

  /** Class with the largest score, the first of equals, `[samples]`. */
  predict(points: NumericBatch): Int32Array {
    const scores = this.decision(points);
    const C = this.classCount;
    return Int32Array.from({ length: scores.length / C }, (_, i) => {
      let best = 0;
      for (let c = 1; c < C; c++) if (scores[i * C + c] > scores[i * C + best]) best = c;
      return best;
    });
  }

  /** Share of points predicted as labelled; with a radius, share whose prediction holds against every admissible move (exact). */
  score(points: NumericBatch, labels: Int32Array, radius: number | Radius = 0): number {
    const [samples] = checkPoints(points, "points", this.features);
    checkLabels(labels, samples, this.classCount);
    if (radius === 0) return this.predict(points).filter((c, i) => c === labels[i]).length / samples;
    const { worst } = preparePairwise(this.quadratics, this.moves).margins(
      standardise(points, this.standardisation),
      labels,
      radius,
    );
    return worst.filter((margin) => margin > 0).length / samples;
  }

  /** Largest l2 radius at which each prediction provably stays the label, in the model's units; 0 where it is wrong. `[samples]` */
  robustRadii(points: NumericBatch, labels: Int32Array): Float64Array {
    const [samples] = checkPoints(points, "points", this.features);
    checkLabels(labels, samples, this.classCount);
    return preparePairwise(this.quadratics, this.moves).robustRadii(standardise(points, this.standardisation), labels);
  }

  /** Plain data, exact: `JSON.stringify(model)` writes it. */
  toJSON(): ModelJson {
    const { standardisation } = this;
    const plain = standardisation && {
      means: Array.from(standardisation.means),
      scales: Array.from(standardisation.scales),
    };
    const head = headToJson({ quadratics: this.quadratics, details: { ...this.details } });
    const { immutable, ellipsoid } = this.moves;
    const kept = {
      ...(immutable && { immutable: Array.from(immutable) }),
      ...(ellipsoid && { ellipsoid: [...ellipsoid] }),
    };
    const content = { standardisation: plain, head, ...(immutable || ellipsoid ? { moves: kept } : {}) };
    return { format: "worstcase-polynomial-model", version: 1, ...content, fingerprint: contentHash(content) };
  }

  /** Reads what `toJSON` gave, parsed or as text. Throws FormatError on anything else. */
  static fromJSON(source: ModelJson | string): PolynomialModel {
    let json: ModelJson;
    try {
      json = typeof source === "string" ? JSON.parse(source) : source;
    } catch (cause) {
      throw new FormatError({ argument: "source", expected: "JSON text", received: source }, { cause });
    }
    if (json?.format !== "worstcase-polynomial-model" || json.version !== 1) {
      const expected = "worstcase-polynomial-model, version 1";
      throw new FormatError({ argument: "source.format", expected, received: json?.format });
    }
    const { standardisation, head, moves } = json;
    if (contentHash(moves ? { standardisation, head, moves } : { standardisation, head }) !== json.fingerprint) {
      const expected = "the hash of the content";
      const hint = "the file was edited or damaged";
      throw new FormatError({ argument: "source.fingerprint", expected, received: json.fingerprint, hint });
    }
    const { quadratics, details } = headFromJson(head);
    return new PolynomialModel({
      quadratics,
      details,
      ...(moves && { moves: movesFromJson(moves) }),
      standardisation: standardisation && {
        means: Float64Array.from(standardisation.means),
        scales: Float64Array.from(standardisation.scales),
      },
    });
  }
}

/** Plain copies; throws as `moveSetOf` on what is no move set. */
function checkedMoves(moves: MoveOptions, dimension: number): MoveOptions {
  const set = moveSetOf(moves, dimension, "moves");
  if (!set) return {};
  const { ellipsoid } = moves;
  return {
    ...(set.fixed.length > 0 && { immutable: Array.from(set.fixed) }),
    ...(ellipsoid && { ellipsoid: Float64Array.from(ellipsoid) }),
  };
}

/** Moves as written by `toJSON`. */
function movesFromJson({ immutable, ellipsoid }: NonNullable<ModelJson["moves"]>): MoveOptions {
  return { ...(immutable && { immutable }), ...(ellipsoid && { ellipsoid: Float64Array.from(ellipsoid) }) };
}

function contentHash({ standardisation, head, moves }: Pick<ModelJson, "standardisation" | "head" | "moves">): string {
  const more = moves ? [JSON.stringify(moves)] : [];
  return fingerprint(JSON.stringify(standardisation), JSON.stringify(head), ...more);
}
