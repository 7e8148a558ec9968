import { DataError, FormatError, SettingError, type WorkEvent } from "@worstcase/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataFolder, skipReason } from "../../test/dataFolder.js";
import { readTable } from "./readTable.js";

describe("readTable", () => {
  it("detects header and separator, and numbers the classes in order", async () => {
    const table = await readTable({ text: "a;b;kind\n1;2.5;dog\n-3e1;.5;cat\n5;6;dog\n" });
    expect(Array.from(table.inputs.data)).toEqual([1, 2.5, -30, 0.5, 5, 6]);
    expect(table.inputs.shape).toEqual([3, 2]);
    expect([table.classNames, [...table.labels], table.featureNames]).toEqual([
      ["cat", "dog"],
      [1, 0, 1],
      ["a", "b"],
    ]);
    const plain = await readTable({ text: "1 2  7\n3   4 10\r\n5 6 7" });
    expect([plain.classNames, [...plain.labels], plain.featureNames]).toEqual([
      ["7", "10"],
      [0, 1, 0],
      ["column 0", "column 1"],
    ]);
  });

  it("takes quoted cells, a byte order mark, CRLF and empty lines", async () => {
    const table = await readTable({ text: '\uFEFF"size, big",label\r\n"1","x, y"\r\n\r\n2,z\r\n' });
    expect([table.featureNames, table.classNames, [...table.inputs.data]]).toEqual([
      ["size, big"],
      ["x, y", "z"],
      [1, 2],
    ]);
  });

  it("takes the label by name, by position and from the end, and leaves columns out", async () => {
    const text = "id\tclass\tx\n9\t1\t0.5\n8\t0\t0.25\n";
    for (const label of ["class", 1, -2]) {
      const table = await readTable({ text }, { label, ignore: ["id"] });
      expect([[...table.labels], [...table.inputs.data], table.featureNames]).toEqual([[1, 0], [0.5, 0.25], ["x"]]);
    }
  });

  it("reads back what was written, for any numbers and separator", async () => {
    const row = fc.tuple(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 2, maxLength: 8 }),
        fc.constantFrom(",", ";", "\t", " "),
        async (rows, separator) => {
          const text = rows.map(([a, b], i) => [a, b, `class${i % 2}`].join(separator)).join("\n");
          const table = await readTable({ text });
          expect(Array.from(table.inputs.data)).toEqual(rows.flat().map((value) => Number(String(value))));
          expect([...table.labels]).toEqual(rows.map((_, i) => i % 2));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("refuses missing cells unless told how to fill them", async () => {
    const text = "1,?,a\n3,4,b\n,8,a\n";
    await expect(readTable({ text })).rejects.toThrow(/row 1, column 1.*missing/);
    const zero = await readTable({ text }, { missing: "zero" });
    expect([[...zero.inputs.data], zero.filled]).toEqual([[1, 0, 3, 4, 0, 8], 2]);
    const mean = await readTable({ text }, { missing: "mean" });
    expect([...mean.inputs.data]).toEqual([1, 6, 3, 4, 2, 8]);
    await expect(readTable({ text: "?,a\n?,b" }, { missing: "mean" })).rejects.toThrow(DataError);
  });

  it("names row and column of a cell that is no finite number", async () => {
    for (const cell of ["red", "NaN", "Infinity", "1e999", "0x10", "1,5"]) {
      const text = `x;y;class\n1;2;a\n3;${cell};b\n4;5;a`;
      await expect(readTable({ text }), cell).rejects.toThrow(
        new RegExp(`row 3, y: expected a finite number, got ${cell}`),
      );
    }
  });

  it("reports constant features", async () => {
    const events: WorkEvent[] = [];
    const table = await readTable({ text: "1,5,a\n2,5,b" }, { onEvent: (event) => events.push(event) });
    expect(table.constantFeatures).toEqual(["column 1"]);
    expect(events).toMatchObject([{ type: "warning", warning: { code: "constant-feature" } }]);
  });

  it("evaluation: one row, one class or no label column at all", async () => {
    const one = await readTable({ text: "1,2,a" }, { purpose: "evaluate" });
    expect([one.inputs.shape, one.classNames, one.constantFeatures]).toEqual([[1, 2], ["a"], []]);
    const none = await readTable({ text: "x,y\n1,2\n3,4" }, { purpose: "evaluate", label: null });
    expect([none.inputs.shape, none.classNames, Array.from(none.labels)]).toEqual([[2, 2], [], [0, 0]]);
    expect([none.targets, none.featureNames]).toEqual([null, ["x", "y"]]);
    await expect(readTable({ text: "1,2\n3,4" }, { label: null })).rejects.toThrow(SettingError);
    await expect(readTable({ text: "x,y" }, { purpose: "evaluate", label: null })).rejects.toThrow(DataError);
  });

  it("regression: the label column holds numbers", async () => {
    const table = await readTable({ text: "1,2.5\n2,-1e3" }, { purpose: "regression" });
    expect([Array.from(table.targets!), table.classNames]).toEqual([[2.5, -1000], []]);
    await expect(readTable({ text: "1,2.5\n2,high" }, { purpose: "regression" })).rejects.toThrow(/row 2/);
    await expect(readTable({ text: "1,2.5\n2," }, { purpose: "regression" })).rejects.toThrow(
      /finite number to predict/,
    );
    const purpose = "guess" as never;
    await expect(readTable({ text: "1,a\n2,b" }, { purpose })).rejects.toThrow(SettingError);
  });

  it("refuses what is no table of classes", async () => {
    const refused = (text: string, options = {}) => expect(readTable({ text }, options)).rejects;
    await refused("").toThrow(DataError);
    await refused("1,2,a").toThrow(/at least two rows/);
    await refused("1,a\n2,a").toThrow(/at least two classes/);
    await refused("a\nb").toThrow(/at least one feature column/);
    await refused("1,2,a\n3,b\n5,6,b").toThrow(FormatError);
    await refused('1,"2,a\n3,4,b').toThrow(FormatError);
    await refused("1,a\n2,?").toThrow(/row 2/);
    await refused("x,x,y\n1,2,a\n3,4,b").toThrow(/different column names/);
    await refused("1,a\n2,b", { label: "kind" }).toThrow(SettingError);
    await refused("1,a\n2,b", { ignore: [7] }).toThrow(SettingError);
    await refused("1,a\n2,b", { separator: "|" }).toThrow(SettingError);
    await refused("1,a\n2,b", { missing: "guess" }).toThrow(SettingError);
    await expect(readTable({ path: "/no/such/file.csv" })).rejects.toThrow(DataError);
  });
});

describe.skipIf(!dataFolder)(`UCI tables (${dataFolder ? "found" : skipReason})`, () => {
  // Rows, features and class counts as published with the sets.
  const tables: [string, object, number, number, number[]][] = [
    ["ionosphere.data", {}, 351, 34, [126, 225]],
    ["sonar.all-data", {}, 208, 60, [111, 97]],
    ["parkinsons.data", { label: "status", ignore: ["name"] }, 195, 22, [48, 147]],
    ["pima-indians-diabetes.data", {}, 768, 8, [500, 268]],
    ["data_banknote_authentication.txt", {}, 1372, 4, [762, 610]],
    ["spambase.data", {}, 4601, 57, [2788, 1813]],
    ["heart.dat", {}, 270, 13, [150, 120]],
  ];
  it.each(tables)("%s", async (file, options, rows, features, counts) => {
    const table = await readTable({ path: `${dataFolder}/uci/${file}` }, options);
    expect(table.inputs.shape).toEqual([rows, features]);
    expect(counts.map((_, label) => table.labels.filter((other) => other === label).length)).toEqual(counts);
    expect(table.constantFeatures).toEqual(file === "ionosphere.data" ? ["column 1"] : []);
  });
});
