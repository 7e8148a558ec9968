// Downloads one file with resume: bytes go to `path.part`, a rerun continues there if the server still has the same file (If-Range), and
// the file gets its name only after its SHA-256 and size are checked. `path.part.json` keeps the address and the server's version mark.

import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  AbortedError,
  DataError,
  FormatError,
  throwIfAborted,
  UnsupportedError,
  type WorkOptions,
} from "@worstcase/core";

export interface RemoteFile {
  readonly url: string;
  /** Where the file goes; missing folders are made. */
  readonly path: string;
  /** Hexadecimal SHA-256 of the file; without it only the size is checked. */
  readonly sha256?: string;
  /** Size of the file. */
  readonly bytes?: number;
  readonly licence: string;
}

export interface DownloadOptions extends WorkOptions {
  /** Default: the global fetch. */
  readonly fetch?: typeof globalThis.fetch;
  /** Refuse to use the network. */
  readonly offline?: boolean;
}

/** `present`: the file was there and right; nothing was fetched. */
export interface Download {
  readonly status: "downloaded" | "present";
  readonly path: string;
  readonly bytes: number;
}

/**
 * Makes sure that `file.path` holds the file. Throws UnsupportedError when offline (naming what would be fetched), DataError when the
 * server refuses or the connection breaks (run again to resume) or a wrong file already lies at the path, FormatError when the size or hash of what came is
 * wrong (it is kept as `path.rejected`), AbortedError. Emits progress in bytes.
 */
export async function downloadFile(file: RemoteFile, options: DownloadOptions = {}): Promise<Download> {
  if (existsSync(file.path)) return checkPresent(file);
  const size = file.bytes === undefined ? "" : `, ${file.bytes} bytes`;
  if (options.offline) {
    const received = `offline: would fetch ${file.url}${size} (licence: ${file.licence})`;
    throw new UnsupportedError({ argument: file.path, expected: "the file to be there already", received });
  }
  await mkdir(path.dirname(file.path), { recursive: true });
  const { hash, bytes } = await fetchPart(file, options);
  const part = `${file.path}.part`;
  await rm(`${part}.json`, { force: true });
  const wrongSize = file.bytes !== undefined && bytes !== file.bytes;
  if (wrongSize || (file.sha256 && hash !== file.sha256.toLowerCase())) {
    await rename(part, `${file.path}.rejected`);
    const expected = wrongSize ? `${file.bytes} bytes` : `SHA-256 ${file.sha256}`;
    const hint = `what came is kept as ${file.path}.rejected`;
    throw new FormatError({ argument: file.url, expected, received: wrongSize ? `${bytes} bytes` : hash, hint });
  }
  await rename(part, file.path);
  return { status: "downloaded", path: file.path, bytes };
}

async function checkPresent(file: RemoteFile): Promise<Download> {
  const { size } = await stat(file.path);
  const hash = file.sha256 ? (await hashFile(file.path)).digest("hex") : undefined;
  if ((file.bytes !== undefined && size !== file.bytes) || hash !== file.sha256?.toLowerCase()) {
    const expected = `the published file (${file.bytes ?? "?"} bytes, SHA-256 ${file.sha256 ?? "unknown"})`;
    const hint = "move it away and run again";
    throw new DataError({
      argument: file.path,
      expected,
      received: `${size} bytes, SHA-256 ${hash ?? "not asked"}`,
      hint,
    });
  }
  return { status: "present", path: file.path, bytes: size };
}

interface ResumeNote {
  readonly url: string;
  /** Strong ETag or Last-Modified. */
  readonly version: string;
}

async function fetchPart(file: RemoteFile, options: DownloadOptions): Promise<{ hash: string; bytes: number }> {
  const part = `${file.path}.part`;
  const note = await readNote(part, file.url);
  const have = note ? (await stat(part)).size : 0;
  const headers = note && have > 0 ? { Range: `bytes=${have}-`, "If-Range": note.version } : undefined;
  let response = await request(file, headers, options);
  if (headers && response.status === 416) {
    await response.body?.cancel();
    response = await request(file, undefined, options); // nothing follows what we have: start over
  }
  const resumed =
    response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`) === true;
  if (!response.body || !(response.status === 200 || (headers && resumed))) {
    await response.body?.cancel();
    const received = `status ${response.status} ${response.statusText}`.trim();
    throw new DataError({ argument: file.url, expected: "the file", received, hint: "check the address" });
  }
  const version = response.headers.get("etag") ?? response.headers.get("last-modified");
  if (version && !version.startsWith("W/")) await writeFile(`${part}.json`, JSON.stringify({ url: file.url, version }));
  else await rm(`${part}.json`, { force: true });

  const hash = resumed ? await hashFile(part) : createHash("sha256");
  let bytes = resumed ? have : 0;
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  const total = file.bytes ?? (Number.isFinite(length) ? bytes + length : 0);
  const handle = await open(part, resumed ? "a" : "w");
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      throwIfAborted(options.signal, `downloading ${file.url}`);
      hash.update(chunk);
      await handle.appendFile(chunk);
      bytes += chunk.length;
      options.onEvent?.({ type: "progress", task: `download ${path.basename(file.path)}`, done: bytes, total });
      if (file.bytes !== undefined && bytes > file.bytes) break;
    }
  } catch (cause) {
    throw broken(file, cause, options, `the connection broke after ${bytes} bytes`);
  } finally {
    await handle.close();
  }
  return { hash: hash.digest("hex"), bytes };
}

async function request(
  file: RemoteFile,
  headers: Record<string, string> | undefined,
  options: DownloadOptions,
): Promise<Response> {
  throwIfAborted(options.signal, `downloading ${file.url}`);
  const { fetch = globalThis.fetch, signal = null } = options;
  try {
    // Identity: the hash and the ranges are those of the file itself.
    return await fetch(file.url, { headers: { ...headers, "Accept-Encoding": "identity" }, signal });
  } catch (cause) {
    throw broken(file, cause, options, `no answer: ${String(cause)}`);
  }
}

function broken(file: RemoteFile, cause: unknown, { signal }: DownloadOptions, received: string): Error {
  if (cause instanceof AbortedError) return cause;
  if (signal?.aborted) {
    const details = { argument: "signal", expected: `no abort during downloading ${file.url}`, received: "aborted" };
    return new AbortedError(details, { cause });
  }
  return new DataError(
    { argument: file.url, expected: "the whole file", received, hint: "run again to resume" },
    { cause },
  );
}

async function readNote(part: string, url: string): Promise<ResumeNote | undefined> {
  if (!existsSync(part) || !existsSync(`${part}.json`)) return undefined;
  try {
    const note = JSON.parse(await readFile(`${part}.json`, "utf8")) as ResumeNote;
    return note.url === url && typeof note.version === "string" ? note : undefined;
  } catch {
    return undefined; // a damaged note: start over
  }
}

async function hashFile(file: string) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  return hash;
}

/** Throws FormatError unless the file has this SHA-256. */
export async function checkFileHash(file: string, sha256: string): Promise<void> {
  const received = (await hashFile(file)).digest("hex");
  if (received !== sha256) throw new FormatError({ argument: file, expected: `SHA-256 ${sha256}`, received });
}
