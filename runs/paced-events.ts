import type { FollowedEvent } from '../stores/events/index.js';
import type { RunDeps } from './deps.js';
import type { EndingRun } from './outcome.js';
import { ReadPace } from './read-pace.js';

/**
 * What is read of the stored events of one tenant's runs, in bytes for each millisecond. 20,000 events of tokens have some 3 MB, and to read and to
 * tell them takes some tenths of a second.
 */
const BYTES_PER_MS = 2_000;

const pacesOf = new WeakMap<RunDeps['events'], ReadPace>();

interface Following extends EndingRun {
  /** Position after which to start. Default: the run's first event. */
  readonly after?: string | undefined;
}

/**
 * The events of a run, as of `RunEventReader.follow`. All who read many stored events of a tenant's runs do so together at a pace, since a request
 * for them is small: each waits for its turn before the next page. What fits into the first page, and events as they arrive, wait for nothing.
 * Throws `REQUEST_ABORTED` if `gone` aborts during such a wait.
 * @param over aborts when only what is stored by then is wanted
 * @param gone aborts when nobody follows any more
 */
export function pacedEvents(
  { events }: Pick<RunDeps, 'events'>,
  { id, tenant, after }: Following,
  { over, gone }: { readonly over: AbortSignal; readonly gone: AbortSignal },
): AsyncGenerator<FollowedEvent> {
  const pace = pacesOf.get(events) ?? new ReadPace('events', BYTES_PER_MS);
  pacesOf.set(events, pace);
  return events.follow(id, after, over, (characters) => pace.part(tenant, characters, gone));
}
