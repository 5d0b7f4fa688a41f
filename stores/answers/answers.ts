import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { messageOf } from '../../pipelines/errors.js';
import type { RunResult, SegmentOutcome } from '../../pipelines/run/index.js';
import type { Logger } from '../../telemetry/logger.js';

/** A run's result on its way to who waits for it. */
export interface Answer {
  /** The run's id. */
  readonly run: string;
  /** Null: none comes this way, Temporal has to be asked. Absent: nothing is said of it. */
  readonly result?: RunResult | null;
  /** From a fast host, for the run's guardian; null where it has not run. */
  readonly outcome?: SegmentOutcome | null;
}

/**
 * Hands a result to the process that waits for it. It is a shortcut and nothing more: where nobody listens, or Redis is
 * away, the result comes from Temporal a few milliseconds later.
 */
export async function publishAnswer(redis: Redis, to: string, answer: Answer): Promise<void> {
  await redis.publish(to, JSON.stringify(answer)).catch(() => undefined);
}

/** Pauses between two tries to subscribe, in milliseconds: doubling. Redis may load its data, or be asked to give the right. */
const PAUSE = { firstMs: 100, mostMs: 5_000 };

/** The answers that one process waits for, on one Redis channel of its own. */
export class Answers {
  readonly #channel = `millrace:answers:${randomUUID()}`;
  readonly #redis: Redis;
  readonly #logger: Logger;
  #subscribed = false;
  /** Why no answer can arrive, from the moment it was logged. */
  #reason: string | undefined;
  /** Connections so far: a try on one that is gone is given up. */
  #connections = 0;
  readonly #results = new Waiting<RunResult | null>();
  readonly #outcomes = new Waiting<SegmentOutcome | null>();

  /** @param redis a connection for this purpose alone: a subscriber can send no other command */
  constructor(redis: Redis, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
    redis.on('message', (_channel: string, text: string) => this.#arrived(text, logger));
    if (redis.status === 'ready') void this.#subscribe();
    redis.on('ready', () => void this.#subscribe());
    redis.on('close', () => {
      this.#connections += 1;
      this.#subscribed = false;
      if (redis.status !== 'end') this.#isOff('the connection to Redis is lost');
    });
  }

  /** Subscribes, again and again while the connection stands: a refusal or a slow answer is no reason to go without for ever. */
  async #subscribe(): Promise<void> {
    this.#connections += 1;
    const connection = this.#connections;
    for (let pauseMs = PAUSE.firstMs; ; pauseMs = Math.min(2 * pauseMs, PAUSE.mostMs)) {
      try {
        await this.#redis.subscribe(this.#channel);
        if (this.#connections === connection) this.#isOn();
        return;
      } catch (error) {
        if (this.#connections !== connection) return;
        this.#isOff(`Redis does not take the subscription: ${messageOf(error)}`);
      }
      await sleep(pauseMs, undefined, { ref: false });
      if (this.#connections !== connection) return;
    }
  }

  #isOn(): void {
    this.#subscribed = true;
    if (this.#reason !== undefined) this.#logger.info({}, 'the fast path and direct answers are on again');
    this.#reason = undefined;
  }

  #isOff(reason: string): void {
    if (this.#reason === undefined)
      this.#logger.warn({ error: reason }, 'the fast path and direct answers are off; trying again');
    this.#reason = reason;
  }

  /** Why runs are started and answered through Temporal alone; undefined while they are not. */
  get degraded(): string | undefined {
    return this.#subscribed ? undefined : (this.#reason ?? 'Redis has not answered yet');
  }

  /** Where answers have to be sent to; undefined while none could arrive. */
  get channel(): string | undefined {
    return this.#subscribed ? this.#channel : undefined;
  }

  /**
   * Resolves with the result of a run if it is sent here, with null where none comes this way; stays open otherwise. Call it before
   * the run starts.
   */
  expect(run: string, signal: AbortSignal): Promise<RunResult | null> {
    return this.#results.expect(run, signal);
  }

  /** Resolves with what a fast host has done of a run, null where it has not run it; stays open otherwise. */
  outcome(run: string, signal: AbortSignal): Promise<SegmentOutcome | null> {
    return this.#outcomes.expect(run, signal);
  }

  #arrived(text: string, logger: Logger): void {
    try {
      const { run, result, outcome } = JSON.parse(text) as Answer;
      if (result !== undefined) this.#results.arrived(run, result);
      if (outcome !== undefined) this.#outcomes.arrived(run, outcome);
    } catch (error) {
      logger.warn({ err: error }, 'an answer cannot be read');
    }
  }
}

/** Who waits for a value, by run. */
class Waiting<T> {
  readonly #runs = new Map<string, Set<(value: T) => void>>();

  expect(run: string, signal: AbortSignal): Promise<T> {
    return new Promise((resolve) => {
      // Callers with one idempotency key wait for one run.
      const all = this.#runs.get(run) ?? new Set();
      this.#runs.set(run, all.add(resolve));
      const leave = () => {
        all.delete(resolve);
        if (all.size === 0 && this.#runs.get(run) === all) this.#runs.delete(run);
      };
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  arrived(run: string, value: T): void {
    for (const resolve of this.#runs.get(run) ?? []) resolve(value);
    this.#runs.delete(run);
  }
}
