// A quick guess of the network, where the exact trainer starts, and of its worst margins, which choose the working set: descent on a smoothed
// objective of a few neurons (factored/objective.ts), sharper in each stage, with new neurons where the dual of the stage
// before is violated. Nothing is certified here; the exact trainer checks every sample's margin at the end.

import { createCertifier, wholePart } from "../certificate.js";
import { candidates } from "../factored/candidates.js";
import { Lbfgs } from "../factored/lbfgs.js";
import { createObjective, type ObjectiveProblem } from "../factored/objective.js";
import { keepCompiled } from "./keepCompiled.js";

/** Widths of the hinge's quadratic piece, and steps at each. */
const stages = [
  { width: 0.5, steps: 50 },
  { width: 0.15, steps: 50 },
  { width: 0.04, steps: 120 },
];
const directionsPerSide = 3;
/** Size of a new neuron, relative to the mean of the others. */
const newcomer = 0.05;

export interface Guess {
  /** Worst margins `[n]`. */
  readonly margins: Float64Array;
  /** v_j `[count, d]` with signs `[count]`, alpha_j = s_j ||v_j||^2. */
  readonly vectors: Float64Array;
  readonly signs: Float64Array;
}

/** The network found and its worst margins; null where nothing but the zero network was. */
export function guessNetwork(problem: ObjectiveProblem, shouldStop: () => boolean): Guess | null {
  const { data, labels, hingeWeights, radius, beta, activation, set = null } = problem;
  const { dimension: d, maxNeurons, buffers, rows } = data;
  const certifier = createCertifier(d, data.kernels);
  const objective = createObjective(problem);
  const lbfgs = new Lbfgs(maxNeurons * d);
  keepCompiled("guess", { certifier, objective, lbfgs }, buffers.workspace.capacity + rows.samples * d);
  const neurons = new Float64Array(maxNeurons * d);
  const signs = new Float64Array(maxNeurons);
  let count = 0;
  let total = 0;
  for (const kappa of hingeWeights) total += kappa;
  let attack = { coordinates: new Float64Array(0), basis: new Float64Array(0) };
  let weights = hingeWeights;
  for (const { width, steps } of stages) {
    const part = wholePart({ weights, attack });
    const certificate = certifier.certify({
      points: rows,
      labels,
      radius,
      parts: [part],
      hingeWeights,
      beta,
      activation,
      set,
    });
    let mass = 0;
    for (let k = 0; k < count * d; k++) mass += neurons[k] * neurons[k];
    const largest = Math.max(certificate.largest, certificate.largestNegative);
    const length = Math.sqrt(mass > 0 ? (newcomer * mass) / count : 0.1 / largest);
    for (const { direction, sign } of candidates(certificate, activation, directionsPerSide, count > 0 ? beta : 0)) {
      if (count === maxNeurons) break;
      for (let l = 0; l < d; l++) neurons[count * d + l] = length * direction[l];
      signs[count++] = sign;
    }
    const smoothing = { width, mu: 0, rho: 1 };
    lbfgs.minimise((x, gradient) => objective.evaluate(x, signs, count, smoothing, gradient), neurons, count * d, {
      maxSteps: steps,
      smallDecrease: 1e-5 * total,
      shouldStop,
    });
    const { rank } = objective.state;
    attack = { coordinates: buffers.moves.slice(0, labels.length * rank), basis: buffers.basis.slice(0, rank * d) };
    weights = objective.state.weights.slice();
  }
  const vectors = neurons.slice(0, count * d);
  if (!vectors.some((value) => value !== 0)) return null;
  return { margins: objective.state.margins, vectors, signs: signs.slice(0, count) };
}
