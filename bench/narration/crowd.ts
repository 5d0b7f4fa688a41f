import { setTimeout as sleep } from 'node:timers/promises';
import { round } from '../figures.js';
import { MemoryWatch, residentMb } from '../sse/usage.js';
import type { Stack } from './stack.js';

const SENTENCES = 12;
/** As fast as they are heard: a sentence is 3.6 s of speech. */
const EVERY_MS = 3_600;
/** Between two starts. */
const START_MS = 200;
const WARM_UP = 3;
const SAMPLE_MS = 250;
/** Wait before and after the load: until connections are closed and garbage is collected. */
const SETTLE_MS = 10_000;

/** Most memory that 50 narrations may add to a process, in MiB. */
export const MOST_GROWTH_MB = { gateway: 150, worker: 250, store: 60 } as const;

/** Narrations of the same story that stream at once, each heard by a client of its own while it is made. */
export async function crowd(stack: Stack, runs: number) {
  for (let i = 0; i < WARM_UP; i++) await stack.narrate(3, 10);
  await sleep(SETTLE_MS);
  const pids = { gateway: stack.gateway.pid, worker: stack.workers['worker-a'].pid, store: stack.storePid };
  const of = (name: keyof typeof pids): number => {
    const pid = pids[name];
    if (pid === undefined) throw new Error(`the ${name} does not run`);
    return pid;
  };
  const names = ['gateway', 'worker', 'store'] as const;
  const before = names.map((name) => residentMb(of(name)));
  const watches = names.map((name) => new MemoryWatch(of(name), SAMPLE_MS));
  const started = async (i: number) => {
    await sleep(i * START_MS);
    return await stack.narrate(SENTENCES, EVERY_MS);
  };
  const heard = await Promise.all(Array.from({ length: runs }, (_, i) => started(i))).finally(() => {
    for (const watch of watches) watch.stop();
  });
  await sleep(SETTLE_MS);
  const firstEnd = Math.min(...heard.map(({ endedAt }) => endedAt));
  const memoryMb = Object.fromEntries(
    names.map((name, i) => {
      const samples = watches[i]?.samples ?? [];
      if (samples.length === 0) throw new Error(`the memory of the ${name} was not read`);
      const peak = Math.max(...samples);
      return [name, { before: round(before[i] ?? 0), peak: round(peak), after: round(residentMb(of(name))) }];
    }),
  );
  return {
    runs,
    sentences: SENTENCES,
    /** Runs that were heard before the first of them had ended. */
    atOnce: heard.filter(({ firstAt }) => firstAt < firstEnd).length,
    /** Listeners that did not get every sentence once and in order. */
    differing: heard.filter(({ whole }) => !whole).length,
    memoryMb,
    tooMuch: names.filter((name) => (memoryMb[name]?.peak ?? 0) - (memoryMb[name]?.before ?? 0) > MOST_GROWTH_MB[name]),
  };
}
