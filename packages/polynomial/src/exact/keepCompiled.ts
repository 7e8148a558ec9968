// V8 frees the machine code of a closure when the last closure of its kind is collected, so that every fit would compile the
// same inner loops again: a quarter of the processor time of a fit of a second. The structures of the latest fit are kept until
// those of the next one exist, while they are small.

/** Bytes of structures that are kept at most, for each name. */
const mostBytes = 2 ** 25;

const latest = new Map<string, unknown>();

/** Keeps `structures` alive, in place of the earlier ones of this name; `float64Count` is the memory they hold. */
export function keepCompiled(name: string, structures: unknown, float64Count: number): void {
  if (8 * float64Count <= mostBytes) latest.set(name, structures);
}
