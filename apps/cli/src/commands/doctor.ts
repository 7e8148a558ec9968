// `worstcase doctor`: what was found on this machine, and what to do about what was not.

import { chooseKernels } from "@worstcase/linalg";
import { inspectBackends } from "@worstcase/tensor";
import type { Command } from "commander";
import { describeEnvironment } from "../run/environment.js";

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("show versions, tensor backends and float64 kernels found on this machine")
    .option("--json", "print one JSON object")
    .action(async (options: { json?: boolean }) => {
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
}

function inspectKernels(): KernelReport[] {
  return (["wasm", "js"] as const).map((name) => {
    try {
      return { name, available: true, detail: chooseKernels(name).description };
    } catch (error) {
      return { name, available: false, detail: (error as Error).message };
    }
  });
}

type Report = { environment: object; kernels: KernelReport[]; backends: Awaited<ReturnType<typeof inspectBackends>> };

function formatReport({ environment, kernels, backends }: Report): string {
  const facts = Object.entries(environment).map(([name, value]) => [name, String(value)]);
  const rows = [
    ...kernels.map((kernel) => [`kernels ${kernel.name}`, kernel.available ? "yes" : "no", kernel.detail]),
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
