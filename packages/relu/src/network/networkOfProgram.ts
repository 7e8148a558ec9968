// The plain two-layer network of ReLU pieces of a program (math.md 13.1). With C columns piece v_po is the neuron v / sqrt(||v||) with output
// weight +sqrt(||v||) at column o, and w_po the same with a minus sign. Two classes are one column y = +-1 in the program and two in the network,
// with half of that weight and opposite signs: the difference of the scores is then the program's output.
// pieces: [2, P, outputs, D]

import type { ReluProgram } from "../program/program.js";
import { networkOfPieces, type ReluNetwork } from "./reluNetwork.js";

export function networkOfProgram(program: ReluProgram, pieces: Float64Array): ReluNetwork {
  const { task, outputs, featureCount, bias } = program;
  const network = networkOfPieces(pieces, { featureCount, classCount: outputs, bias });
  if (task !== "two-class") return network;
  const { neurons, second } = network;
  const halves = new Float64Array(2 * neurons);
  for (let j = 0; j < neurons; j++) {
    halves[j] = -second[j] / 2;
    halves[neurons + j] = second[j] / 2;
  }
  return { ...network, classCount: 2, second: halves };
}
