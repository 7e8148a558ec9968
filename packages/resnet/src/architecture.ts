// The networks as data: stem, stages and shortcuts, and the PyTorch name and shape of every parameter (math.md 15).
//   pre-activation block:   a = relu(bn1(x)); x + conv2(relu(bn2(conv1(a))))   (a projected shortcut starts from a)
//   post-activation block:  relu(shortcut(x) + bn2(conv2(relu(bn1(conv1(x))))))
// Filters are [out, in, height, width] as in PyTorch; inputs are [n, 32, 32, 3].

import { SettingError } from "@worstcase/core";

/** Images are 32 x 32 with 3 channels. */
export const inputShape = [32, 32, 3] as const;

interface Family {
  readonly order: "pre-activation" | "post-activation";
  readonly channels: readonly number[];
  readonly blocksPerStage: number;
  readonly shortcut: "projection" | "zero-padding";
}

const small = { order: "post-activation", channels: [16, 32, 64], shortcut: "zero-padding" } as const;

/** Every known network; a new one is one line here. */
export const families = {
  "preact-resnet18": {
    order: "pre-activation",
    channels: [64, 128, 256, 512],
    blocksPerStage: 2,
    shortcut: "projection",
  },
  resnet20: { ...small, blocksPerStage: 3 },
  resnet32: { ...small, blocksPerStage: 5 },
  resnet44: { ...small, blocksPerStage: 7 },
  resnet56: { ...small, blocksPerStage: 9 },
  resnet110: { ...small, blocksPerStage: 18 },
} as const satisfies Record<string, Family>;

export type ArchitectureName = keyof typeof families;

export interface Architecture {
  readonly name: ArchitectureName;
  /** Factor on all channel counts; 1 is the published network, 0.125 of `preact-resnet18` has 8, 16, 32, 64 channels. */
  readonly width: number;
  /** Batch normalisation and ReLU after the last block (`bn.*`); only pre-activation networks have the choice. */
  readonly finalNorm: boolean;
  /** Outputs of the linear layer `linear.*`, or null when the network ends with its features. */
  readonly classCount: number | null;
}

export interface Block {
  /** Prefix of the names of its parameters, for example `layer2.0`. */
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: 1 | 2;
  readonly shortcut: "identity" | "projection" | "zero-padding";
}

/** Pre- or post-activation. */
export function orderOf(architecture: Architecture): Family["order"] {
  return families[architecture.name].order;
}

/** Channel counts of the stages. Throws SettingError when the width does not give whole channel counts. */
export function stageChannels({ name, width }: Architecture): number[] {
  if (!Object.hasOwn(families, name)) {
    const expected = `one of ${Object.keys(families).join(", ")}`;
    throw new SettingError({ argument: "architecture.name", expected, received: name });
  }
  const channels = families[name].channels.map((count) => count * width);
  if (!(width > 0) || channels.some((count) => !Number.isInteger(count)) || channels[0]! < 1) {
    const expected = `a factor that makes ${families[name].channels.join(", ")} whole numbers >= 1`;
    throw new SettingError({ argument: "architecture.width", expected, received: width });
  }
  if (families[name].shortcut === "zero-padding" && channels.some((count) => count % 2 === 1)) {
    const expected = "even channel counts, so that shortcuts can be padded equally on both sides";
    throw new SettingError({ argument: "architecture.width", expected, received: width });
  }
  return channels;
}

/** Throws SettingError when the settings do not describe a network. */
export function checkArchitecture(architecture: Architecture): void {
  stageChannels(architecture);
  if (architecture.finalNorm && orderOf(architecture) === "post-activation") {
    const expected = `false for ${architecture.name}, whose blocks already end with a ReLU`;
    throw new SettingError({ argument: "architecture.finalNorm", expected, received: true });
  }
  const { classCount } = architecture;
  if (classCount !== null && !(Number.isInteger(classCount) && classCount >= 1)) {
    const expected = "an integer >= 1, or null for no linear layer";
    throw new SettingError({ argument: "architecture.classCount", expected, received: classCount });
  }
}

/** The residual blocks in order. */
export function blocksOf(architecture: Architecture): Block[] {
  const { blocksPerStage, shortcut } = families[architecture.name];
  const channels = stageChannels(architecture);
  const blocks: Block[] = [];
  for (let stage = 0; stage < channels.length; stage++) {
    for (let i = 0; i < blocksPerStage; i++) {
      const outChannels = channels[stage]!;
      const inChannels = i === 0 && stage > 0 ? channels[stage - 1]! : outChannels;
      const changes = i === 0 && stage > 0;
      blocks.push({
        name: `layer${stage + 1}.${i}`,
        inChannels,
        outChannels,
        stride: changes ? 2 : 1,
        shortcut: changes ? shortcut : "identity",
      });
    }
  }
  return blocks;
}

/** Number of features: channels of the last stage. */
export function featureCountOf(architecture: Architecture): number {
  return stageChannels(architecture).at(-1)!;
}

/** Name and shape of every tensor of the state dict, in PyTorch's order, without `num_batches_tracked`. */
export function parameterShapes(architecture: Architecture): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const norm = (name: string, channels: number) => {
    for (const part of ["weight", "bias", "running_mean", "running_var"]) shapes.set(`${name}.${part}`, [channels]);
  };
  const pre = orderOf(architecture) === "pre-activation";
  const first = stageChannels(architecture)[0]!;
  shapes.set("conv1.weight", [first, 3, 3, 3]);
  if (!pre) norm("bn1", first);
  for (const { name, inChannels, outChannels, shortcut } of blocksOf(architecture)) {
    if (pre) norm(`${name}.bn1`, inChannels);
    shapes.set(`${name}.conv1.weight`, [outChannels, inChannels, 3, 3]);
    norm(`${name}.${pre ? "bn2" : "bn1"}`, outChannels);
    shapes.set(`${name}.conv2.weight`, [outChannels, outChannels, 3, 3]);
    if (!pre) norm(`${name}.bn2`, outChannels);
    if (shortcut === "projection") shapes.set(`${name}.shortcut.0.weight`, [outChannels, inChannels, 1, 1]);
  }
  const features = featureCountOf(architecture);
  if (architecture.finalNorm) norm("bn", features);
  if (architecture.classCount !== null) {
    shapes.set("linear.weight", [architecture.classCount, features]);
    shapes.set("linear.bias", [architecture.classCount]);
  }
  return shapes;
}
