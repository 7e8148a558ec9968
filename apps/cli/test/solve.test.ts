// `worstcase solve` as a user runs it: table or one JSON object, exit codes, solution files, misuse, and lazy loading.

import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run, start } from "./commandLine.js";

// minimise x1 + x2 with [x1 1; 1 x2] >= 0: the optimum is 2 at x = (1, 1), Y = [1 -1; -1 1]
const feasible = "2\n1\n2\n1 1\n0 1 1 2 -1\n1 1 1 1 1\n2 1 2 2 1\n";
// x >= 1 and -x >= 0
const primalInfeasible = "1\n2\n1 -1\n1\n0 1 1 1 1\n1 1 1 1 1\n1 2 1 1 -1\n";
/** The Lovasz number of twenty 5-cycles beside each other, 20 sqrt 5: enough work to be interrupted. */
function slow(): string {
  const lines: string[] = [];
  for (let i = 1; i <= 100; i++) for (let j = i; j <= 100; j++) lines.push(`0 1 ${i} ${j} 1`);
  for (let i = 1; i <= 100; i++) lines.push(`1 1 ${i} ${i} 1`);
  for (let i = 1; i <= 100; i++) lines.push(`${i + 1} 1 ${i % 5 === 0 ? i - 4 : i} ${i % 5 === 0 ? i : i + 1} 1`);
  return `101\n1\n100\n1 ${"0 ".repeat(100)}\n${lines.join("\n")}\n`;
}
// minimise -x with x >= 0
const dualInfeasible = "1\n1\n1\n-1\n1 1 1 1 1\n";

describe("worstcase solve", () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "worstcase-solve-"));
    await writeFile(at("feasible.dat-s"), feasible);
    await writeFile(at("feasible.dat-s.gz"), gzipSync(feasible));
    await writeFile(at("slow.dat-s"), slow());
    await writeFile(at("primal.dat-s"), primalInfeasible);
    await writeFile(at("dual.dat-s"), dualInfeasible);
    await writeFile(at("broken.dat-s"), feasible.replace("1 1 1 1 1", "1 1 1 3 1"));
    await writeFile(at("truncated.gz"), gzipSync(feasible).subarray(0, 30));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    ["text", ["feasible.dat-s"], 1e-6],
    ["gzip", ["feasible.dat-s.gz"], 1e-6],
    ["splitting", ["feasible.dat-s", "--solver", "splitting"], 1e-3],
    ["a tolerance and plain JavaScript", ["feasible.dat-s", "--tolerance", "1e-6", "--backend", "js"], 1e-4],
  ])("%s: one JSON object", async (_, [file, ...flags], precision) => {
    const { code, stdout, stderr } = await run(["solve", at(file!), "--json", ...flags]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ file: at(file!), status: "optimal", accuracy: "full", warnings: [] });
    expect(Math.abs(answer.objective.primal - 2)).toBeLessThan(precision);
    expect(Math.abs(answer.objective.dual - 2)).toBeLessThan(precision);
    expect(answer.check.dimacs).toHaveLength(6);
    expect(answer.check.worst).toBe(Math.max(...answer.check.dimacs.map(Math.abs)));
    expect(answer.check.smallestEigenvalues).toMatchObject({ slack: expect.any(Number), dual: expect.any(Number) });
    expect(answer.iterations).toBeGreaterThan(0);
    expect(answer.seconds).toBeGreaterThan(0);
    expect(answer.peakBytes).toBeGreaterThan(1e7);
    if (flags.includes("js")) expect(answer.backend).toBe("js");
    if (flags.includes("splitting")) expect(answer.solver).toBe("splitting");
  });

  it("prints the table of iterations and a summary", async () => {
    const { code, stdout } = await run(["solve", at("feasible.dat-s")]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^interior-point .*2 variables .*psd 2/);
    expect(stdout).toMatch(/\n +iter|\niter +primal obj/);
    expect(stdout).toMatch(/\n {3}1 /);
    expect(stdout).toMatch(/\noptimal \(full accuracy\)\nobjective: primal (2\.00000|1\.99999)/);
    expect(stdout).toMatch(/worst DIMACS error \d/);
  });

  it("reads standard input", async () => {
    const { child, done } = start(["solve", "-", "--json"]);
    child.stdin!.end(gzipSync(feasible));
    const { code, stdout } = await done;
    expect([code, JSON.parse(stdout).status]).toEqual([0, "optimal"]);
  });

  it("infeasible problems: exit code 2 and the check of the certificate", async () => {
    for (const [name, explains] of [
      ["primal", ["block 1", "block 2"]],
      ["dual", ["variable 1"]],
    ] as const) {
      const { code, stdout } = await run(["solve", at(`${name}.dat-s`), "--json", "--out", at(`${name}.sol`)]);
      const answer = JSON.parse(stdout);
      expect([code, answer.status, answer.objective]).toEqual([2, `${name}-infeasible`, null]);
      expect(answer.check.kind).toBe(`${name}-infeasible`);
      expect(answer.check.worst).toBeLessThan(1e-7);
      expect(answer.check.improvement).toBeGreaterThan(0);
      expect(answer.check.explains.toSorted()).toEqual(explains);
      const table = await run(["solve", at(`${name}.dat-s`)]);
      expect([table.code, table.stdout]).toEqual([2, expect.stringMatching(/certificate: residual/)]);
    }
    // Y = (t, t) proves that x >= 1 and -x >= 0 exclude each other
    const [x, above, below] = (await readFile(at("primal.sol"), "utf8")).trimEnd().split("\n");
    expect(x).toBe("0");
    expect(above).toMatch(/^2 1 1 1 /);
    expect(below).toMatch(/^2 2 1 1 /);
    const [first, second] = [above!, below!].map((line) => Number(line.split(" ").at(-1)));
    expect(first! / second!).toBeCloseTo(1, 6);
  });

  it("writes the solution", async () => {
    const { code } = await run(["solve", at("feasible.dat-s"), "--json", "--out", at("feasible.sol")]);
    expect(code).toBe(0);
    const [x, ...entries] = (await readFile(at("feasible.sol"), "utf8")).trimEnd().split("\n");
    for (const value of x!.split(" ")) expect(Number(value)).toBeCloseTo(1, 4);
    const dual = entries.filter((line) => line.startsWith("2 ")).map((line) => line.split(" ").map(Number));
    const values = dual.map(([, , i, j, value]) => [i, j, Math.round(value! * 1e4) / 1e4]);
    expect(values).toEqual([
      [1, 1, 1],
      [1, 2, -1],
      [2, 2, 1],
    ]);
    expect(readdirSync(folder).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  const endless = ["--solver", "splitting", "--tolerance", "1e-15"];

  it("a limit that leaves a usable point: exit code 3", async () => {
    const { code, stdout } = await run(["solve", at("slow.dat-s"), "--json", "--time-limit", "2", ...endless]);
    const answer = JSON.parse(stdout);
    expect([code, answer.status, answer.accuracy]).toEqual([3, "time-limit", null]);
    expect(answer.check.dimacs).toHaveLength(6);
    expect(answer.seconds).toBeGreaterThan(2);
    expect(answer.iterations).toBeGreaterThan(0);
  });

  it("a limit before the first point: exit code 2", async () => {
    const { code, stdout } = await run(["solve", at("feasible.dat-s"), "--json", "--time-limit", "0"]);
    const answer = JSON.parse(stdout);
    expect([code, answer.status, answer.objective, answer.check]).toEqual([2, "time-limit", null, null]);
  });

  it("Ctrl-C ends with the best point: exit code 130", async () => {
    const { child, done } = start(["solve", at("slow.dat-s"), ...endless]);
    let seen = "";
    child.stdout!.on("data", (text) => {
      // interrupted once, when some iterations are there
      if (!/\n +3 /.test(seen) && /\n +3 /.test((seen += text))) child.kill("SIGINT");
    });
    const { code, stdout, stderr } = await done;
    expect([code, stderr]).toEqual([130, expect.stringMatching(/stopping after this iteration/)]);
    expect(stdout).toMatch(/\naborted\nobjective: primal /);
  });

  it.each([
    ["no file", [], /missing required argument 'file'/],
    ["a missing file", ["absent.dat-s"], /a readable file.*ENOENT/],
    ["a malformed file", ["broken.dat-s"], /broken\.dat-s, line 6, column 7: expected a column of this block/],
    ["a truncated gzip file", ["truncated.gz"], /truncated\.gz: expected an intact gzip file/],
    ["an unknown solver", ["feasible.dat-s", "--solver", "simplex"], /--solver: expected interior-point or splitting/],
    ["a tolerance that is no number", ["feasible.dat-s", "--tolerance", "tight"], /--tolerance: expected a number/],
    ["a tolerance out of range", ["feasible.dat-s", "--tolerance", "2"], /tolerance: expected between 0 and 1, got 2/],
    ["a negative time limit", ["feasible.dat-s", "--time-limit", "-1"], /timeLimitSeconds: expected a number >= 0/],
    ["an unknown backend", ["feasible.dat-s", "--backend", "abacus"], /got abacus/],
    ["an unknown flag", ["feasible.dat-s", "--iteration", "3"], /unknown option '--iteration'/],
    ["an output folder that is not there", ["feasible.dat-s", "--out", join("no", "such", "x.sol")], /--out.*ENOENT/],
  ])("misuse: %s", async (_, [file, ...flags], message) => {
    const resolved = flags.map((flag) => (flag.endsWith("x.sol") ? at(flag) : flag));
    const { code, stderr, stdout } = await run(["solve", ...(file ? [at(file)] : []), "--json", ...resolved]);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr.split("\n").filter((line) => line.startsWith("worstcase: "))).toHaveLength(1);
    expect(stderr).not.toMatch(/\n {4}at /);
  });

  it("loads neither tensors nor networks nor the schema library", () => {
    const dist = fileURLToPath(new URL("../dist", import.meta.url));
    const reached = new Set<string>();
    const packages = new Set<string>();
    const follow = (file: string) => {
      if (reached.has(file)) return;
      reached.add(file);
      const text = readFileSync(join(dist, file), "utf8");
      for (const [, name] of text.matchAll(/^(?:import|export)\b[^'"]*?['"]([^'"]+)['"]/gm)) {
        if (name!.startsWith("./")) follow(name!.slice(2));
        else packages.add(name!);
      }
    };
    follow("main.js");
    follow(readdirSync(dist).find((name) => /^solve-.*\.js$/.test(name))!);
    expect([...packages].filter((name) => !isBuiltin(name)).sort()).toEqual([
      "@worstcase/core",
      "@worstcase/sdp",
      "commander",
    ]);
  });
});
