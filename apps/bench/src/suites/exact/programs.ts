// CSDP and SDPA (Debian packages coinor-csdp and sdpa) on the direct form, written by @worstcase/sdp as an SDPA file. CPU seconds of the
// process alone.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { writeSdpa } from "@worstcase/sdp";
import { directProgram, weightMatrices } from "./directProgram.js";
import type { Instance } from "./instances.js";
import { type PeerResult, repairedObjective } from "./peers.js";

interface Program {
  /** Shell command with the problem in $0 and the solution's place in $1; its output is the log. */
  readonly command: string;
  readonly absent: string;
  /** x and how the program says it ended, or why there is none. */
  answer(code: number, log: string, solution: string): { x: number[]; status: string } | { reason: string };
}

const numbers = (text: string) =>
  text
    .trim()
    .split(/[\s,]+/)
    .map(Number);

const csdp: Program = {
  command: 'csdp "$0" "$1"',
  absent: "no program csdp; Debian package coinor-csdp",
  answer(code, _, solution) {
    // 0: solved, 3: solved to less than full accuracy
    if (code !== 0 && code !== 3) return { reason: `csdp gave up with code ${code}` };
    const status = code === 0 ? "solved" : "solved, reduced accuracy";
    return { x: numbers(readFileSync(solution, "utf8").split("\n", 1)[0]), status };
  },
};

const sdpa: Program = {
  command: 'sdpa -ds "$0" -o "$1" -numThreads 1',
  absent: "no program sdpa; Debian package sdpa",
  answer(code, log, solution) {
    const phase = /phase\.value\s*=\s*(\S+)/.exec(log)?.[1] ?? "unknown";
    const x = /xVec\s*=\s*\{([^}]*)\}/.exec(code === 0 ? readFileSync(solution, "utf8") : "")?.[1];
    if (!x) return { reason: `sdpa gave up with code ${code}` };
    return { x: numbers(x), status: phase === "pdOPT" ? "solved" : phase };
  },
};

export const runCsdp = (instance: Instance, limitSeconds: number) => run("csdp", csdp, instance, limitSeconds);
export const runSdpa = (instance: Instance, limitSeconds: number) => run("sdpa", sdpa, instance, limitSeconds);

function run(name: string, program: Program, instance: Instance, limitSeconds: number): PeerResult {
  if (spawnSync(name, []).error) return { kind: "absent", reason: program.absent };
  const folder = mkdtempSync(path.join(tmpdir(), "worstcase-bench-"));
  const [problem, solution] = ["program.dat-s", "solution"].map((file) => path.join(folder, file));
  try {
    writeFileSync(problem, writeSdpa(directProgram(instance)));
    const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
    // `times` prints the shell's own time, then that of its children: user and system
    const script = `timeout "$2" ${program.command} 2>&1; echo "code $?"; times`;
    const child = spawnSync("bash", ["--norc", "-c", script, problem, solution, String(limitSeconds)], {
      env,
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    const code = Number(/^code (\d+)$/m.exec(child.stdout)?.[1]);
    if (code === 124) return { kind: "unfinished", reason: `> ${limitSeconds} s` };
    const last = child.stdout.trim().split("\n").pop() ?? "";
    const cpuSeconds = [...last.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
      (sum, [, m, s]) => sum + 60 * Number(m) + Number(s),
      0,
    );
    const answer = program.answer(code, child.stdout, solution);
    if ("reason" in answer) return { kind: "unfinished", reason: answer.reason };
    const { positive, negative } = weightMatrices(answer.x, instance.points.shape[1]);
    const objective = repairedObjective(positive, negative, instance);
    return { kind: "solved", status: answer.status, cpuSeconds, objective };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
