export {
  type BreastCancerOptions,
  loadBreastCancerDiagnostic,
  loadBreastCancerOriginal,
  type SplitTable,
  type TableSplit,
} from "./breastCancer/loadBreastCancer.js";
export { type Cifar10, type Cifar10Options, loadCifar10 } from "./cifar10/loadCifar10.js";
export { resolveDataFolder } from "./dataFolder.js";
export type { DatasetCard, DescribedDataset } from "./describedDataset.js";
export { type Download, type DownloadOptions, downloadFile, type RemoteFile } from "./download/downloadFile.js";
export { downloadBreastCancer, downloadCifar10 } from "./download/officialFiles.js";
export { readNpy, writeNpy } from "./npy/npy.js";
export type { NpyArray, NpyData } from "./npy/npyTypes.js";
export { readLabelledFeatures, readNpz, writeNpz } from "./npy/npz.js";
export { generateShapes, type ShapesOptions } from "./shapes/generateShapes.js";
export { type SplitPositions, splitStratified } from "./splitStratified.js";
export { fitStandardisation, type Standardisation, standardise } from "./standardise.js";
export type { Separator } from "./table/parseRows.js";
export { readTable, type Table, type TableOptions } from "./table/readTable.js";
