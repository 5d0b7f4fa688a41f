import type { ChaosProcess } from './process.js';

/** What the benches that kill processes have in common. */

/** Pause of a service manager before it starts a killed process again. */
export const RESTART_MS = 1_000;

/** Starts a killed process again. One that does not come back is found by whoever waits for it to be ready. */
export const restartLater = (process: ChaosProcess): void =>
  void setTimeout(() => void process.start().catch(() => undefined), RESTART_MS);

/** The value of an option that counts. */
export function countOf(option: string, text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new Error(`--${option} is a whole number of at least 1`);
}

/** The names in the value of an option. */
export const namesOf = <T extends string>(option: string, text: string, known: readonly T[], separator = ','): T[] =>
  text.split(separator).map((name) => {
    const found = known.find((each) => each === name);
    if (found !== undefined) return found;
    throw new Error(`--${option}: "${name}" is none of ${known.join(`${separator} `)}`);
  });

/** Prints what was counted; `--json`: on one line. */
export const printReport = (report: object, isJson = false): void =>
  void process.stdout.write(`${JSON.stringify(report, null, isJson ? 0 : 2)}\n`);

/** Runs a bench, closes its scene, and ends the process with the bench's status, or 1 if it throws. */
export async function runToExit(bench: () => Promise<number>, close: () => Promise<void>): Promise<void> {
  let status = 1;
  try {
    status = await bench();
  } finally {
    await close();
    process.exitCode = status;
    // Node may spin while it frees the handles of cut connections: the process ends without that.
    setImmediate(() => process.exit());
  }
}
