// The built package in a browser: bundled as an application would, run in a page and in a Web Worker of headless Chromium.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { findChromium, runInPage } from "./chromium.js";
import { sdplibFile, sdplibMissing } from "./sdplib.js";

const chromium = findChromium();
const missing = chromium ? undefined : "no Chromium on the PATH; set CHROMIUM";
if (missing) process.stdout.write(`skipped: ${missing}\n`);

const page = `
import { printTable, readSdpa, readSdpaAsync, solve, solveAsync, solveInWorker, solveMany, splitting } from "@worstcase/sdp";

async function main() {
  const file = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
  const packed = await file("problem.gz");
  let refused = "";
  try { readSdpa(packed); } catch (error) { refused = error.code; }
  const problem = await readSdpaAsync(packed);
  const plain = ({ status, accuracy, check, iterations, solver }) => ({ status, accuracy, check, iterations, solver });
  const lines = [];
  const inPage = solve(problem, { onEvent: printTable((line) => lines.push(line)) });
  const paused = await solveAsync(problem);
  const events = [];
  let ticks = 0;
  const clock = setInterval(() => ticks++, 1);
  const inWorker = await solveInWorker(problem, { onEvent: ({ type }) => events.push(type) });
  clearInterval(clock);
  const controller = new AbortController();
  if (!midway) controller.abort();
  const onEvent = (event) => event.type === "iteration" && event.iteration === 1 && controller.abort();
  const aborted = await solveInWorker(problem, { tolerance: 1e-13, signal: controller.signal, onEvent });
  let misuse = {};
  await solveInWorker(problem, { tolerance: 7 }).catch((error) => (misuse = { code: error.code, message: error.message }));
  const many = [];
  for await (const result of solveMany([problem, problem, problem], { workers: 2 })) many.push(plain(result));
  const firstOrder = await solveInWorker(problem, { solver: splitting });
  return {
    node: typeof process, refused, lines, events, ticks, misuse, many,
    inPage: plain(inPage), paused: plain(paused), inWorker: plain(inWorker), firstOrder: plain(firstOrder),
    aborted: { status: aborted.status, length: aborted.point && aborted.point.x.length },
    variables: problem.objective.length,
  };
}
main()
  .catch((error) => ({ failure: String(error && error.stack) }))
  .then((answer) => fetch("answer", { method: "POST", body: JSON.stringify(answer) }));
`;

// biome-ignore lint/suspicious/noExplicitAny: what the page answers is checked field by field below
type Answer = any;

/** `midway`: abort after an iteration; otherwise before the first, for problems that are solved before an abort arrives. */
async function runBundle(problem: Uint8Array, midway: boolean): Promise<Answer> {
  const { outputFiles } = await build({
    stdin: {
      contents: `const midway = ${midway};${page}`,
      resolveDir: fileURLToPath(new URL(".", import.meta.url)),
      sourcefile: "page.js",
    },
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    alias: { "@worstcase/sdp": fileURLToPath(new URL("../dist/index.js", import.meta.url)) },
  });
  return runInPage(chromium!, outputFiles[0]!.text, { "problem.gz": problem });
}

function expectAnswer(answer: Answer, optimum: number, midway: boolean): void {
  expect(answer.failure).toBe(undefined);
  expect(answer.node).toBe("undefined");
  expect(answer.refused).toBe("unsupported");
  for (const result of [answer.inPage, answer.paused, answer.inWorker, ...answer.many]) {
    expect(result).toMatchObject({ status: "optimal", accuracy: "full" });
    expect(Math.abs(result.check.objective.primal - optimum)).toBeLessThan(1e-6 * optimum);
    expect(result.check.worst).toBeLessThan(1e-7);
    expect(result.solver.backend).toMatch(/^(wasm|js)/);
  }
  expect(answer.many).toHaveLength(3);
  expect(answer.inWorker.iterations).toBe(answer.inPage.iterations);
  const count = answer.inPage.iterations;
  expect(answer.events).toEqual(["start", ...Array(count + 1).fill("iteration"), "end"]);
  expect(answer.lines.at(-1)).toMatch(/^optimal after/);
  expect(answer.ticks).toBeGreaterThan(0);
  expect(answer.aborted).toEqual({ status: "aborted", ...(midway ? { length: answer.variables } : {}) });
  expect(answer.misuse).toMatchObject({ code: "setting", message: expect.stringMatching(/tolerance/) });
  expect(answer.firstOrder.status).toBe("optimal");
}

describe.skipIf(missing)(`in a page and in a Web Worker ${missing ?? ""}`, () => {
  it("the example", async () => {
    const tiny = gzipSync(readFileSync(new URL("../fixtures/tiny.dat-s", import.meta.url)));
    expectAnswer(await runBundle(tiny, false), 2, false);
  });

  it.skipIf(sdplibMissing)(`theta1 ${sdplibMissing ?? ""}`, async () => {
    expectAnswer(await runBundle(sdplibFile("theta1"), true), 23, true);
  });
});
