import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { RunResult } from '../../pipelines/plan/index.js';
import type { Logger } from '../logger.js';

/** A run's result on its way to who waits for it. */
export interface Answer {
  /** The run's id. */
  readonly run: string;
  readonly result: RunResult;
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
  readonly #waiting = new Map<string, Set<(result: RunResult) => void>>();

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
    return new Promise((resolve) => {
      // Callers with one idempotency key wait for one run.
      const all = this.#waiting.get(run) ?? new Set();
      this.#waiting.set(run, all.add(resolve));
      const leave = () => {
        all.delete(resolve);
        if (all.size === 0 && this.#waiting.get(run) === all) this.#waiting.delete(run);
      };
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #arrived(text: string, logger: Logger): void {
    try {
      const { run, result } = JSON.parse(text) as Answer;
      for (const resolve of this.#waiting.get(run) ?? []) resolve(result);
      this.#waiting.delete(run);
    } catch (error) {
      logger.warn({ err: error }, 'an answer cannot be read');
    }
  }
}
