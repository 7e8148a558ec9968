// Official addresses, sizes and SHA-256 of the files the loaders read, and downloads of them into a data folder.

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import path from "node:path";
import { FormatError, throwIfAborted } from "@worstcase/core";
import { extract } from "tar";
import { checkFileHash, type DownloadOptions, downloadFile, type RemoteFile } from "./downloadFile.js";

type OfficialFile = Omit<RemoteFile, "path"> & { readonly sha256: string; readonly bytes: number };

/** Two copies of the archive's hash and size are published: in the checksum lists of TensorFlow Datasets and of several other projects. */
const cifar10Archive: OfficialFile = {
  url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  bytes: 170_052_171,
  sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
  licence: "none stated; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
};

const cifar10Members: Readonly<Record<string, string>> = {
  "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
  "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
  "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
  "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
  "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
  "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
};

const uciFolder = "https://archive.ics.uci.edu/ml/machine-learning-databases/breast-cancer-wisconsin";
const breastCancerFiles: Readonly<Record<string, OfficialFile>> = {
  "breast-cancer-wisconsin.data": {
    url: `${uciFolder}/breast-cancer-wisconsin.data`,
    bytes: 19_889,
    sha256: "402c585309c399237740f635ef9919dc512cca12cbeb20de5e563a4593f22b64",
    licence: "CC BY 4.0",
  },
  "wdbc.data": {
    url: `${uciFolder}/wdbc.data`,
    bytes: 124_103,
    sha256: "d606af411f3e5be8a317a5a8b652b425aaf0ff38ca683d5327ffff94c3695f4a",
    licence: "CC BY 4.0",
  },
};

/** Fetches both Breast Cancer Wisconsin files into `folder`/uci and returns that folder. Throws as {@link downloadFile}. */
export async function downloadBreastCancer(folder: string, options: DownloadOptions = {}): Promise<string> {
  const target = path.join(folder, "uci");
  for (const [name, file] of Object.entries(breastCancerFiles)) {
    await downloadFile({ ...file, path: path.join(target, name) }, options);
  }
  return target;
}

/**
 * Fetches the CIFAR-10 archive (binary version, 170 MB) into `folder`/cifar10, unpacks its six .bin files beside it, checks them and removes
 * the archive. Files that are there and right are kept. Returns the folder of the .bin files. Throws as {@link downloadFile}.
 */
export async function downloadCifar10(folder: string, options: DownloadOptions = {}): Promise<string> {
  const target = path.join(folder, "cifar10");
  const members = Object.entries(cifar10Members);
  if (members.every(([name]) => existsSync(path.join(target, name)))) {
    for (const [name, sha256] of members) await checkFileHash(path.join(target, name), sha256);
    return target;
  }
  const archive = path.join(target, path.basename(cifar10Archive.url));
  await downloadFile({ ...cifar10Archive, path: archive }, options);
  throwIfAborted(options.signal, "unpacking CIFAR-10");
  await unpackMembers(archive, target, cifar10Members);
  await rm(archive);
  return target;
}

/**
 * Unpacks the named files of the one top folder of a .tar.gz into `target`: first into a folder beside them, then, when every SHA-256 is
 * right, by renaming. Other members are left alone. Throws FormatError when a file is missing or differs.
 */
export async function unpackMembers(
  archive: string,
  target: string,
  members: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(target, { recursive: true });
  const beside = await mkdtemp(path.join(target, "unpacking-"));
  try {
    const isFile = (entry: object) => "type" in entry && entry.type === "File"; // no links
    const wanted = (member: string) => Object.hasOwn(members, path.posix.basename(member));
    try {
      await extract({
        file: archive,
        cwd: beside,
        strip: 1,
        filter: (member, entry) => wanted(member) && isFile(entry),
        strict: true,
      });
    } catch (cause) {
      throw new FormatError({ argument: archive, expected: "a .tar.gz", received: String(cause) }, { cause });
    }
    for (const [name, sha256] of Object.entries(members)) {
      const file = path.join(beside, name);
      if (!existsSync(file)) throw new FormatError({ argument: archive, expected: name, received: "no such member" });
      await checkFileHash(file, sha256);
    }
    for (const name of Object.keys(members)) await rename(path.join(beside, name), path.join(target, name));
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}
