import { setTimeout as pause } from 'node:timers/promises';
import { LONGEST_TIMER_MS } from '../pipelines/duration.js';

/** The time by which a run is carried out: the process's, or a test's. */
export interface Clock {
  /** Milliseconds since some moment; never decreases. */
  now(): number;
  /** Rings once, after `ms`, at most the longest time that a timer can hold. */
  timer(ms: number, ring: () => void): Timer;
  /** Resolves after `ms`; rejects as soon as the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Timer {
  /** Starts over. */
  refresh(): void;
  clear(): void;
}

export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  timer(ms, ring) {
    const timer = setTimeout(ring, Math.min(ms, LONGEST_TIMER_MS));
    return { refresh: () => void timer.refresh(), clear: () => clearTimeout(timer) };
  },
  async sleep(ms, signal) {
    let left = ms;
    do {
      await pause(Math.min(left, LONGEST_TIMER_MS), undefined, { signal });
      left -= LONGEST_TIMER_MS;
    } while (left > 0);
  },
};
