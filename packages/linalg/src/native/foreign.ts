// The one place that calls out of JavaScript: koffi, an optional dependency, loaded only when native kernels are wanted.
// Nothing here is imported statically from Node, so browser bundles stay free of it.

export type ForeignType = "int" | "int64_t" | "double" | "uintptr_t" | "void" | "str";
export type ForeignFunction = (...values: (number | string)[]) => unknown;

export interface ForeignLibrary {
  /** The C function of this name, or undefined when the library has none. Calling it with wrong types can crash. */
  find(name: string, result: ForeignType, parameters: readonly ForeignType[]): ForeignFunction | undefined;
}

export interface ForeignHost {
  /** For reports, for example `koffi 3.3.4`. */
  readonly name: string;
  /** Throws what the system's loader says when the file cannot be loaded. */
  open(file: string): ForeignLibrary;
  /** Where the array's first byte lies. Valid as long as the array's buffer is alive and not transferred. */
  address(array: Float64Array | Uint8Array): number;
}

/** Integers are passed as 64 bits little-endian, which both widths of BLAS read alike on these processors only. */
const processors = ["x64", "arm64", "riscv64", "loong64"];

interface Koffi {
  readonly version: string;
  load(file: string): { func(name: string, result: string, parameters: string[]): ForeignFunction };
  address(value: unknown): bigint;
}

/** The host, or the reason why there is none. */
export function foreignHost(): ForeignHost | string {
  const running = globalThis.process;
  const other = running?.versions.bun ? "Bun" : running?.versions.deno ? "Deno" : null;
  if (other) return `native kernels are not supported in ${other}`;
  if (!running?.getBuiltinModule) return "native kernels need Node >= 20.19";
  if (!processors.includes(running.arch)) return `native kernels do not know the processor type ${running.arch}`;
  try {
    const koffi: Koffi = running.getBuiltinModule("node:module").createRequire(import.meta.url)("koffi");
    return hostOn(koffi);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
    return missing ? "koffi is not installed (npm install koffi)" : `koffi did not load: ${firstLine(error)}`;
  }
}

function hostOn(koffi: Koffi): ForeignHost {
  return {
    name: `koffi ${koffi.version}`,
    open(file) {
      const library = koffi.load(file);
      return {
        find(name, result, parameters) {
          try {
            return library.func(name, result, [...parameters]);
          } catch {
            return undefined;
          }
        },
      };
    },
    address: (array) => Number(koffi.address(array)),
  };
}

export function firstLine(error: unknown): string {
  return String((error as Error)?.message ?? error).split("\n", 1)[0];
}
