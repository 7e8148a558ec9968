// CSDP (Debian package coinor-csdp) on the direct form, written by @worstcase/sdp as an SDPA file. CPU seconds of the process alone.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { writeSdpa } from "@worstcase/sdp";
import { directProgram, weightMatrices } from "./directProgram.js";
import type { Instance } from "./instances.js";
import { type PeerResult, repairedObjective } from "./peers.js";

export function runCsdp(instance: Instance, limitSeconds: number): PeerResult {
  if (spawnSync("csdp", []).error) return { kind: "absent", reason: "no program csdp; Debian package coinor-csdp" };
  const folder = mkdtempSync(path.join(tmpdir(), "worstcase-bench-"));
  const [problem, solution] = ["program.dat-s", "solution"].map((name) => path.join(folder, name));
  try {
    writeFileSync(problem, writeSdpa(directProgram(instance)));
    const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
    // `times` prints the shell's own time, then that of its children: user and system
    const script = 'timeout "$2" csdp "$0" "$1" > /dev/null 2>&1; echo "code $?"; times';
    const child = spawnSync("bash", ["--norc", "-c", script, problem, solution, String(limitSeconds)], {
      env,
      encoding: "utf8",
    });
    const code = Number(/code (\d+)/.exec(child.stdout)?.[1]);
    if (code === 124) return { kind: "unfinished", reason: `> ${limitSeconds} s` };
    const last = child.stdout.trim().split("\n").pop() ?? "";
    const seconds = [...last.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
      (sum, [, m, s]) => sum + 60 * Number(m) + Number(s),
      0,
    );
    // 0: solved, 3: solved to less than full accuracy
    if (code !== 0 && code !== 3) return { kind: "unfinished", reason: `csdp gave up with code ${code}` };
    const x = readFileSync(solution, "utf8").split("\n", 1)[0].trim().split(/\s+/).map(Number);
    const { positive, negative } = weightMatrices(x, instance.points.shape[1]);
    const objective = repairedObjective(positive, negative, instance);
    const status = code === 0 ? "solved" : "solved, reduced accuracy";
    return { kind: "solved", status, cpuSeconds: seconds, objective };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
