import { describe, expect, it } from "vitest";
import { compare, median } from "./compare.js";

describe("compare", () => {
  it("interleaves the cases, counts units and gives ratios to the first", async () => {
    let now = 0;
    const order: string[] = [];
    const make = (name: string, cost: number, units: number) => ({
      name,
      units,
      run: () => {
        order.push(name);
        now += cost;
      },
    });
    const rows = await compare([make("slow", 6, 1), make("fast", 2, 2)], { repeats: 3, clock: () => now });
    expect(order.slice(4)).toEqual(["slow", "fast", "fast", "slow", "slow", "fast"]);
    expect(rows).toEqual([
      { name: "slow", median: 6, minimum: 6, repeats: 3, ratio: 1 },
      { name: "fast", median: 1, minimum: 1, repeats: 3, ratio: 6 },
    ]);
  });

  it("repeats short runs inside one measurement and stops when the time is spent", async () => {
    let now = 0;
    let runs = 0;
    const quick = {
      name: "quick",
      units: 1,
      run: () => {
        now += 0.25;
        runs++;
      },
    };
    const rows = await compare([quick], { repeats: 100, leastSeconds: 1, budgetSeconds: 3, clock: () => now });
    expect(rows[0]).toMatchObject({ median: 0.25, repeats: 3 });
    expect(runs).toBe(2 + 3 * 4);
  });
});

describe("median", () => {
  it("takes the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });
});
