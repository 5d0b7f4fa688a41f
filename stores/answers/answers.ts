import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { messageOf } from '../../pipelines/errors.js';
import type { RunResult, SegmentOutcome } from '../../pipelines/run/index.js';
import type { Logger } from '../../telemetry/logger.js';

/** A run's result, sent by a worker to the gateway that waits for it. */
export interface Answer {
  /** The run's id. */
  readonly run: string;
  /**
   * Null: the result will not be sent this way and has to be read from Temporal. Absent: the message carries no result.
   */
  readonly result?: RunResult | null;
  /** From a fast host, for the run's guardian. Null: the host has not run it. */
  readonly outcome?: SegmentOutcome | null;
}

/**
 * Sends a result to the process that waits for it. A shortcut only: without a subscriber, or while Redis is
 * unreachable, the result is read from Temporal a few milliseconds later.
 */
export async function publishAnswer(redis: Redis, to: string, answer: Answer): Promise<void> {
  await redis.publish(to, JSON.stringify(answer)).catch(() => undefined);
}

/**
 * Pauses between tries to subscribe, in milliseconds, doubling. Redis may be loading its data or refuse for lack of a
 * permission.
 */
const PAUSE = { firstMs: 100, mostMs: 5_000 };

/** Receives the answers that one process waits for, on a Redis channel of its own. */
export class Answers {
  readonly #channel = `millrace:answers:${randomUUID()}`;
  readonly #redis: Redis;
  readonly #logger: Logger;
  #subscribed = false;
  /** Why no answer can arrive; set once it has been logged. */
  #reason: string | undefined;
  /** Number of connections so far: a try on a closed one is abandoned. */
  #connections = 0;
  readonly #results = new Waiting<RunResult | null>();
  readonly #outcomes = new Waiting<SegmentOutcome | null>();

  /** @param redis a connection for this purpose alone: a subscribed connection accepts no other commands */
  constructor(redis: Redis, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
    redis.on('message', (_channel: string, text: string) => this.#arrived(text, logger));
    if (redis.status === 'ready') void this.#subscribe();
    redis.on('ready', () => void this.#subscribe());
    redis.on('close', () => {
      this.#connections += 1;
      this.#subscribed = false;
      if (redis.status !== 'end') this.#isOff('the connection to Redis was lost');
    });
  }

  /**
   * Subscribes, with retries while the connection stands: a refusal or a slow reply must not disable answers for good.
   */
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
        this.#isOff(`Redis rejected the subscription: ${messageOf(error)}`);
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

  /** Why the fast path and direct answers are off; undefined while they are on. */
  get degraded(): string | undefined {
    return this.#subscribed ? undefined : (this.#reason ?? 'Redis has not answered yet');
  }

  /** The channel to send answers to; undefined while none can arrive. */
  get channel(): string | undefined {
    return this.#subscribed ? this.#channel : undefined;
  }

  /**
   * Resolves with the result of a run when it is sent here, or with null if it will not be sent this way; otherwise
   * stays pending. Call it before the run starts.
   */
  expect(run: string, signal: AbortSignal): Promise<RunResult | null> {
    return this.#results.expect(run, signal);
  }

  /**
   * Resolves with the outcome of a run on a fast host, or with null if the host has not run it; otherwise stays
   * pending.
   */
  outcome(run: string, signal: AbortSignal): Promise<SegmentOutcome | null> {
    return this.#outcomes.expect(run, signal);
  }

  #arrived(text: string, logger: Logger): void {
    try {
      const { run, result, outcome } = JSON.parse(text) as Answer;
      if (result !== undefined) this.#results.arrived(run, result);
      if (outcome !== undefined) this.#outcomes.arrived(run, outcome);
    } catch (error) {
      logger.warn({ err: error }, 'cannot parse an answer');
    }
  }
}

/** Pending promises for a value, by run. */
class Waiting<T> {
  readonly #runs = new Map<string, Set<(value: T) => void>>();

  expect(run: string, signal: AbortSignal): Promise<T> {
    return new Promise((resolve) => {
      // Whoever has left already never leaves.
      if (signal.aborted) return;
      // Callers with the same idempotency key wait for the same run.
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
