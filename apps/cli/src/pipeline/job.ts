// What every step of a run is given.

import type { NumericBatch, Rng, WorkEvent } from "@worstcase/core";
import type { RobustifyConfig } from "../config/robustify.js";
import type { RunFolder } from "../run/runFolder.js";

export interface JobTools {
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkEvent) => void;
  /** Folder of the feature cache. */
  readonly cacheDir: string;
}

export interface Job {
  readonly config: RobustifyConfig;
  readonly folder: RunFolder;
  readonly tools: JobTools;
  readonly rng: Rng;
}

/** Backbone features with their labels: features `[samples, features]`. */
export interface LabelledFeatures {
  readonly inputs: NumericBatch;
  readonly labels: Int32Array;
}
