export { readSafetensors, type SafetensorsFile } from "./read.js";
export { type NamedTensor, type TensorArrays, type TensorType, toFloat32, toFloat64 } from "./tensor.js";
export { writeSafetensors } from "./write.js";
