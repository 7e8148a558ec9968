// The part of the WebAssembly interface this package uses; the shared type settings include no browser library.

export interface Engine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
}

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

export const engine = (globalThis as { WebAssembly?: Engine }).WebAssembly;
