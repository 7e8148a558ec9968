import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { AbortedError, DataError, FormatError, UnsupportedError } from "@worstcase/core";
import { create } from "tar";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { downloadFile, type RemoteFile } from "./downloadFile.js";
import { downloadBreastCancer, downloadCifar10, unpackMembers } from "./officialFiles.js";

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251);
const sha256 = createHash("sha256").update(content).digest("hex");

/** What the server does with a request; the requests it saw. */
type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;
let behaviour: Behaviour;
let requests: IncomingMessage[];
let server: Server;
let folder: string;
let file: RemoteFile;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    behaviour(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "download-"));
  requests = [];
  behaviour = serve();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`;
  file = { url, path: path.join(folder, "deep", "file.bin"), sha256, bytes: content.length, licence: "CC0" };
  return () => rm(folder, { recursive: true, force: true });
});

/** Serves the content with ranges; `cutAfter` bytes it drops the connection. */
function serve(options: { etag?: string; cutAfter?: number; ranges?: boolean } = {}): Behaviour {
  const { etag = '"one"', cutAfter, ranges = true } = options;
  return (request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const from = ranges && range && request.headers["if-range"] === etag ? Number(range[1]) : 0;
    if (from >= content.length) {
      response.writeHead(416).end();
      return;
    }
    const body = content.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      etag,
      "content-length": body.length,
      ...(from > 0 && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    if (cutAfter === undefined) response.end(body);
    else response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 50));
  };
}

const partSize = async () => (await stat(`${file.path}.part`)).size;

describe("downloadFile", () => {
  it("writes the file, reports progress, and leaves nothing else behind", async () => {
    const done: number[] = [];
    const result = await downloadFile(file, {
      onEvent: (event) => {
        if (event.type === "progress") done.push(event.done);
      },
    });
    expect(result).toEqual({ status: "downloaded", path: file.path, bytes: content.length });
    expect(new Uint8Array(await readFile(file.path))).toEqual(content);
    expect(done.at(-1)).toBe(content.length);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(await readdir(path.dirname(file.path))).toEqual(["file.bin"]);
  });

  it("does not fetch a file that is there and right, and refuses to overwrite one that is wrong", async () => {
    await downloadFile(file);
    expect((await downloadFile(file, { offline: true })).status).toBe("present");
    expect(requests).toHaveLength(1);
    await writeFile(file.path, "something else");
    await expect(downloadFile(file)).rejects.toThrow(DataError);
    expect(await readFile(file.path, "utf8")).toBe("something else");
  });

  it("resumes after a cut connection", async () => {
    behaviour = serve({ cutAfter: 100_000 });
    await expect(downloadFile(file)).rejects.toThrow(/connection broke.*run again to resume/);
    expect(existsSync(file.path)).toBe(false);
    const have = await partSize();
    expect(have).toBeGreaterThan(0);
    behaviour = serve();
    await downloadFile(file);
    expect(requests[1]!.headers.range).toBe(`bytes=${have}-`);
    expect(new Uint8Array(await readFile(file.path))).toEqual(content);
  });

  it.each([
    ["the server ignores ranges", serve({ ranges: false })],
    ["the file on the server has changed", serve({ etag: '"two"' })],
  ])("starts over when %s", async (_, second) => {
    behaviour = serve({ cutAfter: 100_000 });
    await expect(downloadFile(file)).rejects.toThrow(DataError);
    behaviour = second;
    await downloadFile(file);
    expect(requests[1]!.headers.range).toBeDefined();
    expect(new Uint8Array(await readFile(file.path))).toEqual(content);
  });

  it("starts over without a note of the server's version, and when nothing is left to fetch", async () => {
    behaviour = serve({ cutAfter: 100_000 });
    await expect(downloadFile(file)).rejects.toThrow(DataError);
    await writeFile(`${file.path}.part.json`, "{ damaged");
    behaviour = serve();
    await downloadFile(file);
    expect(requests[1]!.headers.range).toBeUndefined();

    await rm(file.path);
    await writeFile(`${file.path}.part`, content);
    await writeFile(`${file.path}.part.json`, JSON.stringify({ url: file.url, version: '"one"' }));
    await downloadFile(file);
    expect(requests).toHaveLength(4); // 416, then the whole file
    expect(new Uint8Array(await readFile(file.path))).toEqual(content);
  });

  it("keeps what came under another name when hash or size is wrong", async () => {
    await expect(downloadFile({ ...file, sha256: "0".repeat(64) })).rejects.toThrow(FormatError);
    expect(existsSync(file.path)).toBe(false);
    expect(new Uint8Array(await readFile(`${file.path}.rejected`))).toEqual(content);
    await expect(downloadFile({ ...file, bytes: 1000 })).rejects.toThrow(/1000 bytes/);
    await expect(downloadFile({ ...file, bytes: content.length + 1 })).rejects.toThrow(FormatError);
    expect((await downloadFile(file)).status).toBe("downloaded");
  });

  it("names address and status when the server refuses or does not answer", async () => {
    behaviour = (_, response) => response.writeHead(404).end("no");
    await expect(downloadFile(file)).rejects.toThrow(/file\.bin.*status 404/);
    behaviour = (_, response) => response.destroy();
    await expect(downloadFile(file)).rejects.toThrow(/no answer/);
    expect(await readdir(path.dirname(file.path))).toEqual([]);
  });

  it("does not use the network when offline, and says what it would fetch", async () => {
    await expect(downloadFile(file, { offline: true })).rejects.toThrow(UnsupportedError);
    await expect(downloadFile(file, { offline: true })).rejects.toThrow(/would fetch http.*300000 bytes.*CC0/);
    const offline = { offline: true };
    await expect(downloadCifar10(folder, offline)).rejects.toThrow(/cs\.toronto\.edu.*170052171/);
    await expect(downloadBreastCancer(folder, offline)).rejects.toThrow(/archive\.ics\.uci\.edu/);
    expect(requests).toHaveLength(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it("stops when asked and can go on later", async () => {
    const controller = new AbortController();
    const onEvent = () => controller.abort();
    behaviour = serve({ cutAfter: 50_000 });
    await expect(downloadFile(file, { signal: controller.signal, onEvent })).rejects.toThrow(AbortedError);
    await expect(downloadFile(file, { signal: AbortSignal.abort() })).rejects.toThrow(AbortedError);
    behaviour = serve();
    expect((await downloadFile(file)).bytes).toBe(content.length);
  });

  it("takes another fetch", async () => {
    const fetch = async () => new Response(content, { status: 200 });
    expect((await downloadFile(file, { fetch: fetch as typeof globalThis.fetch })).status).toBe("downloaded");
    expect(requests).toHaveLength(0);
  });
});

describe("unpackMembers", () => {
  const hash = (text: string) => createHash("sha256").update(text).digest("hex");

  async function archiveOf(files: Record<string, string>): Promise<string> {
    const top = path.join(folder, "top");
    await rm(top, { recursive: true, force: true });
    await mkdir(top);
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(top, name), text);
    const archive = path.join(folder, "archive.tar.gz");
    await create({ gzip: true, file: archive, cwd: folder }, ["top"]);
    return archive;
  }

  it("takes out the named files only, and only when every hash is right", async () => {
    const archive = await archiveOf({ "a.bin": "one", "b.bin": "two", "readme.html": "three" });
    const target = path.join(folder, "out");
    await unpackMembers(archive, target, { "a.bin": hash("one"), "b.bin": hash("two") });
    expect((await readdir(target)).sort()).toEqual(["a.bin", "b.bin"]);
    expect(await readFile(path.join(target, "b.bin"), "utf8")).toBe("two");

    const other = path.join(folder, "other");
    await expect(unpackMembers(archive, other, { "a.bin": hash("one"), "b.bin": hash("2") })).rejects.toThrow(
      FormatError,
    );
    await expect(unpackMembers(archive, other, { "c.bin": hash("one") })).rejects.toThrow(/c\.bin/);
    await writeFile(archive, "no archive");
    await expect(unpackMembers(archive, other, { "a.bin": hash("one") })).rejects.toThrow(FormatError);
    expect(await readdir(other)).toEqual([]);
  });
});
