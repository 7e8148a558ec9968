// The contract of one solver. A solver is a generator: it yields once per iteration and is told to stop by what comes
// back, so that the clock, the abort signal and the listeners live outside of it, in the driver (solve.ts).

import type { Kernels, WorkPlan } from "@worstcase/linalg/kernels";
import type { SdpProblem } from "./problem.js";
import type { Point, Ray } from "./result.js";

/** Settings of every solver; a solver adds its own. */
export interface SdpSettings {
  /** One knob: bound on the six DIMACS errors (relative). */
  readonly tolerance: number;
  readonly maximumIterations: number;
}

export interface IterationEvent {
  readonly type: "iteration";
  readonly iteration: number;
  /** c'x and <F_0, Y> + b'u in the caller's units. */
  readonly primalObjective: number;
  readonly dualObjective: number;
  /** DIMACS errors 3 and 1: how far x and Y are from feasible, relative. */
  readonly primalResidual: number;
  readonly dualResidual: number;
  /** Relative gap as in DIMACS error 5 or 6, whichever the solver drives. */
  readonly gap: number;
  readonly primalStep: number;
  readonly dualStep: number;
}

/** First event of every solve. */
export interface StartEvent {
  readonly type: "start";
  readonly solver: string;
  readonly backend: string;
  readonly variables: number;
  /** Orders of the blocks the solver works on, after its own splitting; a nonnegative block counts once. */
  readonly blocks: readonly { readonly kind: "psd" | "nonnegative"; readonly size: number }[];
  readonly bytes: number;
  /** What was chosen and why, one sentence each. */
  readonly notes: readonly string[];
}

/** Last event of every solve. */
export interface EndEvent {
  readonly type: "end";
  readonly status: string;
  readonly iterations: number;
  readonly seconds: number;
}

export type SdpEvent = StartEvent | IterationEvent | EndEvent;

/** Sent into the generator after an event: stop now and return the best point. */
export type Command = "continue" | "time-limit" | "aborted";

/** What a method returns to the driver. The driver checks it and decides accuracy; it may downgrade, never upgrade. */
export type Outcome = {
  readonly iterations: number;
  readonly warmStart: "none" | "used" | "rejected";
  readonly warnings?: readonly { readonly code: string; readonly message: string }[];
} & (
  | { readonly status: "optimal"; readonly point: Point }
  | {
      readonly status: "primal-infeasible" | "dual-infeasible";
      readonly certificate: Ray;
      readonly best?: Point | undefined;
    }
  | {
      readonly status: "iteration-limit" | "time-limit" | "aborted" | "stalled";
      readonly point: Point | undefined;
    }
);

export interface SdpSolver<S extends object = object> {
  /** Name as in `--solver`. */
  readonly name: string;
  readonly summary: string;
  readonly capabilities: { readonly warmStart: boolean; readonly certificates: boolean };
  readonly defaults: SdpSettings & S;
  /** Rough size of the work, for the choice of kernels: largest dense order, flops of a usual solve, numbers in memory. */
  plan?(problem: SdpProblem): WorkPlan;
  /** The problem has passed checkProblem. Must not mutate it. Yields a StartEvent with the predicted
   * bytes before it allocates, then one IterationEvent per iteration. */
  method(
    problem: SdpProblem,
    settings: SdpSettings & S,
    tools: { readonly kernels: Kernels; readonly warmStart: Point | undefined },
  ): Generator<StartEvent | IterationEvent, Outcome, Command>;
}
