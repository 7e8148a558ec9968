// A PolynomialModel as a safetensors file: numbers as float64 tensors, the rest as JSON in the metadata entry `model`.
//   standardisation.means, standardisation.scales [features]
//   moves.ellipsoid [features, features]
//   class.<c>.directions [neurons, features], class.<c>.weights [neurons]      scores that are networks
//   class.<c>.Q [features, features], class.<c>.q [features], class.<c>.s [1]  others

import { FormatError } from "@worstcase/core";
import { type NamedTensor, readSafetensors, toFloat64, writeSafetensors } from "@worstcase/safetensors";
import { type Quadratic, quadraticFromNeurons } from "../quadratic.js";
import { PolynomialModel } from "./polynomialModel.js";

const format = "worstcase/polynomial-model 1";

/** The bytes of a safetensors file; `modelFromSafetensors` gives the same model back, bit for bit. */
export function modelToSafetensors(model: PolynomialModel): Uint8Array {
  const tensors = new Map<string, NamedTensor>();
  const put = (name: string, data: Float64Array, ...shape: number[]) => tensors.set(name, { type: "F64", shape, data });
  const d = model.features;
  if (model.standardisation) {
    put("standardisation.means", model.standardisation.means, d);
    put("standardisation.scales", model.standardisation.scales, d);
  }
  const activations = model.quadratics.map(({ neurons, Q, q, s }, c) => {
    if (neurons) {
      put(`class.${c}.directions`, neurons.directions, neurons.weights.length, d);
      put(`class.${c}.weights`, neurons.weights, neurons.weights.length);
      return neurons.activation;
    }
    put(`class.${c}.Q`, Q, d, d);
    put(`class.${c}.q`, q, d);
    put(`class.${c}.s`, Float64Array.of(s), 1);
    return null;
  });
  const { immutable, ellipsoid } = model.moves;
  if (ellipsoid) put("moves.ellipsoid", ellipsoid, d, d);
  return writeSafetensors(tensors, {
    format,
    model: JSON.stringify({ features: d, activations, details: model.details, ...(immutable && { immutable }) }),
  });
}

/** Throws FormatError when the bytes are damaged or not such a model. */
export function modelFromSafetensors(bytes: Uint8Array): PolynomialModel {
  const { tensors, metadata } = readSafetensors(bytes);
  if (metadata.format !== format || !metadata.model) {
    const received = metadata.format ?? "no format";
    throw new FormatError({ argument: "model file", expected: `format ${format}`, received });
  }
  const array = (name: string, length?: number): Float64Array => {
    const tensor = tensors.get(name);
    if (!tensor) {
      const received = [...tensors.keys()].join(", ");
      throw new FormatError({ argument: "model file", expected: `tensor ${name}`, received });
    }
    const values = toFloat64(tensor);
    if (length !== undefined && values.length !== length) {
      throw new FormatError({ argument: `model file: ${name}`, expected: `${length} values`, received: values.length });
    }
    return values;
  };
  let parsed: {
    features: number;
    activations: unknown[];
    details: Record<string, unknown>;
    immutable?: readonly number[];
  };
  try {
    parsed = JSON.parse(metadata.model);
  } catch (cause) {
    throw new FormatError({ argument: "model file", expected: "JSON metadata", received: metadata.model }, { cause });
  }
  const { features: d, activations, details, immutable } = parsed ?? {};
  if (!Number.isSafeInteger(d) || d < 1 || !Array.isArray(activations) || activations.length < 2) {
    throw new FormatError({ argument: "model file", expected: "features and at least two classes", received: d });
  }
  const quadratics = activations.map((activation, c): Quadratic => {
    if (activation === null) {
      const [s] = array(`class.${c}.s`, 1);
      return { dimension: d, Q: array(`class.${c}.Q`, d * d), q: array(`class.${c}.q`, d), s };
    }
    const weights = array(`class.${c}.weights`);
    const directions = array(`class.${c}.directions`, weights.length * d);
    return quadraticFromNeurons({ directions, weights, activation: activation as never }, d);
  });
  const standardisation = tensors.has("standardisation.means")
    ? { means: array("standardisation.means", d), scales: array("standardisation.scales", d) }
    : null;
  const ellipsoid = tensors.has("moves.ellipsoid") ? array("moves.ellipsoid", d * d) : null;
  const moves = { ...(immutable && { immutable }), ...(ellipsoid && { ellipsoid }) };
  return new PolynomialModel({ quadratics, standardisation, moves, details });
}
