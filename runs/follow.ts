import { MillraceError } from '../pipelines/errors.js';
import type { RunEvent } from '../pipelines/run/index.js';
import { RunEventReader } from '../stores/events/index.js';
import type { Caller } from './caller.js';
import type { RunDeps } from './deps.js';
import type { RunDocument } from './document.js';
import { pacedEvents } from './paced-events.js';
import { readTogether } from './read-together.js';
import type { StartedRun } from './start.js';
import { quietFor, waitForRun } from './wait.js';

/** Position behind a run's last event. */
export const END = 'end';

/** An event of a run with its position and JSON text; the last item is the run's document. */
export type Followed =
  | { readonly id: string; readonly event: RunEvent; readonly json: string }
  | { readonly id: typeof END; readonly document: RunDocument };

export interface FollowedRun {
  readonly run: StartedRun;
  readonly events: AsyncGenerator<Followed>;
}

/** What `Last-Event-ID` may be. */
export const LAST_EVENT_ID = new RegExp(`${END}|${RunEventReader.POSITION.source}`);
const WHOLE = new RegExp(`^(${LAST_EVENT_ID.source})$`);
export const isPosition = (text: string): boolean => WHOLE.test(text);

/** Longest duration of one stream, in milliseconds. A client that wants more reconnects from its last position. */
const FOLLOW_MS = 24 * 3_600_000;

interface FollowOptions {
  /** Position after which to start. Default: the run's first event. */
  readonly after?: string | undefined;
  /** Aborts when the client has disconnected. */
  readonly gone: AbortSignal;
  /** Resolves with the run's document if a worker sends its result ahead of Temporal's record. */
  readonly answered?: Promise<RunDocument> | undefined;
  /** A worker sends the result: Temporal is polled only after a delay, or when this resolves, because the worker has no result to send. */
  readonly noResult?: Promise<unknown> | undefined;
  /** The run as it has been read just now: if it has ended, Temporal is not asked again. */
  readonly document?: RunDocument | undefined;
}

/**
 * Yields the events of a run after a position, then its document when it has ended; no document if `gone` aborts. Throws
 * `ORCHESTRATOR_UNAVAILABLE` if Temporal cannot report whether the run has ended; the client reconnects.
 */
export async function* followRun(
  deps: RunDeps,
  { id, caller }: { readonly id: string; readonly caller: Caller },
  { after, gone, answered, noResult, document: read }: FollowOptions,
): AsyncGenerator<Followed> {
  if (after === END || gone.aborted) return;
  const over = new AbortController();
  const stop = () => over.abort();
  gone.addEventListener('abort', stop, { once: true });
  const hasEnded = read !== undefined && read.status !== 'running';
  const ended: Promise<RunDocument | undefined> = hasEnded
    ? Promise.resolve(read).finally(stop)
    : endOf(deps, { id, caller, signal: over.signal, answered, noResult }).finally(stop);
  ended.catch(() => undefined);
  try {
    for await (const each of pacedEvents(deps, { id, tenant: caller.tenant, after }, { over: over.signal, gone })) {
      // Not the rest of what is stored, which may be 20,000 events: whoever followed has left, or waits no longer.
      if (gone.aborted) return;
      yield each;
    }
    if (gone.aborted) return;
    const document = await ended;
    if (document) yield { id: END, document };
  } catch (error) {
    // A client that has left waits no longer for its turn to read on.
    if (!gone.aborted) throw error;
  } finally {
    gone.removeEventListener('abort', stop);
    stop();
  }
}

interface Ending {
  readonly id: string;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly answered: Promise<RunDocument> | undefined;
  readonly noResult: Promise<unknown> | undefined;
}

async function endOf(
  deps: RunDeps,
  { id, caller, signal, answered, noResult }: Ending,
): Promise<RunDocument | undefined> {
  const recorded = async () => {
    const left = noResult === undefined ? FOLLOW_MS : await quietFor(FOLLOW_MS, signal, noResult);
    const end = await waitForRun(deps, { id, tenant: caller.tenant }, left, signal);
    if (end) return await end.document();
    if (signal.aborted) return undefined;
    // Temporal has no end of a run that was cancelled before it was started.
    const { document } = await readTogether(deps, { id, tenant: caller.tenant });
    if (document.status !== 'running') return document;
    throw new MillraceError(
      'ORCHESTRATOR_UNAVAILABLE',
      'Temporal did not report the end of the run; request the events again',
    );
  };
  return await Promise.race([recorded(), ...(answered !== undefined ? [answered] : [])]);
}
