// One fixed block of memory handed out as a stack of aligned arrays, and the checks that turn array arguments of a
// routine into positions.

import { ResourceError, SettingError, ShapeError } from "@worstcase/core";

/** Arrays start at multiples of this many numbers (64 bytes, a cache line). */
const ALIGNMENT = 8;

export const aligned = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/** Throws SettingError unless `count` is an integer >= 0. */
export function checkCount(count: number, argument: string): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new SettingError({ argument, expected: "an integer >= 0", received: count });
}

/** Throws ShapeError unless `value` is an integer from 0 to 2^31 - 1. */
export function checkDimension(value: number, argument: string): void {
  if (Number.isInteger(value) && value >= 0 && value <= 0x7fffffff) return;
  throw new ShapeError({ argument, expected: "a dimension, an integer >= 0", received: value });
}

/** The error for an output that begins where an input does. */
export function overlap(argument: string): SettingError {
  const expected = "an output apart from the inputs";
  return new SettingError({ argument, expected, received: "an array that begins at an input", hint: "use a copy" });
}

function disposed(): SettingError {
  return new SettingError({ argument: "workspace", expected: "a workspace in use", received: "one that was disposed" });
}

export class Memory {
  private top = 0;
  private closed = false;
  /** Positions of the arrays handed out; asking each array for its buffer and offset costs several times as much. */
  private positions = new WeakMap<Float64Array, number>();

  /** `values` begins with the `capacity` numbers handed out; what follows belongs to the routines. */
  constructor(
    readonly capacity: number,
    public values: Float64Array,
  ) {}

  /** Forgets the memory: from here on every request and every array is refused. */
  close(): void {
    this.closed = true;
    this.values = new Float64Array(0);
    this.positions = new WeakMap();
  }

  float64(length: number): Float64Array {
    if (this.closed) throw disposed();
    checkCount(length, "length");
    if (length > this.capacity - this.top) {
      const expected = `at most ${this.capacity - this.top} numbers, the free part of ${this.capacity}`;
      const hint = "size the workspace with workspaceSize before the first step";
      throw new ResourceError({ argument: "length", expected, received: length, hint });
    }
    const array = this.values.subarray(this.top, this.top + length);
    this.positions.set(array, this.top);
    this.top = Math.min(this.capacity, this.top + aligned(length));
    return array.fill(0);
  }

  mark(): number {
    if (this.closed) throw disposed();
    return this.top;
  }

  release(mark: number): void {
    if (this.closed) throw disposed();
    if (!Number.isInteger(mark) || mark < 0 || mark > this.top) {
      const expected = `a value of mark() not above the present level ${this.top}`;
      throw new SettingError({ argument: "mark", expected, received: mark, hint: "release in reverse order" });
    }
    this.top = mark;
  }

  /** Index of the array's first number in the memory, after checking origin, leading dimension and length. */
  position(
    array: Float64Array,
    rows: number,
    columns: number,
    leading: number,
    argument: string,
    count = 1,
    stride = 0,
  ): number {
    const position = this.positions.get(array) ?? this.subarrayPosition(array, argument);
    if (!Number.isInteger(leading) || leading < columns || leading > 0x7fffffff) {
      const expected = `a leading dimension of at least ${columns}, the length of a row`;
      throw new ShapeError({ argument: `ld${argument}`, expected, received: leading });
    }
    const empty = rows === 0 || columns === 0 || count === 0;
    const needed = empty ? 0 : (count - 1) * stride + (rows - 1) * leading + columns;
    if (array.length < needed) {
      const blocks = count > 1 ? `${count} times ` : "";
      const expected = `at least ${needed} numbers for ${blocks}[${rows}, ${columns}] with leading dimension ${leading}`;
      throw new ShapeError({ argument, expected, received: array.length });
    }
    return position;
  }

  private subarrayPosition(array: Float64Array, argument: string): number {
    if (this.closed) throw disposed();
    if (array instanceof Float64Array && array.buffer === this.values.buffer) return array.byteOffset / 8;
    const hint = "take it from workspace.float64 and copy the values into it";
    throw new SettingError({ argument, expected: "an array of this workspace", received: array, hint });
  }
}
