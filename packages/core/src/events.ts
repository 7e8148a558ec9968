// Long work reports typed events to a listener; printing, progress bars and logs are listeners.

export interface ProgressEvent {
  readonly type: "progress";
  /** What is being done, for example `extract features`. */
  readonly task: string;
  readonly done: number;
  readonly total: number;
  /** Numbers worth showing beside the bar, for example `{ gap: 0.01 }`. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface WarningEvent {
  readonly type: "warning";
  readonly warning: Warning;
}

/** A documented warning, collected in results. */
export interface Warning {
  /** Stable kebab-case code, for example `collapsed-head`. */
  readonly code: string;
  readonly message: string;
}

export type WorkEvent = ProgressEvent | WarningEvent;

/** Options every long function takes. */
export interface WorkOptions<E = WorkEvent> {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: E) => void) | undefined;
}
