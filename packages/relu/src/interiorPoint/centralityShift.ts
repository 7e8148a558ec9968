// Gondzio's correction of the products of slacks and duals ("Multiple centrality correctors in a primal-dual method for linear programming",
// Computational Optimization and Applications 6, 1996): products that a somewhat longer step would leave far from the target are moved towards
// [target / 10, 10 target], and the step is solved for again with the same factors. It lengthens the steps where many rows are nearly parallel.

const NEAR = 0.1;
const FAR = 10;

/** Rows with what belongs to them: the terms of the loss, or the pieces. */
interface Rows {
  readonly slack: Float64Array;
  readonly dual: Float64Array;
  readonly slackStep: Float64Array;
  readonly dualStep: Float64Array;
  /** Changed in place. */
  readonly aim: Float64Array;
  /** The aims before the last correction. */
  readonly aimBefore: Float64Array;
  /** Makes the right-hand sides of the system from the aims. */
  gatherSides(): void;
}

/** For a step of these lengths: aim += shift / slack for every row, shift in [-10 target, target / 10 - product]. */
export function correct(rows: Rows, primal: number, dualLength: number, target: number): void {
  const { slack, dual, slackStep, dualStep, aim } = rows;
  rows.aimBefore.set(aim);
  for (let row = 0; row < slack.length; row++) {
    const product = (slack[row] + primal * slackStep[row]) * (dual[row] + dualLength * dualStep[row]);
    if (product < NEAR * target) aim[row] += (NEAR * target - product) / slack[row];
    else if (product > FAR * target) aim[row] += Math.max(FAR * target - product, -FAR * target) / slack[row];
  }
  rows.gatherSides();
}

/** Takes the last correction back. */
export function undoCorrection(rows: Rows): void {
  rows.aim.set(rows.aimBefore);
  rows.gatherSides();
}
