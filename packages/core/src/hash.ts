// SHA-256 fingerprints of texts and arrays.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/** Hexadecimal SHA-256 over the parts in order; each part is preceded by its length, so boundaries count. */
export function fingerprint(...parts: readonly (string | ArrayBufferView)[]): string {
  const hash = sha256.create();
  for (const part of parts) {
    const bytes =
      typeof part === "string" ? utf8ToBytes(part) : new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    hash.update(utf8ToBytes(`${typeof part === "string" ? "text" : "bytes"} ${bytes.length}\n`));
    hash.update(bytes);
  }
  return bytesToHex(hash.digest());
}
