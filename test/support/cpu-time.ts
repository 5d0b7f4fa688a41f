const TRIES = 3;

/** The processor time of `yardstick` on the machine for which the limits of the tests were set, in milliseconds. */
const YARD_MS = 20;
const YARD = JSON.stringify(Array.from({ length: 100_000 }, (_, i) => ({ i })));

/**
 * The processor time that some work takes, in milliseconds: other processes do not count, but for what they take of caches and clock rate, which is
 * measured beside it and taken off. What other threads of this one do meanwhile does count: it is the least of three tries, and the first that is soon
 * enough is the last.
 */
export function leastCpuMs(enoughMs: number, work: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < TRIES && least >= enoughMs; n++) {
    const before = yardstick();
    const tookMs = cpuMs(work);
    const slowness = Math.max(1, before / YARD_MS, yardstick() / YARD_MS);
    least = Math.min(least, tookMs / slowness);
  }
  return least;
}

const yardstick = (): number => cpuMs(() => JSON.parse(YARD));

function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
