// The images of a run, in three parts that never mix: training, validation (for every choice), test (for the final numbers only).

import type { LabelledBatch, WorkOptions } from "@worstcase/core";
import { generateShapes, loadCifar10 } from "@worstcase/datasets";
import type { RobustifyConfig } from "../config/robustify.js";

export interface Images {
  readonly train: LabelledBatch;
  readonly validation: LabelledBatch;
  readonly test: LabelledBatch;
  readonly classNames: readonly string[];
  /** Hash of data and split rule for each part. */
  readonly fingerprints: Readonly<Record<"train" | "validation" | "test", string>>;
}
