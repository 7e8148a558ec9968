// Instances of the compiled kernels with their memory. Making one and letting the collector find it again costs about
// 0.2 ms, more than a small problem takes: instances of disposed workspaces are kept for the next ones, up to a limit.

import { engine, type WasmMemory } from "./engine.js";

/** WebAssembly counts memory in pages of 64 KiB. */
export const PAGE = 65536;
/** Bytes kept per compiled module. */
const KEPT = 2 ** 25;

export interface Instance<Exports extends { readonly memory: WasmMemory }> {
  readonly exports: Exports;
  /** All of the memory. */
  values: Float64Array;
}

export class Instances<Exports extends { readonly memory: WasmMemory }> {
  private readonly free: Instance<Exports>[] = [];
  private kept = 0;

  constructor(private readonly module: object) {}

  /** An instance with room for what `bytes` says; its memory holds anything. Throws what the engine throws when it cannot. */
  take(bytes: (exports: Exports) => number): Instance<Exports> {
    const instance = this.reuse(bytes) ?? this.create();
    const { memory } = instance.exports;
    const pages = Math.ceil(bytes(instance.exports) / PAGE) - memory.buffer.byteLength / PAGE;
    if (pages > 0) memory.grow(pages);
    if (instance.values.buffer !== memory.buffer) instance.values = new Float64Array(memory.buffer);
    return instance;
  }

  /** Takes an instance back that nothing uses any more. */
  give(instance: Instance<Exports>): void {
    const { byteLength } = instance.values;
    if (this.kept + byteLength > KEPT) return;
    this.kept += byteLength;
    this.free.push(instance);
  }

  /** The smallest free instance that is large enough, or the largest of all to be grown. */
  private reuse(bytes: (exports: Exports) => number): Instance<Exports> | undefined {
    const { free } = this;
    if (free.length === 0) return undefined;
    const needed = bytes(free[0].exports);
    let best = 0;
    for (let i = 1; i < free.length; i++) {
      const [size, bestSize] = [free[i].values.byteLength, free[best].values.byteLength];
      if (bestSize < needed ? size > bestSize : size >= needed && size < bestSize) best = i;
    }
    const [instance] = free.splice(best, 1);
    this.kept -= instance.values.byteLength;
    return instance;
  }

  private create(): Instance<Exports> {
    if (!engine) throw new RangeError("this engine has no WebAssembly");
    const exports = new engine.Instance(this.module, {}).exports as unknown as Exports;
    return { exports, values: new Float64Array(exports.memory.buffer) };
  }
}
