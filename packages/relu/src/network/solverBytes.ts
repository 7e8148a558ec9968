// Memory of the solvers of the ReLU program, foretold from n, D, P and outputs and compared with what there is before their arrays are taken.
// What a solver takes from its workspace it counts itself (`sizes`); here are the arrays beside it, in numbers of 8 bytes.

import { type Kernels, workspaceSize } from "@worstcase/linalg";
import { AdmmState } from "../admm/admmState.js";
import { ConeProblem } from "../augmentedLagrangian/coneProblem.js";
import { interiorPointSize } from "../interiorPoint/solveInteriorPoint.js";
import { checkBytes, machineBytes } from "../memoryLimit.js";
import type { ReluProgram } from "../program/program.js";
import { AcceleratedProximal } from "../proximal/acceleratedProximal.js";
import type { ReluMethod } from "./fitRelu.js";
import { openConesSize } from "./openCones.js";

/** Pairs of the dual bundle of proximal steps, its average and its trial. */
const BUNDLE_VECTORS = 14;
/** A row as text, by which equal rows are found: characters per number, at most. */
const CHARACTERS = 21;

export function termCount({ samples, outputs, task, loss }: ReluProgram): number {
  return samples * (task === "multi-class" && loss !== "squared" ? outputs - 1 : outputs);
}

/** Predicted bytes of one solve over `gateCount` gates (default all of the program). Allocates nothing. */
export function solverBytes(
  program: ReluProgram,
  method: ReluMethod,
  kernels: Kernels,
  gateCount = program.gateCount,
): number {
  const part = { ...program, gateCount };
  if (method === "interior-point") return interiorPointBytes(part, kernels);
  return method === "admm" ? admmBytes(part, kernels) : augmentedLagrangianBytes(part, kernels);
}

/** Bits `[n, P]` of the gates picked, the text of the rows, and the search for open cones. */
function commonBytes(program: ReluProgram, kernels: Kernels): number {
  const { samples, gateCount, width } = program;
  return samples * (gateCount + CHARACTERS * width) + kernels.bytes(openConesSize(program));
}

function admmBytes(program: ReluProgram, kernels: Kernels): number {
  const { samples, gateCount, outputs, width, featureCount, radius } = program;
  const half = gateCount * outputs * width;
  const [groups, d, terms] = [2 * gateCount * outputs, radius > 0 ? featureCount : 0, termCount(program)];
  const splits = 6 * half + 3 * groups * d + 2 * samples * groups + 3 * terms * (1 + d);
  const scratch = terms * (width + 3 + d);
  const bound = terms * (2 + d) + 2 * half + samples * groups;
  const numbers = splits + scratch + bound + 4 * half + 2 * terms + 8 * width * width;
  return 8 * numbers + kernels.bytes(workspaceSize(...AdmmState.sizes(program), half)) + commonBytes(program, kernels);
}

function augmentedLagrangianBytes(program: ReluProgram, kernels: Kernels): number {
  const { samples, gateCount, outputs, width, featureCount } = program;
  const length = 2 * gateCount * outputs * width;
  const groups = 2 * gateCount * outputs;
  const numbers =
    samples * groups + groups * featureCount + (BUNDLE_VECTORS + 8) * length + 2 * samples * outputs * width;
  const sizes = [...ConeProblem.sizes(program), ...AcceleratedProximal.sizes(length)];
  return 8 * numbers + kernels.bytes(workspaceSize(...sizes)) + commonBytes(program, kernels);
}

function interiorPointBytes(program: ReluProgram, kernels: Kernels): number {
  const { samples, gateCount, outputs, width, featureCount, radius, regulariser, dualExponent } = program;
  const groups = 2 * gateCount * outputs;
  const terms = termCount(program);
  const sums = regulariser === "l1" ? 1 : 2;
  const ball = radius > 0 ? normConeNumbers(featureCount, dualExponent) : 0;
  const ofTerms = terms * (42 + 2 * width + 4 * (radius > 0 ? featureCount : 0) + ball);
  const ofPieces = 6 * samples * groups + groups * (8 + 4 * width + normConeNumbers(width, sums) + ball);
  const size = interiorPointSize(program, samples);
  return 8 * (ofTerms + ofPieces) + kernels.bytes(size) + commonBytes(program, kernels);
}

/** Numbers of one cone tau >= ||a||_p, a in R^length (normCones.ts and its implementations). */
function normConeNumbers(length: number, p: number): number {
  if (p === 2) return 5 * (length + 1) + 3 * length + (length + 1) + 8;
  if (p === 1) return 5 * (2 * length + 1) + 7 * length + 8;
  return p === Number.POSITIVE_INFINITY ? 5 * 2 * length + 3 * length + 8 : 3 * length + 16;
}

/** Throws ResourceError when one solve over `gateCount` gates cannot fit into `limit` bytes (default: the machine's). */
export function checkSolverMemory(
  program: ReluProgram,
  method: ReluMethod,
  kernels: Kernels,
  gateCount = program.gateCount,
  limit = machineBytes(),
): void {
  const { samples, featureCount, outputs } = program;
  checkBytes(solverBytes(program, method, kernels, gateCount), limit, {
    argument: "features",
    what: `a fit by the ${method} method`,
    received: `${samples} samples, ${featureCount} features, ${gateCount} gates, ${outputs} outputs`,
    hint: "use fewer gates or samples, or fitGatedLarge, whose gates have no cones",
  });
}

/** The most of `wanted` gates whose solve fits into `limit` bytes. */
export function gatesThatFit(
  program: ReluProgram,
  method: ReluMethod,
  kernels: Kernels,
  wanted: number,
  limit = machineBytes(),
): number {
  const fits = (count: number) => solverBytes(program, method, kernels, count) <= limit;
  if (fits(wanted)) return wanted;
  let [low, high] = [0, wanted];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
