import { ResourceError } from "@worstcase/core";
import { chooseKernels, type Kernels } from "@worstcase/linalg";
import { describe, expect, it } from "vitest";
import { sampleGates } from "../patterns/sampleGates.js";
import { createProgram } from "../program/program.js";
import { clouds } from "../testing/problems.js";
import { type FitReluOptions, fitRelu, type ReluMethod } from "./fitRelu.js";
import { checkSolverMemory, gatesThatFit, solverBytes } from "./solverBytes.js";

const methods: readonly ReluMethod[] = ["interior-point", "admm", "augmented-lagrangian"];

/** Bytes of all Float64Arrays and of the largest sum of workspaces that `work` takes. */
async function takenBytes(work: (kernels: Kernels) => Promise<unknown>): Promise<number> {
  const real = globalThis.Float64Array;
  const base = chooseKernels();
  let numbers = 0;
  const kernels: Kernels = {
    ...base,
    name: base.name,
    bytes: (count, order) => base.bytes(count, order),
    workspace: (count) => {
      numbers += count;
      return base.workspace(count);
    },
  };
  globalThis.Float64Array = new Proxy(real, {
    construct(target, args) {
      const made = Reflect.construct(target, args, target) as Float64Array;
      if (typeof args[0] === "number") numbers += made.length;
      return made;
    },
  });
  try {
    await work(kernels);
  } finally {
    globalThis.Float64Array = real;
  }
  return 8 * numbers;
}

describe("predicted memory of the ReLU solvers", () => {
  const { features, labels, rng } = clouds(5, 900, 12, 2);
  const gates = sampleGates(features, { count: 40, rng });
  const options = { gates, norm: "l2", radius: 1e-3, beta: 1e-3 } as const;
  const program = createProgram(features, { kind: "classes", labels, classCount: 2 }, options);

  it.each(methods)("%s: about what one iteration takes", async (method) => {
    let open = 0;
    const fit = async (kernels: Kernels) => {
      const result = await fitRelu(features, labels, 2, { ...options, method, maximumIterations: 1, kernels });
      open = result.cones.open;
    };
    const taken = await takenBytes(fit);
    expect(open).toBeGreaterThan(10);
    const predicted = solverBytes(program, method, chooseKernels(), open);
    expect(predicted / taken).toBeGreaterThan(0.8);
    expect(predicted / taken).toBeLessThan(1.6);
  });

  it.each(methods)("%s: linear in samples and refused in one sentence", (method) => {
    const kernels = chooseKernels();
    const bytes = (samples: number) => solverBytes({ ...program, samples }, method, kernels);
    const [first, second] = [bytes(40_000) - bytes(20_000), bytes(60_000) - bytes(40_000)];
    // the workspace is aligned; the interior-point method is linear once its system is the one over pieces
    expect(Math.abs(second / first - 1)).toBeLessThan(1e-3);
    const huge = { ...program, samples: 5_000_000 };
    const refuse = (limit: number) => checkSolverMemory(huge, method, kernels, 40, limit);
    expect(() => refuse(2 ** 30)).toThrow(/within 1\.00 GiB.*it would take \d+\.\d\d GiB/s);
    expect(() => refuse(2 ** 30)).toThrow(ResourceError);
    expect(() => refuse(2 ** 40)).not.toThrow();
  });

  it("auto takes the interior-point method beyond 4,000 samples where few cones are open", async () => {
    const many = clouds(5, 4200, 6, 2);
    const own = sampleGates(many.features, { count: 12, rng: many.rng });
    const result = await fitRelu(many.features, many.labels, 2, {
      ...options,
      gates: own,
      radius: 0.02,
      tolerance: 2e-2,
    });
    expect(result.cones.open * 7).toBeLessThanOrEqual(1200);
    expect(result.method).toBe("interior-point");
    expect(result.gap).toBeLessThanOrEqual(2e-2);
    const all = sampleGates(many.features, { count: 600, rng: many.rng });
    const wide = await fitRelu(many.features, many.labels, 2, {
      ...options,
      gates: all,
      radius: 0,
      maximumIterations: 1,
    });
    expect([wide.cones.open * 7 > 3600, wide.method]).toEqual([true, "admm"]);
  });

  it("the most gates that fit", () => {
    const kernels = chooseKernels();
    const limit = solverBytes(program, "interior-point", kernels, 17);
    expect(gatesThatFit(program, "interior-point", kernels, 40, limit)).toBe(17);
    expect(gatesThatFit(program, "interior-point", kernels, 12, limit)).toBe(12);
    expect(gatesThatFit(program, "interior-point", kernels, 40, 10)).toBe(0);
  });

  it.each(methods)("%s: a fit beyond the machine is refused before it starts", async (method) => {
    const wide = { data: Float64Array.from({ length: 600_000 }, (_, k) => Math.sin(k)), shape: [2, 300_000] };
    const one = sampleGates(wide, { count: 1, rng });
    const far: FitReluOptions = { ...options, gates: one, method };
    const started = performance.now();
    await expect(fitRelu(wide, Int32Array.of(0, 1), 2, far)).rejects.toThrow(ResourceError);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
