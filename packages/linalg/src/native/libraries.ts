// Where BLAS and LAPACK may lie, how their symbols may be spelled, and how each library is asked for its version and
// told how many threads to use.

import type { ForeignFunction, ForeignLibrary } from "./foreign.js";

/** Files that together hold one BLAS and LAPACK; symbols are looked up in this order. */
export type Candidate = readonly string[];

const candidates: Record<string, readonly Candidate[]> = {
  linux: [
    ["libopenblas.so.0"],
    ["libopenblas.so"],
    ["libopenblas64.so.0"],
    ["libopenblas64_.so.0"],
    ["libmkl_rt.so.2"],
    ["libmkl_rt.so.1"],
    ["libflexiblas.so.3"],
    ["libblas.so.3", "liblapack.so.3"],
  ],
  darwin: [
    ["/opt/homebrew/opt/openblas/lib/libopenblas.dylib"],
    ["/usr/local/opt/openblas/lib/libopenblas.dylib"],
    ["/System/Library/Frameworks/Accelerate.framework/Accelerate"],
  ],
  win32: [["libopenblas.dll"], ["openblas.dll"], ["mkl_rt.2.dll"], ["mkl_rt.1.dll"]],
};

/** What to try, in order. WORSTCASE_BLAS names the only one: a file, or the files of a BLAS and its LAPACK with commas. */
export function libraryCandidates(): readonly Candidate[] {
  const wanted = globalThis.process?.env.WORSTCASE_BLAS;
  return wanted ? [wanted.split(",")] : (candidates[globalThis.process?.platform] ?? []);
}

/** Spellings of a CBLAS and a LAPACK name, for example of `dgemm` and `dpotrf`. */
export const spellings: readonly { cblas(name: string): string; lapack(name: string): string }[] = [
  { cblas: (name) => `cblas_${name}`, lapack: (name) => `${name}_` },
  { cblas: (name) => `cblas_${name}64_`, lapack: (name) => `${name}_64_` },
  { cblas: (name) => `cblas_${name}_64`, lapack: (name) => `${name}_64_` },
  { cblas: (name) => `scipy_cblas_${name}64_`, lapack: (name) => `scipy_${name}_64_` },
  { cblas: (name) => `scipy_cblas_${name}`, lapack: (name) => `scipy_${name}_` },
];

export interface Identity {
  /** For example `OpenBLAS 0.3.21`. */
  readonly name: string;
  /** Whether it is known to be tuned for the processor; plain reference code is slower than WebAssembly. */
  readonly tuned: boolean;
  /** Sets the number of threads of the whole process; absent when the library offers no such function. */
  readonly setThreads?: (count: number) => void;
}

/** Recognises a library by functions that only it has. */
export function identify(library: ForeignLibrary): Identity {
  for (const [prefix, suffix] of [
    ["", ""],
    ["", "64_"],
    ["", "_64"],
    ["scipy_", "64_"],
    ["scipy_", ""],
  ]) {
    const config = library.find(`${prefix}openblas_get_config${suffix}`, "str", []);
    if (!config) continue;
    const version = /OpenBLAS (\S+)/.exec(String(config()))?.[1] ?? "of unknown version";
    const set = library.find(`${prefix}openblas_set_num_threads${suffix}`, "void", ["int"]);
    return { name: `OpenBLAS ${version}`, tuned: true, ...threads(set) };
  }
  const mkl = library.find("MKL_Set_Num_Threads", "void", ["int"]);
  if (mkl) return { name: "Intel MKL", tuned: true, ...threads(mkl) };
  // BLAS_THREADING_MULTI_THREADED is 0 and BLAS_THREADING_SINGLE_THREADED 1; a count cannot be given
  const accelerate = library.find("BLASSetThreading", "int", ["int"]);
  if (accelerate)
    return { name: "Accelerate", tuned: true, ...threads((count) => accelerate(Number(count) > 1 ? 0 : 1)) };
  const blis = library.find("bli_thread_set_num_threads", "void", ["int64_t"]);
  if (blis) return { name: "BLIS", tuned: true, ...threads(blis) };
  if (library.find("appleblas_dgeadd", "void", [])) return { name: "Accelerate", tuned: true };
  return { name: "a BLAS without a name, probably the slow reference code", tuned: false };
}

function threads(set: ForeignFunction | undefined): Pick<Identity, "setThreads"> {
  return set ? { setThreads: (count) => void set(count) } : {};
}
