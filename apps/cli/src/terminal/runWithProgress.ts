// Runs a job with progress on stderr, events in the run folder, and a first Ctrl-C that stops at the next safe point.

import { AbortedError, type WorkEvent } from "@worstcase/core";
import type { RunFolder } from "../run/runFolder.js";
import { createProgressView } from "./progress.js";

export interface ProgressTools {
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkEvent) => void;
}

export async function runWithProgress<T>(folder: RunFolder, work: (tools: ProgressTools) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const view = createProgressView();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130);
    view.note("stopping at the next safe point; press Ctrl-C again to stop at once");
    controller.abort("interrupted");
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    await folder.log({ type: "started" });
    const result = await work({
      signal: controller.signal,
      onEvent: (event) =>
        event.type === "progress" ? view.progress(event) : view.note(`warning: ${event.warning.message}`),
    });
    await folder.log({ type: "finished" });
    return result;
  } catch (error) {
    if (!(error instanceof AbortedError)) await folder.discardUnused();
    throw error;
  } finally {
    view.end();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
