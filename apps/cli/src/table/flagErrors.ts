// Errors of the libraries name `options.timeLimitSeconds`; a user of the command line knows `--time-limit`.

import { type ErrorDetails, isWorstcaseError } from "@worstcase/core";

const flagOf: Readonly<Record<string, string>> = { timeLimitSeconds: "time-limit" };

function renamed(text: string): string {
  return text.replace(/\boptions\.([a-zA-Z]+)/g, (_, name: string) => {
    return `--${flagOf[name] ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  });
}

/** Runs `work`; typed errors come out with flags instead of option names. */
export async function withFlagNames<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isWorstcaseError(error) || !/\boptions\./.test(error.message)) throw error;
    const { argument, expected, received, hint } = error.details;
    const details = { argument: renamed(argument), expected: renamed(expected), received };
    const Same = error.constructor as new (details: ErrorDetails, options: { cause: unknown }) => Error;
    throw new Same(hint === undefined ? details : { ...details, hint: renamed(hint) }, { cause: error });
  }
}
