// The text of the bundled worker (workerMain.ts with all it needs). This file is a stand-in: the build and the tests put the
// text here, see embedWorker.ts in the package's folder.

export const workerSource: string = "";
