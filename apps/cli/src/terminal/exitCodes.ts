// What the exit status of a command means.

export const exitCodes = {
  done: 0,
  misuse: 1,
  /** A mathematical outcome other than success, for example a training run that diverged. */
  otherOutcome: 2,
  /** A limit was reached; the result is usable and says so. */
  limitReached: 3,
  /** Interrupted by the user; finished work is kept. */
  interrupted: 130,
} as const;
