import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentiles } from '../../../placement/profiles/index.js';
import { linkedAbort } from '../../../runtime/limited.js';

export interface LoadOptions {
  /** Calls in flight all the time: the next one is sent when one has ended. */
  readonly concurrency: number;
  readonly windowMs: number;
  readonly signal: AbortSignal;
}

/** What a model does under a constant number of calls in flight. */
export interface Load {
  /** Calls that end in a second. */
  readonly callsPerS: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly calls: number;
  /** The last windows agree. If not, something else was going on as well. */
  readonly steady: boolean;
}

/** Windows whose rates agree within `within` of their mean: as perf_analyzer's `--stability-percentage` has it by default. */
const STEADY = { windows: 3, within: 0.1 } as const;
/** Windows after which the last ones count all the same. */
const MOST_WINDOWS = 8;
/** A window is extended until this many calls for each one in flight have ended, but at most this many times. */
const LEAST_CALLS = 2;
const LONGEST_WINDOW = 20;
/** Below it a 95th percentile has no sample beyond it. */
const LEAST_SAMPLES = 20;

interface Window {
  readonly ms: number;
  /** Times of the calls that ended in it. */
  readonly calls: readonly number[];
}

const rate = ({ ms, calls }: Window): number => (1_000 * calls.length) / ms;

/**
 * Keeps a number of calls in flight, and measures in windows until three in a row agree. The first window, in which caches and batches fill,
 * does not count. Throws what a call throws, and then ends the others.
 * @param call gets a number that no other call has
 */
export async function measureLoad(
  call: (serial: number, signal: AbortSignal) => Promise<unknown>,
  { concurrency, windowMs, signal }: LoadOptions,
): Promise<Load> {
  const { own, release } = linkedAbort(signal);
  // Every call adds a listener: more than the ten above which Node warns of a leak.
  setMaxListeners(0, own.signal);
  const ended: number[] = [];
  let going = true;
  let serial = 0;
  const caller = async () => {
    while (going) {
      const startedAt = performance.now();
      await call(serial++, own.signal);
      ended.push(performance.now() - startedAt);
    }
  };
  let failure: unknown;
  const callers = Array.from({ length: concurrency }, () =>
    caller().catch((error: unknown) => {
      failure ??= error;
      going = false;
      own.abort(error);
    }),
  );
  const next = async (): Promise<Window> => {
    const [startedAt, first] = [performance.now(), ended.length];
    const least = Math.max(LEAST_CALLS * concurrency, Math.ceil(LEAST_SAMPLES / STEADY.windows));
    do {
      await sleep(windowMs);
      signal.throwIfAborted();
      if (failure !== undefined) throw failure;
    } while (ended.length - first < least && performance.now() - startedAt < LONGEST_WINDOW * windowMs);
    return { ms: performance.now() - startedAt, calls: ended.slice(first) };
  };
  try {
    await next();
    const windows: Window[] = [];
    while (!agree(windows) && windows.length < MOST_WINDOWS) windows.push(await next());
    return loadOf(windows.slice(-STEADY.windows), agree(windows));
  } finally {
    going = false;
    await Promise.all(callers);
    release();
  }
}

function agree(windows: readonly Window[]): boolean {
  const last = windows.slice(-STEADY.windows).map(rate);
  if (last.length < STEADY.windows) return false;
  const mean = last.reduce((sum, each) => sum + each, 0) / last.length;
  return last.every((each) => Math.abs(each - mean) <= STEADY.within * mean);
}

function loadOf(windows: readonly Window[], steady: boolean): Load {
  const calls = windows.flatMap((window) => window.calls);
  const ms = windows.reduce((sum, window) => sum + window.ms, 0);
  // Without a call in all that time, one takes at least that long.
  const times = calls.length > 0 ? calls : [ms];
  const { p50Ms, p95Ms = Math.max(...times) } = percentiles(times);
  return { callsPerS: Number(((1_000 * calls.length) / ms).toFixed(1)), p50Ms, p95Ms, calls: calls.length, steady };
}
