// Runs a script in a page of a headless Chromium and returns what it posts back. No driver and no development server:
// a page served by node:http from memory, a browser found on the machine, both ended when the answer is there.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The first Chromium on the PATH (or $CHROMIUM), or undefined. */
export function findChromium(): string | undefined {
  const candidates = process.env.CHROMIUM ? [process.env.CHROMIUM] : names;
  return candidates.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

/** A script that cannot be loaded or throws while it loads is an answer too. */
const page = `<script>
const failed = (failure) => fetch("answer", { method: "POST", body: JSON.stringify({ failure: String(failure) }) });
addEventListener("error", (event) => failed(event.message ?? "the script did not load"), true);
addEventListener("unhandledrejection", (event) => failed(event.reason?.stack));
</script><script type="module" src="script.js"></script>`;

/** Serves `files` (path to content) and `script` in a page; resolves with the JSON that the page posts to `/answer`. */
export async function runInPage(
  chromium: string,
  script: string,
  files: Readonly<Record<string, Uint8Array>>,
  seconds = 60,
): Promise<unknown> {
  let answer: (value: unknown) => void = () => {};
  const answered = new Promise<unknown>((resolve) => {
    answer = resolve;
  });
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    if (request.method === "POST") {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        response.end();
        answer(JSON.parse(Buffer.concat(parts).toString()));
      });
      return;
    }
    const content = files[path.slice(1)];
    if (path === "/") response.setHeader("content-type", "text/html").end(page);
    else if (path === "/script.js") response.setHeader("content-type", "text/javascript").end(script);
    else if (content) response.end(content);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = mkdtempSync(join(tmpdir(), "worstcase-chromium-"));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"];
  const child = spawn(chromium, [...flags, `--user-data-dir=${profile}`, "--remote-debugging-port=0", address], {
    stdio: "ignore",
    detached: true,
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer from ${chromium} in ${seconds} s`)), seconds * 1000);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${chromium} ended with code ${code} before the page answered`)));
  });
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
    child.removeAllListeners("exit");
    const gone = new Promise((resolve) => child.once("exit", resolve));
    if (child.pid !== undefined && child.exitCode === null) {
      process.kill(-child.pid, "SIGKILL");
      await gone;
    }
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
