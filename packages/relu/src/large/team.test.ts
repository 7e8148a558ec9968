import { setTimeout as pause } from "node:timers/promises";
import { createRng } from "@worstcase/core";
import { chooseKernels } from "@worstcase/linalg";
import { expect, it } from "vitest";
import { sampleGates } from "../patterns/sampleGates.js";
import { rowsInMemory } from "./featureRows.js";
import { patternWords, type ShardTask, slot } from "./shardData.js";
import { newMail, sharedBytes, Team } from "./team.js";

it("a thread that is woken without a new command does nothing", async () => {
  const rng = createRng(2);
  const points = { data: Float64Array.from({ length: 40 }, () => rng.normal()), shape: [20, 2] };
  const gates = sampleGates(points, { count: 3, rng });
  const kernels = chooseKernels();
  const task: ShardTask = {
    ...{ rows: rowsInMemory(points), labels: new Int32Array(20), classCount: 2, gates, bias: true },
    ...{ norm: "l2", radius: 0, kernels: kernels.name, mail: newMail(18, 6, 2) },
    patterns: new Uint32Array(sharedBytes(4 * 20 * patternWords(3))),
    centres: new Float32Array(sharedBytes(160)),
    excess: new Float32Array(sharedBytes(160)),
  };
  const team = await Team.start(task, kernels, 2);
  try {
    team.findPatterns();
    for (let k = 0; k < 3; k++) {
      await pause(20);
      Atomics.notify(task.mail.control, slot.round);
      await pause(20);
      expect(Atomics.load(task.mail.control, slot.done)).toBe(1);
    }
  } finally {
    await team.close();
  }
});
