// Members of a zip file that are stored without compression, as PyTorch writes them; views on the bytes given.
//   end record: signature, ..., u16 entries at 10, u32 size of the directory at 12, u32 its place at 16
//   directory entry: signature, u16 method at 10, u32 sizes at 20 and 24, u16 lengths of name, extra, comment at 28, u32 place at 42, name at 46
//   local header: signature, u16 lengths of name and extra at 26, name at 30, then the data
// Every place is checked against the length of the file, so that a damaged file ends in an error and never in a long loop.

import { FormatError } from "@worstcase/core";

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;

/** Whether the bytes start like a zip file. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/** Stored members by name. Throws FormatError when the file is truncated or damaged, a member is compressed, or it is larger than 4 GiB. */
export function readStoredZip(bytes: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  const entries = view.getUint16(end + 10, true);
  const members = new Map<string, Uint8Array>();
  let place = view.getUint32(end + 16, true);
  for (let i = 0; i < entries; i++) {
    need(place + 46 <= end && view.getUint32(place, true) === entrySignature, `directory entry ${i}`);
    const lengths = [28, 30, 32].map((offset) => view.getUint16(place + offset, true)) as [number, number, number];
    const next = place + 46 + lengths[0] + lengths[1] + lengths[2];
    need(next <= end, `directory entry ${i}`);
    const name = new TextDecoder().decode(bytes.subarray(place + 46, place + 46 + lengths[0]));
    const [packed, size] = [view.getUint32(place + 20, true), view.getUint32(place + 24, true)];
    if (view.getUint16(place + 10, true) !== 0 || packed !== size) {
      throw new FormatError({ argument: name, expected: "a stored member, as PyTorch writes", received: "compressed" });
    }
    const local = view.getUint32(place + 42, true);
    need(local + 30 <= place && view.getUint32(local, true) === localSignature, `header of ${name}`);
    const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    need(from + size <= end, `data of ${name}`);
    members.set(name, bytes.subarray(from, from + size));
    place = next;
  }
  return members;
}

/** The end record lies in the last 22 bytes, or before a comment of at most 65535. */
function findEnd(view: DataView): number {
  for (let place = view.byteLength - 22; place >= Math.max(0, view.byteLength - 22 - 65535); place--) {
    if (view.getUint32(place, true) === endSignature) return place;
  }
  throw damaged("end record");
}

function need(valid: boolean, part: string): void {
  if (!valid) throw damaged(part);
}

function damaged(part: string): FormatError {
  const hint = "the file may be truncated; files of more than 4 GiB are not read";
  return new FormatError({ argument: "zip file", expected: `a complete ${part}`, received: "damaged bytes", hint });
}
