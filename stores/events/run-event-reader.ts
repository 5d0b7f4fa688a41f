import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { RunEvent } from '../../pipelines/run/index.js';
import { ERASED_MS, NOW, script } from '../redis/index.js';
import { EventSubscriptions, type Subscription } from './event-subscriptions.js';
import { erasedOf, eventOf, isBehind, POSITION, START, streamOf, textOf } from './stream.js';

/** Pause before the next try while Redis is unreachable, in milliseconds. */
const PAUSE_MS = 250;
/** Tries of the last read: its events cannot be scheduled later, and Redis or this process may be slow for a moment. */
const LAST_TRIES = 4;
/**
 * A follower without messages for this time reads the stream, in milliseconds: a message may have been lost with its
 * connection.
 */
const SILENCE_MS = 2_000;
/**
 * Most entries of a read, and of those that are published meanwhile, and their characters; one larger entry is kept in any case. A client that does
 * not read its stream holds twice as much, some 128 KiB, or 256 KiB if they are not Latin-1. 500 tokens have some 75,000 characters, and one
 * result of a tool up to 16,000: for a moment a read may have 8 MB before its rest is dropped.
 */
const PAGE = { entries: 500, characters: 65_536 };
/** Entries of the first read; the number of the next is doubled, or set to what was kept of a read that had too many characters. */
const FIRST_READ = 64;

/** Entries behind a position. */
interface Page {
  readonly entries: readonly (readonly [id: string, text: string])[];
  /** Of the entries. */
  readonly characters: number;
  readonly hasMore: boolean;
  /** How many to read next. */
  readonly next: number;
}

export interface FollowedEvent {
  /** Its position, for resuming after it. Positions of a run increase. */
  readonly id: string;
  readonly event: RunEvent;
  /** The event as JSON, as stored: doors that send JSON need not serialize it again. */
  readonly json: string;
}

const followed = (id: string, json: string): FollowedEvent => ({ id, json, event: eventOf(json) });
const LOST = textOf({ type: 'events.lost' });

const erase = script<[stream: string, erased: string], [erasedMs: number], void>(`
${NOW}
redis.call('del', KEYS[1])
redis.call('set', KEYS[2], now, 'px', ARGV[1])`);

/**
 * Reads runs' events as they arrive. Past events are in the run's stream; new ones are also published on a channel of
 * the same name, which takes them from Redis to a follower in one hop. A follower that falls behind or may have missed
 * messages reads the stream again, so a slow client delays only itself.
 */
export class RunEventReader {
  readonly #redis: Redis;
  readonly #subscriptions: EventSubscriptions;
  #closed = false;

  /** @param subscriber a connection for this purpose alone: a subscribed connection accepts no other commands */
  constructor(redis: Redis, subscriber: Redis) {
    this.#redis = redis;
    this.#subscriptions = new EventSubscriptions(subscriber, PAGE);
  }

  /** The form of a position. */
  static readonly POSITION = POSITION;

  /**
   * Yields the events of a run after a position, as they arrive, until `signal` aborts; then those already stored, or a
   * gap event if Redis is unreachable for all tries.
   * @param turn awaited before more of the stored events is read, with the characters of what was read last; what it throws ends the reading
   */
  async *follow(
    run: string,
    after: string | undefined,
    signal: AbortSignal,
    turn?: (characters: number) => Promise<void>,
  ): AsyncGenerator<FollowedEvent> {
    const key = streamOf(run);
    const subscription = this.#subscriptions.listen(key);
    let at = after ?? START;
    let count = FIRST_READ;
    let tries = 0;
    try {
      for (;;) {
        const last = signal.aborted || this.#closed;
        // Subscribed before the page is read, so that no event falls between the two.
        const subscribed = last || (await subscription.ready());
        const page = await this.#page(key, at, count);
        for (const [id, text] of page?.entries ?? []) {
          at = id;
          yield followed(id, text);
        }
        count = page?.next ?? count;
        if (page?.hasMore) {
          // Pages that have arrived together are not worked off at once.
          await nextTurn();
          await turn?.(page.characters);
          continue;
        }
        if (last && page !== undefined) return;
        if (last && ++tries === LAST_TRIES) {
          yield followed(at, LOST);
          return;
        }
        if (last) await sleep(PAUSE_MS);
        else if (!subscribed || page === undefined) await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
        else
          for await (const event of this.#published(subscription, at, signal)) {
            at = event.id;
            yield event;
          }
      }
    } finally {
      this.#subscriptions.leave(key, subscription);
    }
  }

  /** The entries behind a position, as many as may wait for one follower; undefined if Redis cannot be reached. */
  async #page(key: string, at: string, count: number): Promise<Page | undefined> {
    const found = await this.#redis.xrange(key, `(${at}`, '+', 'COUNT', count).catch(() => undefined);
    if (found === undefined) return undefined;
    const entries: [id: string, text: string][] = [];
    let characters = 0;
    for (const [id, [, text = 'null']] of found) {
      if (entries.length > 0 && characters + text.length > PAGE.characters) break;
      characters += text.length;
      entries.push([id, text]);
    }
    const isCut = entries.length < found.length;
    const next = isCut ? entries.length : Math.min(PAGE.entries, 2 * count);
    return { entries, characters, hasMore: isCut || found.length === count, next };
  }

  /** Yields events published after a position, until messages may have been missed or the signal aborts. */
  async *#published(subscription: Subscription, after: string, signal: AbortSignal): AsyncGenerator<FollowedEvent> {
    let at = after;
    for (;;) {
      const next = subscription.take();
      if (next) {
        if (next.id === '') yield followed(at, next.text);
        else if (isBehind(next.id, at)) {
          at = next.id;
          yield followed(at, next.text);
        }
      } else if (
        subscription.missed ||
        signal.aborted ||
        this.#closed ||
        !(await subscription.more(SILENCE_MS, signal))
      )
        return;
    }
  }

  /** Removes the events of a run; those of attempts that are still under way are dropped. Throws `STORE_UNAVAILABLE`. */
  async erase(run: string): Promise<void> {
    await erase(this.#redis, [streamOf(run), erasedOf(run)], ERASED_MS).catch((error: unknown) => {
      const message = `the events of the run could not be removed: ${messageOf(error)}`;
      throw new MillraceError('STORE_UNAVAILABLE', message, {}, { cause: error });
    });
  }

  close(): void {
    this.#closed = true;
    this.#subscriptions.close();
  }
}
