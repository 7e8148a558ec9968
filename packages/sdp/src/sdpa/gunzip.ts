// Unpacks gzip with what the platform brings: zlib in Node, DecompressionStream elsewhere. Both check length and CRC.

import { FormatError, SettingError, UnsupportedError } from "@worstcase/core";

const gibibyte = 2 ** 30;

export const isGzip = (bytes: Uint8Array) => bytes[0] === 0x1f && bytes[1] === 0x8b;

export function gunzipSync(bytes: Uint8Array, name: string, largest = gibibyte): Uint8Array {
  checkLimit(largest);
  const zlib = globalThis.process?.getBuiltinModule?.("node:zlib");
  if (!zlib) {
    const hint = "use readSdpaAsync here";
    throw new UnsupportedError({ argument: name, expected: "text, outside Node", received: "gzip", hint });
  }
  try {
    return zlib.gunzipSync(bytes, { maxOutputLength: largest });
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(name, largest);
    throw broken(name, error);
  }
}

export async function gunzip(bytes: Uint8Array, name: string, largest = gibibyte): Promise<Uint8Array> {
  if (globalThis.process?.getBuiltinModule !== undefined) return gunzipSync(bytes, name, largest);
  checkLimit(largest);
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("gzip"));
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw broken(name, error);
    });
    if (done) break;
    length += value.length;
    if (length > largest) {
      await reader.cancel();
      throw tooLarge(name, largest);
    }
    chunks.push(value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function checkLimit(largest: number): void {
  if (Number.isSafeInteger(largest) && largest > 0) return;
  throw new SettingError({ argument: "options.largestUnpacked", expected: "an integer > 0", received: largest });
}

function tooLarge(name: string, largest: number): FormatError {
  const hint = "raise largestUnpacked if the file is trusted";
  return new FormatError({
    argument: name,
    expected: `at most ${largest} bytes when unpacked`,
    received: "more",
    hint,
  });
}

function broken(name: string, cause: unknown): FormatError {
  const received = cause instanceof Error ? cause.message : String(cause);
  return new FormatError({ argument: name, expected: "an intact gzip file", received }, { cause });
}
