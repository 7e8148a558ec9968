// One thread's share of the extractor: runs chunks of images through a frozen network and keeps what a later pullback needs.
// What is kept is bounded: beyond `keptBytesLimit` only the images are held and the forward pass is repeated, with equal results.

import { SettingError } from "@worstcase/core";
import { type BackendName, useBackend } from "@worstcase/tensor";
import { activate } from "./backend.js";
import type { FoldedNetwork } from "./fold.js";
import { FrozenNetwork, type Kept, release } from "./frozenNetwork.js";

/** What `LocalEngine` and its twin in a worker thread do. Images [count, 32, 32, 3], features and their gradients [count, features]. */
export interface Engine {
  features(images: Float32Array, count: number): Promise<Float32Array>;
  /** Features; the forward pass is kept under `id`. */
  linearise(id: number, images: Float32Array, count: number): Promise<Float32Array>;
  /** Gradient with respect to the images of the forward pass `id`, which is then forgotten. */
  pullbackKept(id: number, featureGradient: Float32Array): Promise<Float32Array>;
  forget(id: number): Promise<void>;
  pullback(images: Float32Array, count: number, featureGradient: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

const defaultKeptBytes = 768 * 2 ** 20;

export class LocalEngine implements Engine {
  private readonly kept = new Map<number, Kept | { readonly images: Float32Array; readonly count: number }>();
  private keptBytes = 0;

  private constructor(
    private readonly network: FrozenNetwork,
    private readonly backend: BackendName,
    private readonly keptBytesLimit: number,
  ) {}

  /** Activates the backend and puts the network on it. */
  static async create(
    folded: FoldedNetwork,
    backend: BackendName,
    keptBytesLimit = defaultKeptBytes,
  ): Promise<LocalEngine> {
    await useBackend(backend);
    return new LocalEngine(new FrozenNetwork(folded), backend, keptBytesLimit);
  }

  async features(images: Float32Array, count: number): Promise<Float32Array> {
    await activate(this.backend);
    return (await this.network.forward(images, count, false)).data;
  }

  async linearise(id: number, images: Float32Array, count: number): Promise<Float32Array> {
    await activate(this.backend);
    const keep = this.keptBytes < this.keptBytesLimit;
    const { data, kept } = await this.network.forward(images, count, keep);
    this.keptBytes += kept?.bytes ?? 0;
    this.kept.set(id, kept ?? { images, count });
    return data;
  }

  async pullbackKept(id: number, featureGradient: Float32Array): Promise<Float32Array> {
    const kept = this.kept.get(id);
    if (!kept) {
      throw new SettingError({ argument: "id", expected: "a kept forward pass", received: id, hint: "was it closed?" });
    }
    this.kept.delete(id);
    if ("images" in kept) return this.pullback(kept.images, kept.count, featureGradient);
    await activate(this.backend);
    this.keptBytes -= kept.bytes;
    return this.network.pullback(kept, featureGradient);
  }

  async forget(id: number): Promise<void> {
    const kept = this.kept.get(id);
    this.kept.delete(id);
    if (!kept || "images" in kept) return;
    this.keptBytes -= kept.bytes;
    release(kept);
  }

  async pullback(images: Float32Array, count: number, featureGradient: Float32Array): Promise<Float32Array> {
    await activate(this.backend);
    const { kept } = await this.network.forward(images, count, true);
    return this.network.pullback(kept!, featureGradient);
  }

  async close(): Promise<void> {
    for (const id of [...this.kept.keys()]) await this.forget(id);
    this.network.dispose();
  }
}
