import { MillraceError } from '../pipelines/errors.js';
import type { RunEvent } from '../pipelines/run/index.js';
import { RunEventReader } from '../stores/events/index.js';
import type { Caller } from './caller.js';
import type { RunDeps } from './deps.js';
import type { RunDocument } from './document.js';
import type { StartedRun } from './start.js';
import { quietFor, waitForRun } from './wait.js';

/** Position behind a run's last event. */
export const END = 'end';

/** An event of a run, also as JSON, with its position; the last one is the run itself when it has ended. */
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

/** Longest that a run is followed at one go, in milliseconds. Whoever wants more asks again, from where it was. */
const FOLLOW_MS = 24 * 3_600_000;

interface FollowOptions {
  /** Position after which to begin; from the run's first event where absent. */
  readonly after?: string | undefined;
  /** Aborts when nobody listens any more. */
  readonly gone: AbortSignal;
  /** The run's document, should it come from elsewhere before Temporal has it. */
  readonly answered?: Promise<RunDocument> | undefined;
  /** Its result comes from a worker: Temporal is not asked for it at once, unless the worker says that it tells none. */
  readonly untold?: Promise<unknown> | undefined;
}

/**
 * The events of a run behind a position, then its document when it has ended; without the document when `gone` aborts.
 * Throws `ORCHESTRATOR_UNAVAILABLE` when Temporal cannot say whether the run has ended: whoever follows it comes back.
 */
export async function* followRun(
  deps: RunDeps,
  { id, caller }: { readonly id: string; readonly caller: Caller },
  { after, gone, answered, untold }: FollowOptions,
): AsyncGenerator<Followed> {
  if (after === END || gone.aborted) return;
  const over = new AbortController();
  const stop = () => over.abort();
  gone.addEventListener('abort', stop, { once: true });
  const ended = endOf(deps, { id, caller, signal: over.signal, answered, untold }).finally(stop);
  ended.catch(() => undefined);
  try {
    yield* deps.events.follow(id, after, over.signal);
    if (gone.aborted) return;
    const document = await ended;
    if (document) yield { id: END, document };
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
  readonly untold: Promise<unknown> | undefined;
}

async function endOf(
  deps: RunDeps,
  { id, caller, signal, answered, untold }: Ending,
): Promise<RunDocument | undefined> {
  const recorded = async () => {
    const left = untold === undefined ? FOLLOW_MS : await quietFor(FOLLOW_MS, signal, untold);
    const end = await waitForRun(deps, { id, tenant: caller.tenant }, left, signal);
    if (end) return await end.document();
    if (signal.aborted) return undefined;
    throw new MillraceError(
      'ORCHESTRATOR_UNAVAILABLE',
      'Temporal did not report the end of the run; request the events again',
    );
  };
  return await Promise.race([recorded(), ...(answered !== undefined ? [answered] : [])]);
}
