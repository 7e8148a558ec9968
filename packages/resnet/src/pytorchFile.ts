// Tensors of a PyTorch zip file (torch.save since 1.6). Members: <root>/data.pkl, a pickle of the state dict, and <root>/data/<key>, one stored array each.

import { FormatError } from "@worstcase/core";
import { PickleReader, stateDictTensors, unpickle } from "./pickle.js";
import { readStoredZip } from "./storedZip.js";
import type { WeightTensor } from "./weights.js";

/** Tensors by name, as float32. Throws FormatError when the file is damaged, compressed, big-endian, or names anything but tensors. */
export function readPytorchFile(bytes: Uint8Array): Map<string, WeightTensor> {
  const members = readStoredZip(bytes);
  const pickle = [...members.keys()].find((name) => name.endsWith("/data.pkl"));
  if (!pickle) {
    throw new FormatError({ argument: "zip file", expected: "a member data.pkl", received: [...members.keys()] });
  }
  const root = pickle.slice(0, -"data.pkl".length);
  const order = members.get(`${root}byteorder`);
  if (order && new TextDecoder().decode(order) !== "little") {
    throw new FormatError({ argument: "byteorder", expected: "little", received: new TextDecoder().decode(order) });
  }
  const state = unpickle(new PickleReader(members.get(pickle)!));
  return stateDictTensors(state, ({ key }) => members.get(`${root}data/${key}`));
}
