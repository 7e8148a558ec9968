// The float32 WebAssembly kernels of wasm/assembly/hinge32.ts in a memory of their own, sized once. Places are in bytes.

import { binary } from "./hinge32.generated.js";

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  setScratch(at: number): void;
  forward(...values: number[]): void;
  backward(...values: number[]): void;
  hinge(...values: number[]): void;
  compact(...values: number[]): number;
}

// The part of the WebAssembly interface used here; its types come with the DOM library, which this package does not need.
interface Engine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const engine = (globalThis as { WebAssembly?: Engine }).WebAssembly;
const PAGE = 65536;
const TABLE_BYTES = 32768;

const bytesOf = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** Whether this engine runs the float32 kernels. */
export function hasKernel32(): boolean {
  return engine?.validate(bytesOf(binary)) ?? false;
}

/** Columns of a padded row. */
export const padded = (columns: number) => 32 * Math.ceil(columns / 32);

export class Kernel32 {
  readonly run: Exports;
  private next: number;

  /** `bytes` for all that `take` will give; `turnedBytes` for the turned bits of the largest product. */
  constructor(bytes: number, turnedBytes: number) {
    if (!engine) throw new Error("this JavaScript engine has no WebAssembly");
    const instance = new engine.Instance(new engine.Module(bytesOf(binary)), { env: { abort: () => undefined } });
    this.run = instance.exports as Exports;
    const start = 64 * Math.ceil((this.run.memory.buffer.byteLength + 64) / 64);
    this.next = 64 * Math.ceil((start + TABLE_BYTES + turnedBytes) / 64);
    this.run.memory.grow(Math.ceil((this.next + bytes + 4096 - this.run.memory.buffer.byteLength) / PAGE));
    this.run.setScratch(start);
  }

  /** A place of so many bytes, zero-filled, aligned to 64. */
  take(bytes: number): number {
    const at = this.next;
    this.next = 64 * Math.ceil((at + bytes) / 64);
    return at;
  }

  mark(): number {
    return this.next;
  }

  release(mark: number): void {
    this.next = mark;
  }

  /** Makes sure that `bytes` can be taken; views made before are detached when it returns true. */
  reserve(bytes: number): boolean {
    const missing = this.next + bytes + 4096 - this.run.memory.buffer.byteLength;
    if (missing <= 0) return false;
    this.run.memory.grow(Math.ceil(missing / PAGE));
    return true;
  }

  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.run.memory.buffer, at, length);
  }

  doubles(at: number, length: number): Float64Array {
    return new Float64Array(this.run.memory.buffer, at, length);
  }

  words(at: number, length: number): Int32Array {
    return new Int32Array(this.run.memory.buffer, at, length);
  }

  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.run.memory.buffer, at, length);
  }
}
