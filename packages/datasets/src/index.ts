export type { DatasetCard, DescribedDataset } from "./describedDataset.js";
export { generateShapes, type ShapesOptions } from "./shapes/generateShapes.js";
