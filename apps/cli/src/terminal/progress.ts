// Shows progress events on stderr: a bar with time left on a terminal, plain lines otherwise.

import type { ProgressEvent } from "@worstcase/core";
import { Presets, SingleBar } from "cli-progress";

export interface ProgressView {
  progress(event: ProgressEvent): void;
  /** A line of its own, below what was shown. */
  note(text: string): void;
  /** Ends the bar of the running task. */
  end(): void;
}

export function createProgressView(stream: NodeJS.WriteStream = process.stderr): ProgressView {
  return stream.isTTY ? createBars(stream) : createLines(stream);
}

function createBars(stream: NodeJS.WriteStream): ProgressView {
  let bar: SingleBar | null = null;
  let task = "";
  const end = () => {
    bar?.stop();
    bar = null;
  };
  return {
    progress(event) {
      if (event.task !== task || !bar) {
        end();
        task = event.task;
        const format = "{task} |{bar}| {value}/{total}  {eta_formatted} left  {values}";
        bar = new SingleBar({ stream, format, hideCursor: true, clearOnComplete: true }, Presets.shades_classic);
        bar.start(event.total, event.done, { task, values: "" });
      }
      bar.setTotal(event.total);
      bar.update(event.done, { values: formatValues(event) });
    },
    note(text) {
      end();
      stream.write(`${text}\n`);
    },
    end,
  };
}

/** A line every ten seconds of a task, and one when it is done. */
function createLines(stream: NodeJS.WriteStream): ProgressView {
  let task = "";
  let started = 0;
  let before = 0;
  let printed = 0;
  return {
    progress(event) {
      const now = Date.now();
      if (event.task !== task) {
        task = event.task;
        before = event.done;
        started = printed = now;
      }
      const finished = event.done >= event.total;
      if (!finished && now - printed < 10_000) return;
      printed = now;
      const seconds = (now - started) / 1000;
      const rate = (event.done - before) / seconds;
      const left = finished || !(rate > 0) ? "" : `, about ${Math.ceil((event.total - event.done) / rate)} s left`;
      stream.write(
        `${task}: ${event.done}/${event.total} in ${seconds.toFixed(1)} s${left}  ${formatValues(event)}`
          .trimEnd()
          .concat("\n"),
      );
    },
    note: (text) => void stream.write(`${text}\n`),
    end() {},
  };
}

function formatValues(event: ProgressEvent): string {
  return Object.entries(event.values ?? {})
    .map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`)
    .join("  ");
}
