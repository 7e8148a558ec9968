// The interior point on SDPLIB 1.2 against the optima published with the collection (B. Borchers, Optimization Methods and
// Software 11:683-690, 1999). A value must agree in the digits printed, the worst DIMACS error must be at most 1e-7; for the
// hinf family, whose members are close to infeasible, 1e-4. The slowest problems run in apps/bench (suite sdp) only.

import { describe, expect, it } from "vitest";
import { readSdpa } from "../src/sdpa/readSdpa.js";
import { solve } from "../src/solve.js";
import { sdplibFile, sdplibMissing, sdplibNames, sdplibSizes } from "./sdplib.js";

/** Measured in apps/bench: minutes of a shared machine in sum. */
const slow = new Set(["control6", "maxG11", "mcp500-1", "qap7", "qap9", "qpG11"]);
/** Published as 2e-1; this solver and CSDP find about 1e-5 with all errors below 1e-5, so the printed digit is not a fact. */
const doubtful = new Set(["hinf12"]);

describe.skipIf(sdplibMissing)(`SDPLIB ${sdplibMissing ?? ""}`, () => {
  const published = sdplibMissing ? new Map() : sdplibSizes();
  const names = sdplibMissing ? [] : sdplibNames().filter((name) => !slow.has(name) && published.has(name));

  it.each(names)(
    "%s",
    (name) => {
      const { optimum } = published.get(name);
      const result = solve(readSdpa(sdplibFile(name)));
      if (optimum.endsWith("infeasible")) {
        expect(result.status).toBe(optimum.replace(" ", "-"));
        if (!("certificate" in result)) throw new Error("no certificate");
        expect(result.check.worst).toBeLessThan(1e-7);
        return;
      }
      if (result.status !== "optimal") throw new Error(result.status);
      expect(result.check.worst).toBeLessThan(name.startsWith("hinf") ? 1e-4 : 1e-7);
      const unit = 10 ** (Number(optimum.split("e")[1]) - (optimum.split("e")[0].split(".")[1] ?? "").length);
      if (doubtful.has(name)) return;
      expect(Math.abs(result.check.objective.primal - Number(optimum))).toBeLessThanOrEqual(unit);
    },
    120_000,
  );
});
