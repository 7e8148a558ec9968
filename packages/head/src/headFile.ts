// Robust heads as safetensors files: large arrays as float64 tensors, everything else as JSON in the metadata entry `head`.
//   scaling.centre [features]   scaling.whitening [features, features]
//   polynomial:  class.<c>.directions [neurons, features]   class.<c>.weights [neurons]
//   gated ReLU:  gates [gates, features (+1)]   gate_scales [gates]   weights [gates * classes, features (+1)]

import { FormatError } from "@worstcase/core";
import { type NamedTensor, readSafetensors, toFloat64, writeSafetensors } from "@worstcase/safetensors";
import type { FeatureScaling } from "./featureScaling.js";
import { type GatedTraining, gatedHeadOf } from "./gatedHead.js";
import { polynomialHeadOf } from "./polynomialHead.js";
import type { PolynomialScore, PolynomialTraining } from "./polynomialTraining.js";
import type { RobustHead } from "./robustHead.js";

const format = "worstcase/head 1";

/** The bytes of a safetensors file; {@link loadHead} gives the same head back, bit for bit. */
export function saveHead(head: RobustHead): Uint8Array {
  const { scaling, trained } = head;
  const features = scaling.centre.length;
  const tensors = new Map<string, NamedTensor>([["scaling.centre", matrix(scaling.centre, features)]]);
  if (scaling.whitening) tensors.set("scaling.whitening", matrix(scaling.whitening, features, features));
  const rest =
    trained.kind === "polynomial"
      ? takePolynomial(trained.training, features, tensors)
      : { training: takeGated(trained.training, tensors) };
  const { name, kind, radius, beta, evidence } = head;
  const { kind: set, scale } = scaling;
  const details = { name, kind, radius: radius.value, beta, solved: evidence.solved, set, scale, ...rest };
  return writeSafetensors(tensors, { format, head: JSON.stringify(details) });
}

/** Reads a head file. Throws FormatError when it is damaged or not a head. */
export function loadHead(bytes: Uint8Array): RobustHead {
  const { tensors, metadata } = readSafetensors(bytes);
  if (metadata.format !== format || !metadata.head) {
    throw new FormatError({
      argument: "head file",
      expected: `format ${format}`,
      received: metadata.format ?? "no format",
    });
  }
  const array = (name: string): Float64Array => {
    const tensor = tensors.get(name);
    if (!tensor)
      throw new FormatError({
        argument: "head file",
        expected: `tensor ${name}`,
        received: [...tensors.keys()].join(", "),
      });
    return toFloat64(tensor);
  };
  try {
    const { name, radius, beta, solved, set, scale, classes, joint, training } = JSON.parse(metadata.head);
    const scaling: FeatureScaling = {
      kind: set,
      scale,
      centre: array("scaling.centre"),
      whitening: tensors.has("scaling.whitening") ? array("scaling.whitening") : null,
    };
    // the tolerance only decides `solved`, which the file states
    const options = { name, scaling, radius, beta, tolerance: solved ? Number.POSITIVE_INFINITY : 0 };
    if (training) {
      const model = {
        ...training.model,
        gates: [...array("gates")],
        gateScales: [...array("gate_scales")],
        weights: [...array("weights")],
      };
      return gatedHeadOf({ ...training, model }, options);
    }
    const whole = (classes as object[]).map((one, c) => ({
      ...one,
      directions: [...array(`class.${c}.directions`)],
      weights: [...array(`class.${c}.weights`)],
    }));
    const polynomial = joint ? { ...joint, classes: whole } : { multiclass: "one-vs-all", classes: whole };
    return polynomialHeadOf(polynomial as PolynomialTraining, options);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) {
      throw new FormatError({ argument: "head file", expected: "metadata of a head", received: error.message });
    }
    throw error;
  }
}

function takePolynomial(training: PolynomialTraining, features: number, tensors: Map<string, NamedTensor>): object {
  if (training.multiclass === "one-vs-all") {
    return { classes: training.classes.map((one, c) => takeClass(one, c, features, tensors)) };
  }
  const { classes, ...joint } = training;
  return { classes: classes.map((one, c) => takeClass(one, c, features, tensors)), joint };
}

function takeClass(
  { directions, weights, ...rest }: PolynomialScore,
  c: number,
  features: number,
  tensors: Map<string, NamedTensor>,
): object {
  tensors.set(`class.${c}.directions`, matrix(directions, weights.length, features));
  tensors.set(`class.${c}.weights`, matrix(weights, weights.length));
  return rest;
}

function takeGated({ model, ...rest }: GatedTraining, tensors: Map<string, NamedTensor>): object {
  const { gates, gateScales, weights, ...shape } = model;
  const rows = gateScales.length;
  tensors.set("gates", matrix(gates, rows, gates.length / rows));
  tensors.set("gate_scales", matrix(gateScales, rows));
  tensors.set("weights", matrix(weights, rows * shape.classCount, weights.length / (rows * shape.classCount)));
  return { ...rest, model: shape };
}

function matrix(values: ArrayLike<number>, ...shape: number[]): NamedTensor {
  return { type: "F64", shape, data: Float64Array.from(values) };
}
