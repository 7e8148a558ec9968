// Which trainer of l-infinity certificates a problem gets, by the operations of one Newton step of the barrier:
//   up to 1e9   the barrier: it ends at the gap asked for, in tens of seconds at most
//   up to 1e10  the descent, which is far faster where one attack a sample suffices; where it does not (the gap stays wide after
//               a few rounds), the barrier, in minutes
//   beyond      the descent alone

import { wholeSphere } from "../multiclass/directionSets.js";
import { type JointHooks, type JointOutcome, type JointSettings, trainJoint } from "../multiclass/trainJoint.js";
import { createLinfAdversary } from "./linfAdversary.js";
import { type BoxProgram, barrierOperations, trainBoxBarrier } from "./trainBoxBarrier.js";

const barrierAlone = 1e9;
const barrierAfterwards = 1e10;
/** The descent goes on after these rounds only where its gap is below this. */
const [fairRounds, fairGap] = [3, 0.1];

export function trainBoxes(
  program: BoxProgram,
  maxNeurons: number,
  settings: JointSettings,
  hooks: JointHooks,
): JointOutcome {
  const { points, labels, kappa, beta, activation, boxes, kernels } = program;
  const [samples, d] = points.shape as [number, number];
  const started = performance.now();
  // The barrier's networks may have this many neurons.
  const operations = maxNeurons >= 2 * d + 2 ? barrierOperations(samples, d) : Number.POSITIVE_INFINITY;
  if (operations <= barrierAlone) return trainBoxBarrier(program, settings, hooks);
  const adversary = createLinfAdversary(points, labels, boxes, activation, kernels);
  const directions = wholeSphere(d, kernels);
  const joint = { adversary, directions, loss: "sum", kappa, beta, maxNeuronsPerBlock: maxNeurons, kernels } as const;
  if (operations > barrierAfterwards) return trainJoint(joint, settings, hooks);

  const givesUp = ({ round, gap }: { round: number; gap: number }) => round >= fairRounds && gap > fairGap;
  const descent = trainJoint(joint, settings, { ...hooks, givesUp });
  const { rounds, evaluations } = descent;
  const left = {
    ...settings,
    maxRounds: settings.maxRounds - rounds,
    maxEvaluations: settings.maxEvaluations - evaluations,
    timeLimitSeconds: settings.timeLimitSeconds - (performance.now() - started) / 1000,
  };
  const spent = Math.min(left.maxRounds, left.maxEvaluations, left.timeLimitSeconds) <= 0;
  if (descent.status !== "stalled" || spent) return descent;
  const seconds = settings.timeLimitSeconds - left.timeLimitSeconds;
  const onRound: JointHooks["onRound"] = (report) =>
    hooks.onRound({
      ...report,
      round: rounds + report.round,
      evaluations: evaluations + report.evaluations,
      seconds: seconds + report.seconds,
    });
  const barrier = trainBoxBarrier(program, left, { ...hooks, onRound });
  const best = barrier.upper <= descent.upper ? barrier : descent;
  return {
    ...best,
    status: barrier.status,
    lower: Math.max(barrier.lower, descent.lower),
    rounds: rounds + barrier.rounds,
    evaluations: evaluations + barrier.evaluations,
  };
}
