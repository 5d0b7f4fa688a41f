import type { Json } from '../../pipelines/json.js';
import { type ChannelEnd, type ChannelLog, type ChannelName, hashAfter, startHash, VOID } from './channel.js';
import { lost } from './channel-writer.js';
import { Missing } from './missing.js';

/** An entry as read. */
export interface ReadEntry {
  readonly number: number;
  readonly value: Json;
  /** Hash of everything up to and including it: with the number the position from which a reader goes on. */
  readonly hash: string;
}

/** Behind which entry a reader begins. */
export interface Position {
  /** Number of the next entry. */
  readonly number: number;
  /** Hash of the entries before it; absent: not checked. */
  readonly hash?: string;
}

export interface ReaderOptions {
  readonly signal: AbortSignal;
  readonly after?: Position;
  /** Name of a stage's reader: entries that it has not passed are not trimmed. Absent: a client’s. */
  readonly reader?: string;
  /** The channel has been there: if it is not, it is lost. Absent: it may not have been written yet. */
  readonly there?: boolean;
  /** Entries read at once. Default: 256. */
  readonly most?: number;
}

/** Entries read at once. */
const MOST_AT_ONCE = 256;

/** Longest time between two looks at the store, in milliseconds; a change normally ends the wait at once. */
const LOOK_MS = 500;

/**
 * The entries of a channel in order, as they are committed; returns its end, that of a void one at once. Waits for a channel that does
 * not exist yet until the signal aborts, or 15 s if the store has been away; for one of a later generation, which has existed, 15 s. Waits
 * a minute for a store that cannot be reached, and 15 s if the channel has not been there before.
 * Throws `STREAM_LOST` if entries that a reader has seen, or needs, no longer exist, and the signal's reason.
 */
export async function* readChannel(
  log: ChannelLog,
  name: ChannelName,
  { signal, after, reader, there = false, most = MOST_AT_ONCE }: ReaderOptions,
): AsyncGenerator<ReadEntry, ChannelEnd> {
  let number = after?.number ?? 0;
  let hash = after === undefined || (number === 0 && after.hash === undefined) ? startHash(name) : after.hash;
  let seen = there || number > 0 || (name.generation ?? 0) > 0;
  const missing = new Missing(name);
  let changed = false;
  let known = false;
  let wake: () => void = () => undefined;
  const leave = log.listen(name, () => {
    changed = true;
    wake();
  });
  try {
    for (;;) {
      signal.throwIfAborted();
      changed = false;
      const held = await log.read(name, number, most).catch(() => 'away' as const);
      if (held !== 'away' && held?.end === VOID) return { as: 'void' };
      if (held === 'away') missing.store(seen);
      else if (held === undefined || held.count < number) missing.entries(seen);
      else {
        missing.none();
        seen = true;
        if (held.from > number) throw lost(name);
        // Its producer knows of it while it still has the first entry.
        if (reader !== undefined && !known) log.passed(name, reader, number).catch(() => undefined);
        known = true;
        for (const entry of held.entries) {
          if (hash !== undefined && entry.before !== hash) throw lost(name);
          hash = hashAfter(entry);
          number += 1;
          yield { number: number - 1, value: JSON.parse(entry.text) as Json, hash };
        }
        if (reader !== undefined && held.entries.length > 0) log.passed(name, reader, number).catch(() => undefined);
        if (number === held.count) {
          if (hash !== undefined && held.hash !== hash) throw lost(name);
          if (held.end !== undefined) return JSON.parse(held.end) as ChannelEnd;
        } else if (held.entries.length > 0) continue;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(end, LOOK_MS);
        function end(): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          wake = () => undefined;
          resolve();
        }
        wake = end;
        signal.addEventListener('abort', end, { once: true });
        if (changed || signal.aborted) end();
      });
    }
  } finally {
    leave();
  }
}

/** What can be read behind a position without waiting. */
interface Ahead {
  readonly entries: readonly ReadEntry[];
  /** Set if the entries are the last ones. */
  readonly end?: ChannelEnd;
}

/**
 * The entries behind a position that are there now, at most `most`. None of a store that cannot be reached, or that lacks what has been
 * read: `readChannel` waits for it. Throws `STREAM_LOST` if they do not follow what has been read.
 */
export async function readAhead(
  log: ChannelLog,
  name: ChannelName,
  after: Required<Position>,
  most: number,
): Promise<Ahead> {
  const held = await log.read(name, after.number, most).catch(() => undefined);
  if (held === undefined || held.count < after.number || held.end === VOID) return { entries: [] };
  if (held.from > after.number) throw lost(name);
  let { number, hash } = after;
  const entries = held.entries.map((entry) => {
    if (entry.before !== hash) throw lost(name);
    hash = hashAfter(entry);
    number += 1;
    return { number: number - 1, value: JSON.parse(entry.text) as Json, hash };
  });
  const whole = number === held.count && hash === held.hash && held.end !== undefined;
  return { entries, ...(whole && { end: JSON.parse(held.end as string) as ChannelEnd }) };
}
