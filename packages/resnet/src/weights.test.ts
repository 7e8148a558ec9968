import { readFileSync } from "node:fs";
import { createRng, isWorstcaseError } from "@worstcase/core";
import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { readFixture } from "../test/testData.js";
import { type Architecture, families, parameterShapes } from "./architecture.js";
import { checkWeights, detectArchitecture } from "./detect.js";
import { initialWeights } from "./training/parameters.js";
import { loadWeights, saveWeights, type WeightTensor } from "./weights.js";

const file = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)));

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isWorstcaseError(error)) return error.code;
    throw error;
  }
  return "no error";
}

describe.each(["checkpoint.pth", "checkpoint-legacy.pth"])("%s", (name) => {
  it("gives every type, transposed and offset views, without the wrapper, the prefix and the counters", () => {
    const eighths = [0, 1, 2, 3, 4, 5].map((k) => k / 8);
    const weights = loadWeights(file(name));
    expect([...weights.keys()]).toEqual(["f32", "f64", "f16", "bf16", "i64", "transposed", "offset"]);
    for (const key of ["f32", "f64", "f16", "bf16"]) expect([...weights.get(key)!.data]).toEqual(eighths);
    expect([...weights.get("i64")!.data]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(weights.get("transposed")!.shape).toEqual([3, 2]);
    expect([...weights.get("transposed")!.data]).toEqual([0, 3, 1, 4, 2, 5].map((k) => k / 8));
    expect([...weights.get("offset")!.data]).toEqual([2, 3, 4].map((k) => k / 8));
  });

  it("is refused when truncated anywhere", () => {
    const bytes = file(name);
    for (let length = 0; length < bytes.length - 1; length += 37) {
      expect(
        codeOf(() => loadWeights(bytes.slice(0, length))),
        `${length} bytes`,
      ).toBe("format");
    }
  });

  it("never fails in an untyped way when a byte is damaged", () => {
    const bytes = file(name);
    const rng = createRng(11);
    for (let trial = 0; trial < 300; trial++) {
      const damaged = bytes.slice();
      damaged[rng.integer(bytes.length)] = rng.integer(256);
      expect(["no error", "format", "unsupported"]).toContain(codeOf(() => loadWeights(damaged)));
    }
  });
});

describe("a pickle with another name", () => {
  const ascii = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  it.each([
    ["a call of os.system", "cos\nsystem\n(S'echo'\ntR."],
    ["a call of eval", "c__builtin__\neval\n(S'1'\ntR."],
    ["a method of Object", "cconstructor\nconstructor\n(S'return 1'\ntR."],
    ["an instance", "(S'x'\nios\nsystem\n."],
    ["a storage class that is called", "ctorch\nFloatStorage\n(tR."],
    ["attributes on a storage class", "ctorch\nFloatStorage\n}S'bytes'\nI1\nsb."],
    ["a tensor without storage", "ctorch._utils\n_rebuild_tensor_v2\n(S'x'\nI0\n(I1\nt(I1\nttR."],
    ["a number instead of a dictionary", "I1\n."],
  ])("is refused: %s", (_, pickle) => {
    const bytes = zipSync({ "archive/data.pkl": ascii(pickle) }, { level: 0 });
    expect(codeOf(() => loadWeights(bytes))).toBe("format");
  });

  it("names what it refused", () => {
    const bytes = zipSync({ "archive/data.pkl": ascii("cos\nsystem\n(S'echo'\ntR.") }, { level: 0 });
    expect(() => loadWeights(bytes)).toThrow(/os\.system/);
  });

  it("refuses compressed members and zip files of something else", () => {
    expect(codeOf(() => loadWeights(zipSync({ "a/data.pkl": new Uint8Array(4000) }, { level: 9 })))).toBe("format");
    expect(codeOf(() => loadWeights(zipSync({ "readme.txt": ascii("hello") }, { level: 0 })))).toBe("format");
  });
});

describe("safetensors", () => {
  it("is refused when truncated, and other bytes are too", () => {
    const { bytes } = readFixture("preact-plain");
    for (const length of [0, 7, 8, 100, bytes.length - 1]) {
      expect(
        codeOf(() => loadWeights(bytes.slice(0, length))),
        `${length} bytes`,
      ).toBe("format");
    }
    expect(codeOf(() => loadWeights(new Uint8Array(64).fill(255)))).toBe("format");
    expect(codeOf(() => loadWeights("weights" as never))).toBe("setting");
  });

  it("keeps weights exactly through saveWeights", () => {
    const { weights } = readFixture("resnet20");
    expect(loadWeights(saveWeights(weights, { note: "x" }))).toEqual(weights);
  });
});

describe("detectArchitecture", () => {
  const all: Architecture[] = Object.keys(families).flatMap((name) =>
    [1 / 8, 1 / 4].flatMap((width) =>
      [null, 7].flatMap((classCount) =>
        [false, true]
          .filter((finalNorm) => !finalNorm || name.startsWith("preact"))
          .map((finalNorm) => ({ name: name as Architecture["name"], width, finalNorm, classCount })),
      ),
    ),
  );
  it.each(all)("finds %o again from its weights", (architecture) => {
    expect(detectArchitecture(initialWeights(architecture, createRng(1)))).toEqual(architecture);
  });

  it("counts the parameters of the published networks", () => {
    const count = (name: Architecture["name"]) => {
      const shapes = parameterShapes({ name, width: 1, finalNorm: false, classCount: 10 });
      return [...shapes].reduce((sum, [part, shape]) => {
        return part.includes("running") ? sum : sum + shape.reduce((product, length) => product * length, 1);
      }, 0);
    };
    // He et al. 2015, table 6: 0.27 M and 0.85 M; the PyTorch networks have 269,722 and 853,018
    expect(count("resnet20")).toBe(269722);
    expect(count("resnet56")).toBe(853018);
  });

  const changed = (change: (weights: Map<string, WeightTensor>) => void) => {
    const weights = new Map(readFixture("preact-plain").weights);
    change(weights);
    return () => detectArchitecture(weights);
  };
  it("names the tensor at fault", () => {
    const wrong = { shape: [8, 4, 3, 2], data: new Float32Array(192) };
    expect(changed((weights) => weights.set("layer3.0.conv1.weight", wrong))).toThrow(
      "layer3.0.conv1.weight: expected shape [8, 4, 3, 3], got [8, 4, 3, 2]",
    );
    expect(changed((weights) => weights.delete("layer2.1.bn1.bias"))).toThrow(/layer2\.1\.bn1\.bias.*no such tensor/);
    expect(changed((weights) => weights.set("layer4.1.shortcut.0.weight", wrong))).toThrow(/layer4\.1\.shortcut/);
    expect(changed((weights) => weights.delete("layer4.1.conv1.weight"))).toThrow(/7 blocks/);
    expect(changed((weights) => weights.delete("conv1.weight"))).toThrow(/conv1\.weight/);
    expect(changed((weights) => weights.clear())).toThrow(/conv1\.weight/);
  });

  it("refuses NaN and negative variances, and lets a head of its own pass", () => {
    const filled = (value: number) => ({ shape: [2], data: new Float32Array(2).fill(value) });
    expect(codeOf(changed((weights) => weights.set("layer1.0.bn1.weight", filled(Number.NaN))))).toBe("data");
    expect(codeOf(changed((weights) => weights.set("layer1.0.bn1.running_var", filled(-1))))).toBe("data");
    expect(changed((weights) => weights.set("linear2.weight", filled(1)))().classCount).toBe(10);
    const { weights } = readFixture("preact-plain");
    const wide: Architecture = { name: "preact-resnet18", width: 1, finalNorm: false, classCount: 10 };
    expect(() => checkWeights(wide, weights)).toThrow(/conv1\.weight: expected shape \[64, 3, 3, 3\]/);
  });
});
