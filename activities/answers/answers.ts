import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { RunResult, SegmentOutcome } from '../../pipelines/plan/index.js';
import type { Logger } from '../logger.js';

/** A run's result on its way to who waits for it. */
export interface Answer {
  /** The run's id. */
  readonly run: string;
  /** Absent: a fast host has failed. */
  readonly result?: RunResult;
  /** From a fast host, for the run's guardian; null where it has not run, so that the guardian has to. */
  readonly outcome?: SegmentOutcome | null;
}

/**
 * Hands a result to the process that waits for it. It is a shortcut and nothing more: where nobody listens, or Redis is
 * away, the result comes from Temporal a few milliseconds later.
 */
export async function publishAnswer(redis: Redis, to: string, answer: Answer): Promise<void> {
  await redis.publish(to, JSON.stringify(answer)).catch(() => undefined);
}

/** The answers that one process waits for, on one Redis channel of its own. */
export class Answers {
  readonly #channel = `millrace:answers:${randomUUID()}`;
  #subscribed = false;
  readonly #results = new Waiting<RunResult>();
  readonly #outcomes = new Waiting<SegmentOutcome | null>();

  /** @param redis a connection for this purpose alone: a subscriber can send no other command */
  constructor(redis: Redis, logger: Logger) {
    redis.on('message', (_channel: string, text: string) => this.#arrived(text, logger));
    const subscribe = async () => {
      this.#subscribed = await redis.subscribe(this.#channel).then(
        () => true,
        () => false,
      );
    };
    if (redis.status === 'ready') void subscribe();
    redis.on('ready', () => void subscribe());
    redis.on('close', () => {
      this.#subscribed = false;
    });
  }

  /** Where answers have to be sent to; undefined while none could arrive. */
  get channel(): string | undefined {
    return this.#subscribed ? this.#channel : undefined;
  }

  /** Resolves with the result of a run if it is sent here; stays open otherwise. Call it before the run starts. */
  expect(run: string, signal: AbortSignal): Promise<RunResult> {
    return this.#results.expect(run, signal);
  }

  /** Resolves with what a fast host has done of a run, null where it has not run it; stays open otherwise. */
  outcome(run: string, signal: AbortSignal): Promise<SegmentOutcome | null> {
    return this.#outcomes.expect(run, signal);
  }

  #arrived(text: string, logger: Logger): void {
    try {
      const { run, result, outcome } = JSON.parse(text) as Answer;
      if (result) this.#results.arrived(run, result);
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
