// Exact worst cases of an argmax over quadratic scores, as an attack over features (math.md 6, 10, 12.1, 12.2). The margin of a sample with
// label y is max over c of f_c - f_y, so its largest value on the budget is the largest of the pairwise ones:
//   l2:    one trust-region problem for each rival, exact
//   linf:  branch and bound on the box for each rival, exact, up to 20 features; above, coordinate descent from the relaxation's mean
// Points are [samples, features].

import { type ExactWorstCase, exactAttack } from "@worstcase/attacks";
import {
  type Bounds,
  type Budget,
  gatherBatch,
  type LabelledBatch,
  type NumericBatch,
  ResourceError,
  SettingError,
  ShapeError,
  throwIfAborted,
  UnsupportedError,
} from "@worstcase/core";
import {
  linfAttack,
  linfLowerBounds,
  linfWorstCase,
  prepareWorstCase,
  type Quadratic,
  subtractQuadratics,
  type WorstCaseOracle,
} from "@worstcase/polynomial";

export interface PolynomialWorstCaseOptions {
  /** How boxes (linf) are searched. `auto`: exactly up to 20 features. Default `auto`. */
  readonly boxes?: "auto" | "branch-and-bound" | "coordinate-descent";
  /** Boxes that branch and bound may take for a sample and a rival. Default 20000. */
  readonly maxNodes?: number;
}

const exactFeatures = 20;

/**
 * Worst cases of the classifier whose logits are `quadratics` (one per class, at least two), in l2 and linf. Its points throw UnsupportedError in
 * l2 for a model with bounds, and ResourceError naming the sample where branch and bound needs more than `maxNodes` boxes.
 * Throws ShapeError or SettingError on misuse.
 */
export function polynomialWorstCase(
  quadratics: readonly Quadratic[],
  options: PolynomialWorstCaseOptions = {},
): ExactWorstCase {
  const { boxes = "auto", maxNodes = 20_000 } = options;
  if (quadratics.length < 2) {
    const hint = "for two classes with one score f pass -f and f";
    throw new ShapeError({
      argument: "quadratics",
      expected: "at least two classes",
      received: quadratics.length,
      hint,
    });
  }
  if (!["auto", "branch-and-bound", "coordinate-descent"].includes(boxes)) {
    const expected = "auto, branch-and-bound or coordinate-descent";
    throw new SettingError({ argument: "options.boxes", expected, received: boxes });
  }
  const features = quadratics[0].dimension;
  const complete = boxes === "auto" ? (features <= exactFeatures ? "branch-and-bound" : "coordinate-descent") : boxes;
  const pairs = new RivalPairs(quadratics);
  return {
    name: "exact polynomial",
    norms: ["l2", "linf"],
    settings: { boxes: complete, maxNodes },
    worstPoints(batch, budget, { bounds, signal }) {
      if (budget.norm === "l2" && bounds !== "unbounded") {
        const hint = 'attack withBounds(model, "unbounded")';
        throw new UnsupportedError({
          argument: "model.bounds",
          expected: "unbounded for exact l2",
          received: "bounds",
          hint,
        });
      }
      return pairs.worstPoints(batch, (difference, points, signs, indices) => {
        throwIfAborted(signal, "exact worst cases");
        if (budget.norm === "l2") return ballMoves(pairs.oracle(difference), points, signs, budget);
        const box = { range: bounds, ...(signal ? { signal } : {}) };
        return complete === "branch-and-bound"
          ? exactBoxMoves(difference, points, signs, indices, budget, { ...box, maxNodes })
          : descentBoxMoves(difference, points, signs, budget, box);
      });
    },
  };
}

/** Attack of the worst cases of {@link polynomialWorstCase}. */
export function polynomialAttack(quadratics: readonly Quadratic[], options: PolynomialWorstCaseOptions = {}) {
  return exactAttack(polynomialWorstCase(quadratics, options));
}

interface Moves {
  /** f_y - f_c after the move, `[samples]`. */
  readonly values: Float64Array;
  /** `[samples, features]` */
  readonly perturbations: Float64Array;
}

type Search = (
  difference: Quadratic,
  points: NumericBatch,
  /** +1 where the label is the first class of the pair, -1 where it is the second. */
  signs: Float64Array,
  indices: readonly number[],
) => Moves;

/** The differences of two scores, f_first - f_second with first < second, each decomposed when first asked for. */
class RivalPairs {
  private readonly pairs: { readonly first: number; readonly second: number; readonly difference: Quadratic }[] = [];
  private readonly oracles = new Map<Quadratic, WorstCaseOracle>();
  private readonly features: number;

  constructor(quadratics: readonly Quadratic[]) {
    this.features = quadratics[0].dimension;
    for (let second = 1; second < quadratics.length; second++) {
      for (let first = 0; first < second; first++) {
        const difference = subtractQuadratics(quadratics[first], quadratics[second]);
        this.pairs.push({ first, second, difference });
      }
    }
  }

  oracle(difference: Quadratic): WorstCaseOracle {
    let oracle = this.oracles.get(difference);
    if (!oracle) {
      oracle = prepareWorstCase(difference);
      this.oracles.set(difference, oracle);
    }
    return oracle;
  }

  /** For every sample the move of the rival with the least f_y - f_c. */
  worstPoints({ inputs, labels, indices }: LabelledBatch, search: Search): NumericBatch {
    const { features } = this;
    const data = Float64Array.from(inputs.data);
    const least = new Float64Array(labels.length).fill(Number.POSITIVE_INFINITY);
    for (const { first, second, difference } of this.pairs) {
      const rows = Array.from(labels.keys()).filter((i) => labels[i] === first || labels[i] === second);
      if (rows.length === 0) continue;
      const points = { data: Float64Array.from(gatherBatch(inputs, rows).data), shape: [rows.length, features] };
      const signs = Float64Array.from(rows, (i) => (labels[i] === first ? 1 : -1));
      const names = rows.map((i) => indices[i]);
      const { values, perturbations } = search(difference, points, signs, names);
      rows.forEach((i, j) => {
        if (!(values[j] < least[i])) return;
        least[i] = values[j];
        for (let k = 0; k < features; k++) {
          data[i * features + k] = points.data[j * features + k] + perturbations[j * features + k];
        }
      });
    }
    return { data, shape: inputs.shape };
  }
}

function ballMoves(oracle: WorstCaseOracle, points: NumericBatch, signs: Float64Array, { epsilon }: Budget): Moves {
  const { values, perturbations } = oracle.solve(points, signs, epsilon);
  return { values, perturbations: perturbations as Float64Array };
}

interface Box {
  readonly range: Bounds;
  readonly signal?: AbortSignal;
}

function exactBoxMoves(
  difference: Quadratic,
  points: NumericBatch,
  signs: Float64Array,
  indices: readonly number[],
  { epsilon }: Budget,
  options: Box & { readonly maxNodes: number },
): Moves {
  const { values, perturbations, statuses } = linfWorstCase(difference, points, signs, epsilon, options);
  const open = statuses.indexOf("node-limit");
  if (open < 0) return { values, perturbations };
  throw new ResourceError({
    argument: `sample ${indices[open]}`,
    expected: `a worst case within ${options.maxNodes} boxes`,
    received: "more",
    hint: 'raise maxNodes, or search with boxes: "coordinate-descent"',
  });
}

function descentBoxMoves(
  difference: Quadratic,
  points: NumericBatch,
  signs: Float64Array,
  { epsilon }: Budget,
  options: Box,
): Moves {
  const { means } = linfLowerBounds(difference, points, signs, epsilon, options);
  return linfAttack(difference, points, signs, epsilon, { ...options, starts: means });
}
