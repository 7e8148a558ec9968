// The committed instances and optimal values of fixtures/ (made by the scripts beside them with an independent conic solver).

import { readFileSync } from "node:fs";
import { gatesFromVectors } from "../patterns/gateSet.js";
import {
  type Answers,
  createProgram,
  type ProgramLoss,
  type Regulariser,
  type ReluProgram,
} from "../program/program.js";

export interface FixtureCell {
  readonly task: ReluProgram["task"];
  readonly loss: ProgramLoss;
  readonly norm: "l1" | "l2" | "linf" | "3";
  readonly radius: number;
  readonly regulariser: Regulariser;
  readonly beta: number;
  readonly objective: number;
}

interface Instance {
  readonly features: readonly (readonly number[])[];
  readonly labels?: readonly number[];
  readonly targets?: readonly (readonly number[])[];
  readonly classCount?: number;
  readonly gates: readonly (readonly number[])[];
}

function read(name: string) {
  return JSON.parse(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), "utf8"));
}

const instances: Record<string, Instance> = read("instances.json").instances;

/** Cells of `gated.json` or another file of the same form. */
export function fixtureCells(file = "gated.json"): FixtureCell[] {
  return read(file).cells;
}

/** Features, answers and options of a cell, ready for the trainers. */
export function fixtureProblem(cell: Omit<FixtureCell, "objective">) {
  const { features: rows, labels, targets, classCount, gates: vectors } = instances[cell.task];
  const features = { data: Float64Array.from(rows.flat()), shape: [rows.length, rows[0].length] };
  const answers: Answers = targets
    ? {
        kind: "regression",
        targets: { data: Float64Array.from(targets.flat()), shape: [targets.length, targets[0].length] },
      }
    : { kind: "classes", labels: Int32Array.from(labels ?? []), classCount: classCount ?? 0 };
  const gates = gatesFromVectors(Float64Array.from(vectors.flat()), features, true);
  const { loss, radius, regulariser, beta } = cell;
  const norm = cell.norm === "3" ? 3 : cell.norm;
  const options = { gates, loss, norm, radius, regulariser, beta };
  return { features, answers, options, program: createProgram(features, answers, options) };
}
