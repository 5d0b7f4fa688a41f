import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';

/** The wait between two questions grows to so many times the first. */
const MOST_GROWTH = 10;
/** Questions in a row that may fail: the job goes on at the server while they do. */
const MOST_FAILURES = 5;
/** Longest wait after a question that has failed, in milliseconds: the server may not come back. */
const LONGEST_AFTER_FAILURE = 60_000;

/** What a question has found: how the job has ended, or the wait that the server asks for before the next question. */
type Found<T> = { readonly end: T } | { readonly waitMs: number | undefined };

/** How often it is looked whether a server has called. */
const LOOK_MS = 500;

interface Waiting {
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** Ends a wait. Absent: nothing does. */
  readonly woken?: (() => Promise<boolean>) | undefined;
}

/**
 * Asks until a job has ended: at once, then from `everyMs` up to ten times as long. A question that fails is asked again, after
 * the wait that its answer names, a minute at most.
 */
export async function ending<T>(question: () => Promise<Found<T>>, waiting: Waiting): Promise<T> {
  const { everyMs, signal } = waiting;
  let waitMs = everyMs;
  let failures = 0;
  for (;;) {
    const found = await question().then(
      (answer) => {
        failures = 0;
        return answer;
      },
      (error: unknown): Found<T> => {
        failures++;
        if (signal.aborted || failures === MOST_FAILURES || isFinal(error)) throw error;
        const named = error instanceof MillraceError ? error.details.retryAfterMs : undefined;
        return { waitMs: named && Math.min(named, LONGEST_AFTER_FAILURE) };
      },
    );
    if ('end' in found) return found.end;
    // A server that names no time, or none at all, is not asked more often than the pool says.
    const wait = Math.max(everyMs, found.waitMs ?? waitMs);
    await passed(wait, waiting);
    waitMs = Math.min(waitMs * 1.5, everyMs * MOST_GROWTH);
  }
}

async function passed(ms: number, { signal, woken }: Waiting): Promise<void> {
  if (!woken) return void (await sleep(ms, undefined, { signal }));
  const end = performance.now() + ms;
  for (let left = ms; left > 0; left = end - performance.now()) {
    await sleep(Math.min(left, LOOK_MS), undefined, { signal });
    if (await woken()) return;
  }
}

/** Errors of a question that another one would get too. An answer that cannot be read is none: a proxy may have shown a page. */
const FINAL: ReadonlySet<string> = new Set(['BACKEND_UNAUTHORIZED', 'BACKEND_REJECTED', 'INVALID_INPUT']);
const isFinal = (error: unknown): boolean => error instanceof MillraceError && FINAL.has(error.code);
