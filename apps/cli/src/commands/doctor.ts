// `worstcase doctor`: what was found on this machine, and what to do about what was not.

import { chooseKernels, findNative } from "@worstcase/linalg";
import { inspectBackends } from "@worstcase/tensor";
import type { Command } from "commander";
import { describeEnvironment } from "../run/environment.js";

export function addDoctor(command: Command): void {
  command.option("--json", "print one JSON object").action(async (options: { json?: boolean }) => {
    const report = {
      environment: describeEnvironment(),
      kernels: inspectKernels(),
      backends: await inspectBackends(),
    };
    process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  });
}

interface KernelReport {
  readonly name: string;
  readonly available: boolean;
  readonly detail: string;
  /** Libraries that were found but cannot be used, and why. */
  readonly warnings: readonly string[];
}

function inspectKernels(): KernelReport[] {
  return [inspectNative(), ...(["wasm", "js"] as const).map(inspectPortable)];
}

function inspectNative(): KernelReport {
  try {
    const { kernels, tuned, detail, attempts } = findNative();
    const refused = attempts.filter(({ outcome }) => outcome === "refused");
    const warnings = refused.map((attempt) => `${attempt.library} ${attempt.detail}; it is not used`);
    if (kernels && !tuned)
      warnings.push("this BLAS is slower than WebAssembly; it is used only where native is asked for");
    const summary = kernels || refused.length === 0 ? detail : "no usable BLAS";
    return { name: "native", available: kernels !== null, detail: summary, warnings };
  } catch (error) {
    return { name: "native", available: false, detail: (error as Error).message, warnings: [] };
  }
}

function inspectPortable(name: "wasm" | "js"): KernelReport {
  try {
    return { name, available: true, detail: chooseKernels(name).description, warnings: [] };
  } catch (error) {
    return { name, available: false, detail: (error as Error).message, warnings: [] };
  }
}

type Report = { environment: object; kernels: KernelReport[]; backends: Awaited<ReturnType<typeof inspectBackends>> };

function formatReport({ environment, kernels, backends }: Report): string {
  const facts = Object.entries(environment).map(([name, value]) => [name, String(value)]);
  const rows = [
    ...kernels.flatMap(({ name, available, detail, warnings }) => [
      [`kernels ${name}`, available ? "yes" : "no", detail],
      ...warnings.map((warning) => ["", "", `warning: ${warning}`]),
    ]),
    ...backends.map((backend) => {
      const advice = !backend.available && backend.hint ? ` - ${backend.hint}` : "";
      return [`tensors ${backend.name}`, backend.available ? "yes" : "no", `${backend.detail}${advice}`];
    }),
  ];
  const width = Math.max(...facts.map(([name]) => name!.length), ...rows.map(([name]) => name!.length));
  const lines = [
    ...facts.map(([name, value]) => `${name!.padEnd(width)}  ${value}`),
    "",
    ...rows.map(([name, found, detail]) => `${name!.padEnd(width)}  ${found!.padEnd(3)}  ${detail}`),
  ];
  return `${lines.join("\n")}\n`;
}
