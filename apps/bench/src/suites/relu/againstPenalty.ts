// The certified trainers against the paper's penalty trainer with ten times their processor time, on one half of a UCI table; the other half
// is only looked at for the numbers shown; and what local descent on the true objective (refineNetwork) adds to the network of the cones. For
// every network:
//   program objective   that of the convex program, as if no gate flipped (for the raw penalty network also: although its cones are violated)
//   true objective      mean hinge loss at the worst margins over the ball with gates that move, plus the same regulariser; exact where
//                       branching closes, otherwise between the two numbers shown
//   accuracies          on the test half: clean, under PGD-100 with five restarts, and worst case (certified to attacked)

import { evaluateAttack, pgd } from "@worstcase/attacks";
import { createRng, type DifferentiableClassifier, type NumericBatch } from "@worstcase/core";
import {
  createGatedClassifier,
  createReluNetworkClassifier,
  fitGatedRelu,
  fitRelu,
  fitReluByPenalty,
  type GatedReluModel,
  type Objective,
  type ReluNetwork,
  refineNetwork,
  sampleGates,
  worstMargins,
} from "@worstcase/relu";
import { type SuiteContext, unit } from "../../harness/suite.js";
import { row, timed } from "./measure.js";
import { type UciName, uciTable } from "./uciTables.js";

const TIMES_LONGER = 10;
const GATES = 100;
const BETA = 1e-3;
/** Convex problems per sample that the exact worst case may take, unless said otherwise. */
const NODES = 60;

interface Part {
  readonly features: NumericBatch;
  readonly labels: Int32Array;
}

type Notes = Record<string, number | string>;

export async function againstPenalty(
  context: SuiteContext,
  name: UciName,
  radius: number,
  nodes = NODES,
): Promise<void> {
  const table = uciTable(name);
  if (!table) {
    context.skip(`${name} against the penalty trainer`, "no uci folder; set WORSTCASE_DATA");
    return;
  }
  const [train, test] = halves(table);
  const gates = sampleGates(train.features, { count: context.quick ? 30 : GATES, rng: createRng(7) });
  const options = { norm: "l2", radius, beta: BETA, gates } as const;
  const { features, labels } = train;
  const cones = await timed(() => fitRelu(features, labels, 2, { ...options, tolerance: 1e-4 }));
  const refined = await timed(() =>
    refineNetwork(cones.result.network, features, labels, {
      ...{ norm: "l2", radius, beta: BETA, rng: createRng(1), maximumNodes: nodes },
      ...(context.quick ? { rounds: 5 } : {}),
    }),
  );
  const gated = await timed(() => fitGatedRelu(features, labels, 2, { ...options, tolerance: 1e-4 }));
  const run = (epochs: number) =>
    timed(() => fitReluByPenalty(features, labels, 2, { ...options, rng: createRng(1), epochs }));
  const wanted = TIMES_LONGER * cones.seconds;
  let epochs = 50;
  let peer = await run(epochs);
  // more epochs until the time is spent: the first runs are slower, while code is compiled
  while (peer.seconds < wanted && !(context.quick && epochs > 50)) {
    epochs = Math.ceil(epochs * Math.min(10, 1.2 * (wanted / peer.seconds)));
    peer = await run(epochs);
  }
  const { result } = peer;
  const notes: Notes = {
    "fitRelu: certified gap": cones.result.gap.toExponential(1),
    "fitRelu: open cones, neurons": `${cones.result.cones.open}, ${cones.result.network.neurons}`,
    ...(await judged("fitRelu", cones.result.network, cones.result.objective, train, test, radius, nodes)),
    "refineNetwork: certified objective": refined.result.after.upper,
    ...(await judged("refineNetwork", refined.result.network, undefined, train, test, radius, nodes)),
    "fitGatedRelu: certified gap": gated.result.gap.toExponential(1),
    ...(await judged("fitGatedRelu", gated.result.model, gated.result.objective, train, test, radius, nodes)),
    "penalty: epochs": epochs,
    "nodes per sample of the exact worst case": nodes,
    ...(await judged(
      "penalty, repaired",
      result.repaired.network,
      result.repaired.objective,
      train,
      test,
      radius,
      nodes,
    )),
    "penalty, raw: largest, mean violation": `${shown(result.constraintViolation.maximum)}, ${shown(result.constraintViolation.mean)}`,
    ...(await judged("penalty, raw", result.network, result.objective, train, test, radius, nodes)),
  };
  const size = `${features.shape.join(" x ")} of ${table.labels.length} rows`;
  const title = `${name}, ${size}, ${gates.count} gates, hinge, l2 radius ${radius}: against the penalty trainer (CPU seconds)`;
  const rows = [
    row("penalty trainer", peer.seconds),
    row("fitRelu", cones.seconds, peer.seconds),
    row("refineNetwork after it", refined.seconds, peer.seconds),
    row("fitGatedRelu", gated.seconds, peer.seconds),
  ];
  context.report({ title, unit: unit.seconds, rows, notes });
}

/** Two halves of the rows in an order drawn from a fixed seed. */
function halves({ features, labels }: Part): [Part, Part] {
  const [n, d] = features.shape as [number, number];
  const order = createRng(17).permutation(n);
  const take = (rows: Int32Array): Part => {
    const data = new Float64Array(rows.length * d);
    rows.forEach((i, r) => {
      data.set(features.data.subarray(i * d, (i + 1) * d), r * d);
    });
    return { features: { data, shape: [rows.length, d] }, labels: rows.map((i) => labels[i]) };
  };
  const middle = Math.ceil(n / 2);
  return [take(order.subarray(0, middle)), take(order.subarray(middle))];
}

async function judged(
  label: string,
  subject: ReluNetwork | GatedReluModel,
  objective: Objective | undefined,
  train: Part,
  test: Part,
  radius: number,
  nodes: number,
): Promise<Notes> {
  const notes: Notes = objective ? { [`${label}: program objective`]: objective.total } : {};
  if (subject.kind === "relu-network" && subject.neurons === 0) {
    return { ...notes, [`${label}: true objective`]: 1, [`${label}: accuracies`]: "the zero network" };
  }
  const ball = { norm: "l2", radius, maximumNodes: nodes, tolerance: 1e-4 } as const;
  const onTrain = await worstMargins(subject, train.features, train.labels, ball);
  const hinge = (margins: Float64Array) => margins.reduce((sum, m) => sum + Math.max(0, 1 - m), 0) / margins.length;
  const regulariser = objective?.regulariser ?? weightOf(subject);
  const [least, most] = [hinge(onTrain.upper) + regulariser, hinge(onTrain.lower) + regulariser];
  const open = onTrain.status.filter((s) => s === "bounded").length;
  notes[`${label}: true objective`] =
    open === 0 ? `${shown(least)} (exact)` : `${shown(least)} to ${shown(most)} (${open} samples open)`; // prettier-ignore
  const onTest = await worstMargins(subject, test.features, test.labels, ball);
  const model: DifferentiableClassifier =
    subject.kind === "relu-network"
      ? createReluNetworkClassifier(subject)
      : createGatedClassifier(subject, { gradient: "straight-through" });
  const batch = { inputs: test.features, labels: test.labels, indices: Int32Array.from(test.labels, (_, i) => i) };
  const settings = { budget: { norm: "l2", epsilon: radius }, rng: createRng(3) } as const;
  const attacked = await evaluateAttack(model, batch, pgd({ steps: 100, restarts: 5 }), settings);
  const clean = await worstMargins(subject, test.features, test.labels, { ...ball, radius: 0 });
  // a margin of exactly 0 is a tie and counts as wrong everywhere
  const positive = (margins: Float64Array) => margins.filter((m) => m > 0).length / margins.length;
  const [certified, survived] = [positive(onTest.lower), positive(onTest.upper)];
  const underPgd = positive(attacked.loss.map((loss) => -loss));
  notes[`${label}: test accuracy clean, PGD`] = `${percent(positive(clean.lower))}, ${percent(underPgd)}`;
  notes[`${label}: test accuracy, worst case`] =
    certified === survived ? `${percent(certified)} (exact)` : `${percent(certified)} to ${percent(survived)}`;
  return notes;
}

/** beta sum_j ||u_j|| |a_j| of a network of two classes. */
function weightOf(subject: ReluNetwork | GatedReluModel): number {
  if (subject.kind !== "relu-network") throw new TypeError("a gated model has its own objective");
  const { first, second, neurons } = subject;
  const width = first.length / neurons;
  const sizes = Array.from({ length: neurons }, (_, j) => Math.hypot(...first.subarray(j * width, (j + 1) * width)));
  return BETA * sizes.reduce((sum, size, j) => sum + size * Math.abs(second[neurons + j] - second[j]), 0);
}

const shown = (value: number) => value.toPrecision(5);
const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
