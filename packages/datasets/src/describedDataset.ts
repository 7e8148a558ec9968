// A core Dataset whose samples are held in memory, with its source and the text to cite.
// Images are held as bytes [samples, height, width, channels] and become float32 k / 255 when they are asked for.

import { type Dataset, fingerprint, type LabelledBatch } from "@worstcase/core";

export interface DescribedDataset extends Dataset {
  /** Where the data come from. */
  readonly source: string;
  /** What to cite. */
  readonly citation: string;
}

/** What is known of a data set before its samples are read. */
export type DatasetCard = Pick<
  DescribedDataset,
  "id" | "sampleShape" | "classNames" | "bounds" | "licence" | "source" | "citation"
>;

export interface ByteImages {
  /** `[samples, ...sampleShape]`, row-major. */
  readonly pixels: Uint8Array;
  /** Class of each sample, `[samples]`. */
  readonly labels: Int32Array;
  /** Position of each sample in its source, `[samples]`. */
  readonly indices: Int32Array;
}

/** A data set of byte images; `rule` says in words how the samples were chosen, and enters the fingerprint. */
export function describeImages(
  card: DatasetCard,
  split: Dataset["split"],
  rule: string,
  images: ByteImages,
): DescribedDataset {
  const { pixels, labels, indices } = images;
  const shape = [labels.length, ...card.sampleShape];
  return {
    ...card,
    split,
    size: labels.length,
    fingerprint: fingerprint(card.id, split, rule, pixels, labels, indices),
    all: async () => {
      const data = new Float32Array(pixels.length);
      for (let i = 0; i < data.length; i++) data[i] = pixels[i]! / 255;
      return { inputs: { data, shape }, labels: labels.slice(), indices: indices.slice() };
    },
  };
}

/** A data set of feature vectors `[samples, features]`. */
export function describeTable(
  card: DatasetCard,
  split: Dataset["split"],
  rule: string,
  batch: LabelledBatch,
): DescribedDataset {
  const { inputs, labels, indices } = batch;
  return {
    ...card,
    split,
    size: labels.length,
    fingerprint: fingerprint(card.id, split, rule, inputs.data, labels, indices),
    all: async () => ({
      inputs: { data: inputs.data.slice(), shape: [...inputs.shape] },
      labels: labels.slice(),
      indices: indices.slice(),
    }),
  };
}
