import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Clock, Timer } from '../runtime/clock.js';
import { TestError } from './test-error.js';

/** When a test's time begins, in milliseconds since 1970: the same in every run of a test. */
const BEGIN_MS = Date.UTC(2000, 0, 1);
/** How often the clock checks whether functions have ended that work in real time. */
const LOOK_MS = 2;

/** A function that works now, since a moment of real time. */
interface Work {
  readonly what: string;
  since: number;
}

interface Ring {
  at: number;
  readonly ring: () => void;
}

/**
 * Time that jumps to the next timer as soon as nothing else can happen. It stands still while functions of the test or
 * of the pipeline work, which is in real time.
 */
export class VirtualClock implements Clock {
  readonly #rings = new Set<Ring>();
  readonly #working = new Set<Work>();
  readonly #realLimitMs: number;
  #now = BEGIN_MS;

  /** @param realLimitMs how long a function may work in real time */
  constructor(realLimitMs: number) {
    this.#realLimitMs = realLimitMs;
  }

  now(): number {
    return this.#now;
  }

  timer(ms: number, ring: () => void): Timer {
    const each: Ring = { at: this.#now + ms, ring };
    this.#rings.add(each);
    return {
      refresh: () => {
        each.at = this.#now + ms;
        this.#rings.add(each);
      },
      clear: () => void this.#rings.delete(each),
    };
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const abort = () => {
        timer.clear();
        reject(signal.reason);
      };
      const timer = this.timer(ms, () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  /**
   * Carries out a function that works in real time; `idle` lets the clock go on while it waits for the clock itself.
   * Time goes on as well once the signal has aborted: its caller has left.
   */
  async work<T>(what: string, signal: AbortSignal, act: (idle: Idle) => T | Promise<T>): Promise<T> {
    const own: Work = { what, since: 0 };
    const enter = () => {
      own.since = performance.now();
      if (!signal.aborted) this.#working.add(own);
    };
    const leave = () => void this.#working.delete(own);
    const idle: Idle = async (waits) => {
      leave();
      try {
        return await waits;
      } finally {
        enter();
      }
    };
    enter();
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await act(idle);
    } finally {
      leave();
      signal.removeEventListener('abort', leave);
    }
  }

  /** Moves the time until `run` has settled. Rejects with a `TestError` if it never will. */
  async until<T>(run: Promise<T>): Promise<T> {
    let settled = false;
    const end = () => {
      settled = true;
    };
    run.then(end, end);
    for (;;) {
      // Everything that needs no time happens first; the interpreter waits for promises alone.
      await nextTurn();
      await nextTurn();
      if (settled) return run;
      if (this.#working.size > 0) {
        for (const { what, since } of this.#working) {
          if (performance.now() - since > this.#realLimitMs) throw stuck(what, this.#realLimitMs);
        }
        await sleep(LOOK_MS);
        continue;
      }
      const next = [...this.#rings].reduce<Ring | undefined>((a, b) => (a && a.at <= b.at ? a : b), undefined);
      if (next === undefined) throw new TestError('the run waits for something that never happens');
      this.#rings.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.ring();
    }
  }
}

/** Waits for something that takes the clock's time. */
export type Idle = <T>(waits: Promise<T>) => Promise<T>;

const stuck = (what: string, ms: number): TestError =>
  new TestError(
    `${what} has not ended within ${ms} ms of real time, in which the test's clock stands still; ` +
      'a call that takes the time of the clock uses sleep() of its second argument, one that never ends is hang(), ' +
      'and `realLimit` allows more',
  );
