import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { inflateSync } from "node:zlib";
import { AbortedError, DataError, FormatError, SettingError } from "@worstcase/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dataFolder, skipReason } from "../../test/dataFolder.js";
import { loadCifar10 } from "./loadCifar10.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "cifar10-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Record r of batch b: label (b + r) % 10, value of channel c at (y, x) = (7 b + 5 r + 31 c + 3 y + x) % 256. */
const valueAt = (b: number, r: number, c: number, y: number, x: number) => (7 * b + 5 * r + 31 * c + 3 * y + x) % 256;
function batch(b: number, records: number): Uint8Array {
  const bytes = new Uint8Array(records * 3073);
  let i = 0;
  for (let r = 0; r < records; r++) {
    bytes[i++] = (b + r) % 10;
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < 32; y++) for (let x = 0; x < 32; x++) bytes[i++] = valueAt(b, r, c, y, x);
  }
  return bytes;
}

async function folderWith(name: string, files: Record<string, Uint8Array>): Promise<string> {
  const folder = path.join(root, name);
  await mkdir(folder, { recursive: true });
  for (const [file, bytes] of Object.entries(files)) await writeFile(path.join(folder, file), bytes);
  return folder;
}

describe("binary layout", () => {
  it("gives images in height, width, channel order with labels and official positions", async () => {
    const folder = await folderWith("whole/cifar-10-batches-bin", {
      "data_batch_1.bin": batch(1, 12),
      "data_batch_3.bin": batch(3, 8),
      "test_batch.bin": batch(6, 5),
    });
    const set = await loadCifar10({
      folder: path.dirname(folder),
      trainFrom: 10,
      trainCount: 4,
      validationCount: 3,
      testCount: 2,
      testFrom: 1,
    });
    const train = await set.train.all();
    expect(train.inputs.shape).toEqual([4, 32, 32, 3]);
    expect([...train.indices]).toEqual([10, 11, 20000, 20001]);
    expect([...train.labels]).toEqual([1, 2, 3, 4]);
    const at = (i: number, y: number, x: number, c: number) => train.inputs.data[((i * 32 + y) * 32 + x) * 3 + c];
    expect(at(1, 4, 9, 2)).toBe(Math.fround(valueAt(1, 11, 2, 4, 9) / 255));
    expect(at(2, 31, 0, 1)).toBe(Math.fround(valueAt(3, 0, 1, 31, 0) / 255));
    expect([...(await set.validation!.all()).indices]).toEqual([20005, 20006, 20007]);
    expect([...(await set.test.all()).labels]).toEqual([7, 8]);
    expect([set.train.split, set.validation!.split, set.test.split]).toEqual(["train", "validation", "test"]);
  });

  it("takes everything by default, and the fingerprint follows bytes and choice", async () => {
    const files = { "data_batch_1.bin": batch(1, 6), "test_batch.bin": batch(6, 3) };
    const folder = await folderWith("plain", files);
    const set = await loadCifar10({ folder });
    expect([set.train.size, set.validation, set.test.size]).toEqual([6, undefined, 3]);
    expect((await loadCifar10({ folder, trainCount: 5 })).train.fingerprint).not.toBe(set.train.fingerprint);
    files["data_batch_1.bin"][100]! ^= 1;
    const other = await loadCifar10({ folder: await folderWith("changed", files) });
    expect(other.train.fingerprint).not.toBe(set.train.fingerprint);
    expect(other.test.fingerprint).toBe(set.test.fingerprint);
  });

  it("names the file that is missing, truncated, or has a wrong label", async () => {
    const test = batch(6, 3);
    await expect(loadCifar10({ folder: path.join(root, "nowhere") })).rejects.toThrow(/test_batch\.bin/);
    await expect(loadCifar10({ folder: await folderWith("a", { "test_batch.bin": test }) })).rejects.toThrow(
      /data_batch_1\.bin/,
    );
    const cut = await folderWith("b", { "test_batch.bin": test, "data_batch_2.bin": batch(2, 2).subarray(0, 5000) });
    await expect(loadCifar10({ folder: cut })).rejects.toThrow(FormatError);
    await expect(loadCifar10({ folder: cut })).rejects.toThrow(/data_batch_2\.bin.*3073.*5000/);
    const wrong = batch(1, 4);
    wrong[2 * 3073] = 10;
    const labelled = await folderWith("c", { "test_batch.bin": test, "data_batch_1.bin": wrong });
    await expect(loadCifar10({ folder: labelled })).rejects.toThrow(/data_batch_1\.bin, record 2.*got 10/);
    expect((await loadCifar10({ folder: labelled, trainCount: 2 })).train.size).toBe(2);
    const empty = await folderWith("d", { "test_batch.bin": test, "data_batch_1.bin": new Uint8Array() });
    await expect(loadCifar10({ folder: empty })).rejects.toThrow(FormatError);
  });

  it("refuses more than there is, and settings that are no counts", async () => {
    const folder = await folderWith("e", { "data_batch_1.bin": batch(1, 6), "test_batch.bin": batch(6, 3) });
    await expect(loadCifar10({ folder, trainCount: 5, validationCount: 2 })).rejects.toThrow(DataError);
    await expect(loadCifar10({ folder, testCount: 4 })).rejects.toThrow(/3 test records/);
    await expect(loadCifar10({ folder, validationCount: 6 })).rejects.toThrow(DataError);
    await expect(loadCifar10({ folder, trainCount: 0 })).rejects.toThrow(SettingError);
    await expect(loadCifar10({ folder, trainFrom: 1.5 })).rejects.toThrow(SettingError);
    await expect(loadCifar10({ folder, signal: AbortSignal.abort() })).rejects.toThrow(AbortedError);
  });
});

// Two records written by Python (numpy 2.4): pickle.dumps({"labels": [3, 9], "data": d, ...}, protocol) with
// d = (arange(2 * 3072) % 251).astype(uint8).reshape(2, 3072); then zlib, base64.
const pickles: Record<string, string> = {
  "protocol 2":
    "eNrt2udTU0EQAPCXUBN670WxxBbF3nslghpbLIgvyaNoCFzyoqCg1EDovffee7fN7P5h+gj8Fc7eh5ud3b3bm9/nK5IXMk5lSDPkGAWDVSmYtwMlk+m8OI7T86IhM83E6wUTk+vcpYyJF7PMiczFzly1zE0nk1J5zH23JLVZmUcq81RpXDQKQecqZY28yDOFwWzLzs1XS1MsgjrbZhKzeIuFz1emWQRDjtkqWmwGUcmUO21Ks3Gnyrw0XDnzzpQ55+iZT6Y011fL/CqYv5YFqDQyjTyZ87azwN2DRjE/V3p8kE4u9dsSWbCjsoKFaFmo9CDnHQUsLCUlJemvtJybhhNZuN4hTahMkMoyuYurm7uHp0Lp5e3j6+cfEBgUHBIaFh4RGRUdExsXv2dvwr79Bw6qDh0+cvSY+viJxJOnTp85e+78hYuXLl+5eu36jZu3bt+5e+/+gyTNw+SUR4+faJ8+e/7ipe7V6zdvU9+lvef1BqOQnpGZ9eGjKduck8ssVtH26XNe/pevBYXfvkMRFEMJlEIZlIMdKqASHFAF1VADtVAH9dAAjdAEzdACrdAG7dABndAF3dADvdAH/TAAgzAEwzACozAG4zABkzAF0zADszAH87AAi7AEy7ACq7AG67ABm7AFP+An/ILf8AeLsBhLsBTLsBztWIGV6MAqrMYarMU6rMcGbMQmbMYWbMU2bMcO7MQu7MYe7MU+7McBHMQhHMYRHMUxHMcJnMQpnMYZnMU5nMcFXMQlXMYVXMU1XMcN3MQtUid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uid1Uv/f1FnE9kefSC2LElm0XqfgOC49yySY+WzBymJSWaxK5ybleHWuOYPFOWO9M44XbOp/gW1dZQ==",
  "protocol 4":
    "eNprYJl6V4IBDGqnaPRwJyWWJGfE5yQmpeZM6WGsmNLDBmYXT4mdouHN7M2Z2sOSkliSOKVHLK80t6BSLz45vyhVL7c0pyQzsagosXJKD098UWpyfl5xSVFpcsmUyVN6WMEqp/Sw56VAlEye4s3QOsWZMWlK+5QgoLGM3ky+DDxtUzI4e1hTSioLUkG6mEoNp3R2QBQw9zDWTPHz8/P6DwRgwpuhZEpSpxMDyOmMTMwsrGzsHJxc3Dy8fPwCgkLCIqJi4hKSUtIysnLyCopKyiqqauoamlraOrp6+gaGRsYmpmbmFpZW1ja2dvYOjk7OLq5u7h6eXt4+vn7+AYFBwSGhYeERkVHRMbFx8QmJSckpqWnpGZlZ2Tm5efkFhUXFJaVl5RWVVdU1tXX1DY1NzS2tbe0dnV3dPb19/RMmTpo8Zeq06TNmzpo9Z+68+QsWLlq8ZOmy5StWrlq9Zu269Rs2btq8Zeu27Tt27tq9Z+++/QcOHjp85Oix4ydOnjp95uy58xcuXrp85eq16zdu3rp95+69+w8ePnr85Omz5y9evnr95u279x8+fvr85eu37z9+/hr1+qjXR70+6vVRr496fdTro14f9fqo10e9Pur1Ua+Pen3U66NeH/X6qNdHvT7q9VGvj3p92Hp9SsmUpB7OtMyc1LzE3FTwREUPa6JeQV76lB7WJDCdWqoHALNm9J0=",
};

describe("python layout", () => {
  const d = (record: number, k: number) => (record * 3072 + k) % 251;

  it.each(Object.entries(pickles))("reads %s as numpy writes it", async (name, text) => {
    const pickle = inflateSync(Buffer.from(text, "base64"));
    const folder = await folderWith(`${name}/cifar-10-batches-py`, { data_batch_1: pickle, test_batch: pickle });
    const { train } = await loadCifar10({ folder: path.dirname(folder) });
    const { inputs, labels } = await train.all();
    expect([...labels]).toEqual([3, 9]);
    for (const [i, y, x, c] of [
      [0, 0, 0, 0],
      [0, 5, 7, 1],
      [1, 31, 31, 2],
    ] as const) {
      expect(inputs.data[((i * 32 + y) * 32 + x) * 3 + c]).toBe(Math.fround(d(i, c * 1024 + y * 32 + x) / 255));
    }
  });

  it("reads the byte strings of the official files, which Python 2 wrote", async () => {
    const content = Uint8Array.from({ length: 2 * 3072 }, (_, k) => d(0, k));
    const folder = await folderWith("old", {
      data_batch_1: oldPickle(content, [4, 0]),
      test_batch: oldPickle(content, [1, 2]),
    });
    const { train, test } = await loadCifar10({ folder });
    expect([...(await train.all()).labels, ...(await test.all()).labels]).toEqual([4, 0, 1, 2]);
    expect((await train.all()).inputs.data[3072 + 2]).toBe(Math.fround(d(1, 2048) / 255));
  });

  it("refuses names that could run code, damage, and other content", async () => {
    const content = new Uint8Array(2 * 3072);
    const good = oldPickle(content, [4, 0]);
    const attempt = async (name: string, bytes: Uint8Array) =>
      loadCifar10({ folder: await folderWith(name, { data_batch_1: bytes, test_batch: good }) });
    const evil = Buffer.from("cos\nsystem\n(S'true'\ntR.", "latin1");
    await expect(attempt("evil", evil)).rejects.toThrow(/data_batch_1.*os system, which is not allowed/);
    await expect(attempt("cut", good.subarray(0, 3000))).rejects.toThrow(/ends too early/);
    await expect(attempt("empty", new Uint8Array())).rejects.toThrow(FormatError);
    await expect(attempt("list", Uint8Array.of(0x80, 2, 93, 46))).rejects.toThrow(/a dictionary with data/);
    await expect(attempt("labels", oldPickle(content, [4]))).rejects.toThrow(/as many labels/);
    await expect(attempt("label", oldPickle(content, [4, 12]))).rejects.toThrow(/record 1.*got 12/);
  });
});

/** A pickle as Python 2 wrote the official batches: protocol 2 with byte strings. */
function oldPickle(content: Uint8Array, labels: readonly number[]): Uint8Array {
  const text = (value: string) => [85, value.length, ...Buffer.from(value, "latin1")];
  const name = (module: string, item: string) => [99, ...Buffer.from(`${module}\n${item}\n`, "latin1")];
  const word = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >> 24];
  const array = [
    ...name("numpy.core.multiarray", "_reconstruct"),
    113,
    1,
    ...name("numpy", "ndarray"),
    75,
    0,
    133,
    ...text("b"),
    135,
    82,
    40,
    75,
    1,
    77,
    2,
    0,
    77,
    0,
    12,
    134,
    ...name("numpy", "dtype"),
    ...text("u1"),
    75,
    0,
    75,
    1,
    135,
    82,
    40,
    75,
    3,
    ...text("|"),
    78,
    78,
    78,
    74,
    ...word(-1),
    74,
    ...word(-1),
    75,
    0,
    116,
    98,
    137,
    84,
    ...word(content.length),
    ...content,
    116,
    98,
  ];
  const list = [93, 113, 2, 40, ...labels.flatMap((label) => [75, label]), 101];
  return Uint8Array.from([128, 2, 125, 113, 0, 40, ...text("data"), ...array, ...text("labels"), ...list, 117, 46]);
}

describe.skipIf(!dataFolder)(`official files (${dataFolder ? "found" : skipReason})`, () => {
  it("have the published labels, and one record is that of the published archive", async () => {
    const { train, test } = await loadCifar10({ folder: dataFolder!, trainCount: 10, testCount: 10_000 });
    // The first ten training labels are widely printed: frog, truck, truck, deer, automobile, automobile, bird, horse, ship, cat.
    expect([...(await train.all()).labels]).toEqual([6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
    const { inputs, labels } = await test.all();
    for (let label = 0; label < 10; label++) expect(labels.filter((other) => other === label)).toHaveLength(1000);
    // First pixel of the first test image is RGB 158, 112, 49.
    expect(Array.from(inputs.data.slice(0, 3), (value) => Math.round(value * 255))).toEqual([158, 112, 49]);
  });
});
