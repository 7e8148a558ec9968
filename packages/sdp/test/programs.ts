// The programs of math.md 3, 4.2, 9 and 12.1 in the modelling layer, as their tests write them.
//   sigma(t) = a t^2 + b t + c;   Sc(Z) = [[a Z1, (b/2) z2], [(b/2) z2', c z4]];   f(x) = x~' Sc(Z - Z') x~,  x~ = (x; 1)

import { blocks, constant, diagonal, type Expression, Model } from "../src/index.js";

export interface Activation {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export interface Samples {
  /** `[samples][features]` */
  readonly inputs: readonly (readonly number[])[];
  /** -1 or 1, `[samples]` */
  readonly labels: readonly number[];
}

/** Sc as entrywise weights, `[order][order]` with order = features + 1. */
function weights({ a, b, c }: Activation, order: number): number[][] {
  const last = order - 1;
  return Array.from({ length: order }, (_, i) =>
    Array.from({ length: order }, (_u, j) => (i < last && j < last ? a : i === last && j === last ? c : b / 2)),
  );
}

/** Entrywise product of an expression with constant weights. */
function weighted(matrix: Expression, factors: readonly (readonly number[])[]): Expression {
  return blocks(factors.map((row, i) => row.map((factor, j) => matrix.at(i, j).times(factor))));
}

const outer = (v: readonly number[]) => v.map((p) => v.map((q) => p * q));

/** Z, Z' psd with trace(Z1) = z4, the shaped network Sc(Z - Z') and the penalty z4 + z4'. */
function network(model: Model, order: number, activation: Activation) {
  const [positive, negative] = [model.psdMatrix("Z", order), model.psdMatrix("Z'", order)];
  const last = order - 1;
  for (const [name, matrix] of [
    ["unit Z", positive],
    ["unit Z'", negative],
  ] as const) {
    model.requireEqual(name, matrix.part(0, last, 0, last).trace(), matrix.at(last, last));
  }
  return {
    shaped: weighted(positive.minus(negative), weights(activation, order)),
    penalty: positive.at(last, last).plus(negative.at(last, last)),
  };
}

/** math.md 3 with the mean hinge: min (1/n) sum max(0, 1 - y f(x)) + beta (z4 + z4'). */
export function standardProgram({ inputs, labels }: Samples, activation: Activation, beta: number): Model {
  const model = new Model();
  const n = labels.length;
  const { shaped, penalty } = network(model, inputs[0].length + 1, activation);
  const hinge = model.vector("hinge", n, "nonnegative");
  const margins = inputs.map((x, i) => [shaped.inner(outer([...x, 1])).times(labels[i])]);
  model.requireAtLeast("margins", hinge, constant(labels.map(() => 1)).minus(blocks(margins)));
  model.minimise(
    hinge
      .sum()
      .times(1 / n)
      .plus(penalty.times(beta)),
  );
  return model;
}

/**
 * math.md 4.2 in the form 4.3 with the mean hinge: y Shat + lambda B - w e e' psd for every sample. The worst margin w only
 * has upper bounds, so max(0, 1 - w) is 1 - w with w <= 1.
 */
export function robustProgram(
  { inputs, labels }: Samples,
  activation: Activation,
  beta: number,
  radius: number,
): Model {
  const model = new Model();
  const n = labels.length;
  const order = inputs[0].length + 1;
  const { shaped, penalty } = network(model, order, activation);
  const lambda = model.vector("lambda", n, "nonnegative");
  const worst = model.vector("w", n);
  model.requireAtMost("w <= 1", worst, constant(labels.map(() => 1)));
  const corner = outer([...inputs[0].map(() => 0), 1]);
  inputs.forEach((x, i) => {
    const margin = shaped.times(labels[i]).minus(worst.at(i).times(corner));
    model.requirePsd(`sample ${i}`, margin.plus(lambda.at(i).times(ball(x, radius))));
  });
  model.minimise(
    worst
      .sum()
      .times(-1 / n)
      .plus(1)
      .plus(penalty.times(beta)),
  );
  return model;
}

/** B = [[I, -x], [-x', ||x||^2 - r^2]]. */
function ball(x: readonly number[], radius: number): number[][] {
  const square = x.reduce((sum, value) => sum + value * value, -radius * radius);
  return [
    ...x.map((value, i) => [...x.map((_, j) => (i === j ? 1 : 0)), -value]),
    [...x.map((value) => -value), square],
  ];
}

/** math.md 12.1 inside 4.2: certified training against the box |D_k| <= epsilon, one multiplier per coordinate. */
export function boxProgram({ inputs, labels }: Samples, activation: Activation, beta: number, epsilon: number): Model {
  const model = new Model();
  const n = labels.length;
  const features = inputs[0].length;
  const { shaped, penalty } = network(model, features + 1, activation);
  const lambda = model.vector("lambda", n * features, "nonnegative");
  const worst = model.vector("w", n);
  model.requireAtMost("w <= 1", worst, constant(labels.map(() => 1)));
  inputs.forEach((x, i) => {
    const own = lambda.part(i * features, (i + 1) * features);
    const side = diagonal(own).multiply(x).times(-1);
    // sum_k lambda_k (x_k^2 - epsilon^2) - w
    const corner = own.inner(x.map((value) => value * value - epsilon * epsilon)).minus(worst.at(i));
    const box = blocks([
      [diagonal(own), side],
      [side.transpose(), corner],
    ]);
    model.requirePsd(`sample ${i}`, shaped.times(labels[i]).plus(box));
  });
  model.minimise(
    worst
      .sum()
      .times(-1 / n)
      .plus(1)
      .plus(penalty.times(beta)),
  );
  return model;
}

/** math.md 9, the dual: max s, gamma >= 0, gamma y Shat - [[-I, x], [x', s - ||x||^2]] psd; the optimum is the distance squared. */
export function distanceProgram(shaped: readonly (readonly number[])[], x: readonly number[], label: number): Model {
  const model = new Model();
  const gamma = model.scalar("gamma", "nonnegative");
  const s = model.scalar("s");
  const square = x.reduce((sum, value) => sum + value * value, 0);
  const fixed = [...x.map((value, i) => [...x.map((_, j) => (i === j ? -1 : 0)), value]), [...x, -square]];
  const corner = outer([...x.map(() => 0), 1]);
  model.requirePsd(
    "S-lemma",
    gamma
      .times(shaped.map((row) => row.map((v) => label * v)))
      .minus(fixed)
      .minus(s.times(corner)),
  );
  model.maximise(s);
  return model;
}

/** math.md 9, the primal: min trace(X) - 2 x'g + ||x||^2, [[X, g], [g', 1]] psd, y <Shat, [[X, g], [g', 1]]> <= 0. */
export function nearestFlipProgram(shaped: readonly (readonly number[])[], x: readonly number[], label: number): Model {
  const model = new Model();
  const features = x.length;
  const lifted = model.psdMatrix("lifted", features + 1);
  const square = x.reduce((sum, value) => sum + value * value, 0);
  model.requireEqual("corner", lifted.at(features, features), 1);
  model.requireAtMost("flipped", lifted.inner(shaped).times(label));
  const moments = lifted.part(0, features, 0, features).trace();
  model.minimise(
    moments
      .minus(
        lifted
          .part(0, features, features, features + 1)
          .inner(x)
          .times(2),
      )
      .plus(square),
  );
  return model;
}
