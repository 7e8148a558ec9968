// Finds the BLAS of the machine: candidates in order, each loaded, bound and probed; the first that passes is used.
// Done once per process, when native kernels are first asked for.

import { SettingError } from "@worstcase/core";
import type { Kernels } from "../kernels.js";
import { type ForeignHost, firstLine, foreignHost } from "./foreign.js";
import { bindFunctions } from "./functions.js";
import { type Candidate, libraryCandidates } from "./libraries.js";
import { nativeKernels } from "./nativeKernels.js";
import { probe } from "./probe.js";

/** One library that was tried. */
export interface NativeAttempt {
  readonly library: string;
  /** `absent`: cannot be loaded; `refused`: loaded, but lacks a function or answered a probe wrongly. */
  readonly outcome: "used" | "absent" | "refused";
  readonly detail: string;
}

export interface NativeReport {
  /** Null when no library can be used. */
  readonly kernels: Kernels | null;
  /** Whether the library is tuned for the processor; plain reference code is slower than WebAssembly. */
  readonly tuned: boolean;
  /** One line: the library in use, or why there is none. */
  readonly detail: string;
  readonly attempts: readonly NativeAttempt[];
}

let known: NativeReport | undefined;

/**
 * What native BLAS this process can use. The first call loads and probes libraries, which takes tens of milliseconds;
 * its outcome is kept. Throws SettingError when WORSTCASE_BLAS_THREADS is not an integer >= 1.
 */
export function findNative(): NativeReport {
  known ??= search(threadsWanted());
  return known;
}

/** Threads of the library, one unless WORSTCASE_BLAS_THREADS says otherwise. */
function threadsWanted(): number {
  const text = globalThis.process?.env?.WORSTCASE_BLAS_THREADS;
  if (!text) return 1;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1024) return count;
  throw new SettingError({ argument: "WORSTCASE_BLAS_THREADS", expected: "an integer from 1 to 1024", received: text });
}

function search(threads: number): NativeReport {
  const host = foreignHost();
  if (typeof host === "string") return { kernels: null, tuned: false, detail: host, attempts: [] };
  const attempts: NativeAttempt[] = [];
  for (const candidate of libraryCandidates()) {
    const library = candidate.join(" and ");
    const found = attempt(host, candidate, threads);
    if ("outcome" in found) {
      attempts.push({ library, ...found });
      continue;
    }
    attempts.push({ library, outcome: "used", detail: found.kernels.description });
    return { ...found, detail: found.kernels.description, attempts };
  }
  const refused = attempts.filter(({ outcome }) => outcome === "refused");
  const reason = refused.map(({ library, detail }) => `${library} ${detail}`).join("; ");
  const detail = reason || `no BLAS found (tried ${attempts.map(({ library }) => library).join(", ") || "nothing"})`;
  return { kernels: null, tuned: false, detail, attempts };
}

function attempt(
  host: ForeignHost,
  candidate: Candidate,
  threads: number,
): Pick<NativeAttempt, "outcome" | "detail"> | { kernels: Kernels; tuned: boolean } {
  let functions: ReturnType<typeof bindFunctions>;
  try {
    functions = bindFunctions(host, candidate);
  } catch (error) {
    return { outcome: "absent", detail: firstLine(error) };
  }
  if (typeof functions === "string") return { outcome: "refused", detail: functions };
  const { identity, integerBits } = functions;
  identity.setThreads?.(threads);
  const threadCount = identity.setThreads ? `${threads} thread${threads > 1 ? "s" : ""}` : "threads not controllable";
  const description = `${identity.name} (${candidate.join(" and ")}), ${integerBits}-bit integers, ${threadCount}`;
  const wrong = probe(nativeKernels(host, functions, description, true));
  if (wrong) return { outcome: "refused", detail: `gave a wrong answer in ${wrong}` };
  return { kernels: nativeKernels(host, functions, description), tuned: identity.tuned };
}
