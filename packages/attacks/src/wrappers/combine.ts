// Attacks made of attacks. Every sample keeps the best point: one that fools the model before one that does not, then the larger margin.
//   repeat:  the same attack with fresh random streams, on the samples that are not fooled yet
//   inOrder: one attack after the other, each on the samples that are not fooled yet
//   bestOf:  every attack on every sample

import {
  type Classifier,
  type DifferentiableClassifier,
  gatherBatch,
  type NumericBatch,
  SettingError,
  takeSamples,
} from "@worstcase/core";
import type { Attack, AttackOptions } from "../attack.js";
import { BestPoints } from "../bestPoints.js";
import { checkAttackRun, checkInteger } from "../checks.js";
import { everySample, ModelCalls } from "../modelCalls.js";

/** The attack `times` times, the i-th with the random stream `repeat i`, for the samples not fooled before. Throws SettingError. */
export function repeat<C extends Classifier>(attack: Attack<C>, times: number): Attack<C> {
  checkInteger(times, 1, "times");
  const parts = Array.from({ length: times }, () => attack);
  return combined("repeat", parts, "repeat", true);
}

/** The attacks one after the other, each on the samples that survived the earlier ones. Throws SettingError when none is given. */
export function inOrder<C extends Classifier = DifferentiableClassifier>(...attacks: readonly Attack<C>[]): Attack<C> {
  return combined("in-order", attacks, "part", true);
}

/** The best point of all the attacks for every sample. Throws SettingError when none is given. */
export function bestOf<C extends Classifier = DifferentiableClassifier>(...attacks: readonly Attack<C>[]): Attack<C> {
  return combined("best-of", attacks, "part", false);
}

function combined<C extends Classifier>(
  name: string,
  parts: readonly Attack<C>[],
  stream: string,
  onlySurvivors: boolean,
): Attack<C> {
  if (parts.length === 0)
    throw new SettingError({ argument: "attacks", expected: "at least one attack", received: "none" });
  const norms = parts[0].needs.norms.filter((norm) => parts.every((part) => part.needs.norms.includes(norm)));
  if (norms.length === 0) {
    const received = parts.map((part) => `${part.name} in ${part.needs.norms.join(", ")}`).join("; ");
    throw new SettingError({ argument: "attacks", expected: "attacks with a norm in common", received });
  }
  const needs = {
    norms,
    gradients: parts.some((part) => part.needs.gradients),
    minimumClasses: Math.max(...parts.map((part) => part.needs.minimumClasses ?? 2)),
  };
  const full = `${name} ${[...new Set(parts.map((part) => part.name))].join(", ")}`;
  const settings = { parts: parts.map((part) => ({ name: part.name, kind: part.kind, settings: part.settings })) };
  return {
    name: full,
    kind: strongestKind(parts),
    needs,
    settings,
    async run(model, batch, options): Promise<NumericBatch> {
      checkAttackRun(model, batch, { name: full, needs }, options);
      const calls = new ModelCalls(model, batch, options.signal, full);
      const best = new BestPoints(batch);
      const everyone = everySample(batch.labels.length);
      const clean = await calls.logits(batch.inputs.data, everyone);
      best.offerAt(everyone, batch.inputs.data, calls.margins(clean, everyone), clean);
      for (const [p, part] of parts.entries()) {
        const open = onlySurvivors ? everyone.filter((i) => !best.settled[i]) : everyone;
        if (open.length === 0) break;
        const rng = options.rng.fork(`${stream} ${p}`);
        const given = options.starts?.map((start) => gatherBatch(start, open));
        const chosen: AttackOptions = { ...options, rng, starts: given };
        const moved = await part.run(model, takeSamples(batch, open), chosen);
        const points = batch.inputs.data.slice();
        for (let j = 0; j < open.length; j++) {
          points.set(moved.data.subarray(j * calls.size, (j + 1) * calls.size), open[j] * calls.size);
        }
        const logits = await calls.logits(points, open);
        best.offerAt(open, points, calls.margins(logits, open), logits);
      }
      return { data: best.points, shape: batch.inputs.shape };
    },
  };
}

function strongestKind(parts: readonly Pick<Attack, "kind">[]): Attack["kind"] {
  for (const kind of ["iterative", "single-step"] as const) if (parts.some((part) => part.kind === kind)) return kind;
  return "gradient-free";
}
