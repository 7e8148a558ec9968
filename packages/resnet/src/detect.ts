// Finds the architecture that a set of weights belongs to, from names and shapes alone, and checks that every tensor fits it.

import { checkFinite, DataError, FormatError } from "@worstcase/core";
import {
  type Architecture,
  type ArchitectureName,
  checkArchitecture,
  families,
  orderOf,
  parameterShapes,
} from "./architecture.js";
import type { NetworkWeights } from "./weights.js";

/** Names that must belong to the architecture; any other name (a head of its own, for example) is left alone. */
const networkNames = /^(conv1|bn1|bn|layer\d+|linear)\./;

/**
 * The architecture of these weights: order from the place of the first norm, depth from the number of blocks, width from the stem, final norm from `bn.weight`,
 * classes from `linear.weight`. Throws FormatError naming the tensor, the expected and the actual shape when no known architecture fits.
 */
export function detectArchitecture(weights: NetworkWeights): Architecture {
  const stem = weights.get("conv1.weight");
  if (stem?.shape.length !== 4) {
    const received = stem ? `shape [${stem.shape.join(", ")}]` : `names ${[...weights.keys()].slice(0, 4).join(", ")}`;
    throw new FormatError({ argument: "conv1.weight", expected: "a stem filter [channels, 3, 3, 3]", received });
  }
  const blocks = [...weights.keys()].filter((name) => /^layer\d+\.\d+\.conv1\.weight$/.test(name)).length;
  const order = weights.has("bn1.weight") ? "post-activation" : "pre-activation";
  const names = Object.keys(families) as ArchitectureName[];
  const name = names.find((candidate) => {
    const family = families[candidate];
    return family.order === order && family.channels.length * family.blocksPerStage === blocks;
  });
  if (!name) {
    const expected = `the blocks of one of ${names.join(", ")}`;
    throw new FormatError({ argument: "weights", expected, received: `${order} network of ${blocks} blocks` });
  }
  const architecture: Architecture = {
    name,
    width: stem.shape[0]! / families[name].channels[0]!,
    finalNorm: order === "pre-activation" && weights.has("bn.weight"),
    classCount: weights.get("linear.weight")?.shape[0] ?? null,
  };
  checkWeights(architecture, weights);
  return architecture;
}

/**
 * Checks that the weights hold every tensor of the architecture in its shape, no other tensor of the network, finite values and no negative variance.
 * A linear layer is checked when the architecture has one. Throws FormatError or DataError.
 */
export function checkWeights(architecture: Architecture, weights: NetworkWeights): void {
  checkArchitecture(architecture);
  const shapes = parameterShapes(architecture);
  for (const [name, expected] of shapes) {
    const tensor = weights.get(name);
    const received = tensor ? `[${tensor.shape.join(", ")}]` : "no such tensor";
    if (received !== `[${expected.join(", ")}]`) {
      const hint = `expected for ${architecture.name} of width ${architecture.width}`;
      throw new FormatError({ argument: name, expected: `shape [${expected.join(", ")}]`, received, hint });
    }
    const count = expected.reduce((product, length) => product * length, 1);
    if (tensor!.data.length !== count) {
      throw new FormatError({ argument: name, expected: `${count} values`, received: tensor!.data.length });
    }
    checkFinite(tensor!.data, name);
    if (name.endsWith("running_var") && tensor!.data.some((value) => value < 0)) {
      throw new DataError({ argument: name, expected: "variances >= 0", received: Math.min(...tensor!.data) });
    }
  }
  for (const [name, { shape }] of weights) {
    const known = shapes.has(name) || (architecture.classCount === null && name.startsWith("linear."));
    if (!known && networkNames.test(name)) {
      const expected = `no such tensor in ${architecture.name} (${orderOf(architecture)})`;
      throw new FormatError({ argument: name, expected, received: `shape [${shape.join(", ")}]` });
    }
  }
}
