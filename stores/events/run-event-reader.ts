import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { RunEvent } from '../../pipelines/run/index.js';
import { EventSubscriptions, type Subscription } from './event-subscriptions.js';
import { eventOf, isBehind, POSITION, START, streamOf, textOf } from './stream.js';

/** Pause before another try when Redis does not answer, in milliseconds. */
const PAUSE_MS = 250;
/** Tries of the last read: what it misses nobody can ask for, and Redis, or this process, may be slow for a moment. */
const LAST_TRIES = 4;
/** A follower that hears nothing for this time looks into the stream, in milliseconds: a message may have been lost with its connection. */
const SILENCE_MS = 2_000;
/** Most entries of one read: what one follower may hold in memory, some hundred kilobytes. */
const PAGE = 500;

export interface FollowedEvent {
  /** Its position: to follow from behind it. Positions of a run grow. */
  readonly id: string;
  readonly event: RunEvent;
  /** The same as JSON, as it was stored: a door that sends JSON does not write it again. */
  readonly json: string;
}

const followed = (id: string, json: string): FollowedEvent => ({ id, json, event: eventOf(json) });
const LOST = textOf({ type: 'events.lost' });

/**
 * Reads runs' events as they come. What has been is in the run's stream; what comes is told on a channel of the same name, so
 * that an event reaches its follower in one way from Redis. A follower that falls behind what it is told, or may have missed
 * something, reads the stream again: a slow client costs nothing but its own delay.
 */
export class RunEventReader {
  readonly #redis: Redis;
  readonly #subscriptions: EventSubscriptions;
  #closed = false;

  /** @param subscriber a connection for this purpose alone: a subscriber can send no other command */
  constructor(redis: Redis, subscriber: Redis) {
    this.#redis = redis;
    this.#subscriptions = new EventSubscriptions(subscriber, PAGE);
  }

  /** What a position looks like. */
  static readonly POSITION = POSITION;

  /**
   * The events of a run behind a position, as they come, until `signal` aborts; then those that are there already, if Redis
   * answers within a few tries, else that some may be missing.
   */
  async *follow(run: string, after: string | undefined, signal: AbortSignal): AsyncGenerator<FollowedEvent> {
    const key = streamOf(run);
    const subscription = this.#subscriptions.listen(key);
    let at = after ?? START;
    let tries = 0;
    try {
      for (;;) {
        const last = signal.aborted || this.#closed;
        // Heard from here on, so that nothing falls between the page and what is told after it.
        const hears = last || (await subscription.hears());
        const page = await this.#redis.xrange(key, `(${at}`, '+', 'COUNT', PAGE).catch(() => undefined);
        for (const [id, fields] of page ?? []) {
          at = id;
          yield followed(id, fields[1] ?? 'null');
        }
        if (page?.length === PAGE) continue;
        if (last && page !== undefined) return;
        if (last && ++tries === LAST_TRIES) {
          yield followed(at, LOST);
          return;
        }
        if (last) await sleep(PAUSE_MS);
        else if (!hears || page === undefined) await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
        else
          for await (const told of this.#told(subscription, at, signal)) {
            at = told.id;
            yield told;
          }
      }
    } finally {
      this.#subscriptions.leave(key, subscription);
    }
  }

  /** What is told behind a position, until something may have been missed or nobody listens any more. */
  async *#told(subscription: Subscription, after: string, signal: AbortSignal): AsyncGenerator<FollowedEvent> {
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

  close(): void {
    this.#closed = true;
    this.#subscriptions.close();
  }
}
