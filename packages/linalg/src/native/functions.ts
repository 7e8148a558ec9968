// The functions of a BLAS and LAPACK that the native kernels call, bound so that the width of the library's integers
// does not matter: integers by value are declared with 64 bits, of which a 32-bit callee reads the lower half; integers
// by address lie in 8-byte cells with a zero upper half, little-endian. Addresses are plain numbers.

import type { ForeignFunction, ForeignHost, ForeignLibrary, ForeignType } from "./foreign.js";
import { type Candidate, type Identity, identify, spellings } from "./libraries.js";

type Call = (...values: number[]) => void;

export interface NativeFunctions {
  readonly identity: Identity;
  /** Width of the library's integers, 32 or 64; for reports only. */
  readonly integerBits: 32 | 64;
  readonly dgemm: Call;
  readonly dsyrk: Call;
  readonly dtrsm: Call;
  readonly dgemv: Call;
  readonly dsymv: Call;
  readonly dtrsv: Call;
  /** LAPACK, named by its routine; integers and letters as `cells` addresses. */
  readonly dpotrf: Call;
  readonly dtrtri: Call;
  readonly dpotri: Call;
  readonly dsyevd: Call;
  readonly cells: Cells;
}

/** Memory for the integers and letters that LAPACK takes by address. */
interface Cells {
  readonly order: number;
  readonly leading: number;
  readonly info: number;
  readonly workLength: number;
  readonly integerWorkLength: number;
  readonly upper: number;
  readonly nonUnit: number;
  readonly vectors: number;
  /** Sets order and leading dimension and clears `info`. */
  prepare(order: number, leading: number): void;
  setWorkLengths(work: number, integerWork: number): void;
  readInfo(): number;
}

const parameters: Record<"cblas" | "lapack", Record<string, string>> = {
  // i: an enumeration, n: an integer, d: a double, p: an address
  cblas: {
    dgemm: "iiinnndpnpndpn",
    dsyrk: "iiinndpndpn",
    dtrsm: "iiiiinndpnpn",
    dgemv: "iinndpnpndpn",
    dsymv: "iindpnpndpn",
    dtrsv: "iiiinpnpn",
  },
  // the last arguments are the lengths of the letters, which Fortran compilers expect
  lapack: {
    dpotrf: "pppppn",
    dtrtri: "ppppppnn",
    dpotri: "pppppn",
    dsyevd: "pppppppppppnn",
  },
};
const types: Record<string, ForeignType> = { i: "int", n: "int64_t", d: "double", p: "uintptr_t" };

/** Binds the first spelling of which every function exists, or says which one is missing. Throws when a file cannot be loaded. */
export function bindFunctions(host: ForeignHost, candidate: Candidate): NativeFunctions | string {
  const libraries = candidate.map((file) => host.open(file));
  const all: ForeignLibrary = {
    find(name, result, signature) {
      for (const library of libraries) {
        const found = library.find(name, result, signature);
        if (found) return found;
      }
      return undefined;
    },
  };
  let missing = "";
  for (const spelling of spellings) {
    const bound: Record<string, ForeignFunction> = {};
    const absent: string[] = [];
    for (const kind of ["cblas", "lapack"] as const) {
      for (const [name, letters] of Object.entries(parameters[kind])) {
        const symbol = spelling[kind](name);
        const found = all.find(
          symbol,
          "void",
          [...letters].map((letter) => types[letter]),
        );
        if (found) bound[name] = found;
        else absent.push(symbol);
      }
    }
    if (absent.length > 0) {
      missing ||= absent[0];
      continue;
    }
    const functions = bound as unknown as Omit<NativeFunctions, "identity" | "integerBits" | "cells">;
    const cells = createCells(host);
    return { ...functions, identity: identify(all), cells, integerBits: integerBits(functions.dpotrf, cells) };
  }
  return `has no ${missing}`;
}

interface MeasuredCells extends Cells {
  /** Fills all 8 bytes of `info` with ones. */
  markInfo(): void;
  readHighInfo(): number;
}

/** An order of 0 makes dpotrf only set `info` to zero: 4 bytes or 8. */
function integerBits(dpotrf: Call, cells: MeasuredCells): 32 | 64 {
  cells.prepare(0, 1);
  cells.markInfo();
  dpotrf(cells.upper, cells.order, cells.info, cells.leading, cells.info, 1);
  return cells.readHighInfo() === 0 ? 64 : 32;
}

function createCells(host: ForeignHost): MeasuredCells {
  const bytes = new Uint8Array(128);
  const numbers = new Int32Array(bytes.buffer);
  const start = host.address(bytes);
  const at = (cell: number) => start + 8 * cell;
  bytes[8 * 8] = "U".charCodeAt(0);
  bytes[8 * 9] = "N".charCodeAt(0);
  bytes[8 * 10] = "V".charCodeAt(0);
  return {
    order: at(0),
    leading: at(1),
    info: at(2),
    workLength: at(3),
    integerWorkLength: at(4),
    upper: at(8),
    nonUnit: at(9),
    vectors: at(10),
    prepare(order, leading) {
      numbers[0] = order;
      numbers[2] = leading;
      numbers[4] = 0;
      numbers[5] = 0;
    },
    setWorkLengths(work, integerWork) {
      numbers[6] = work;
      numbers[8] = integerWork;
    },
    readInfo: () => numbers[4],
    markInfo() {
      numbers[4] = -1;
      numbers[5] = -1;
    },
    readHighInfo: () => numbers[5],
  };
}
