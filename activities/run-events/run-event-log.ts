import type { Redis } from 'ioredis';
import type { RunEvent, StageCall } from '../../pipelines/plan/index.js';
import { FIELD, streamOf, textOf } from './stream.js';

/**
 * Most events of a run that are kept, the newest: 20 000 tokens are an hour of speech. Redis drops whole nodes of a stream,
 * so there may be some hundred more.
 */
const MOST_EVENTS = 20_000;

/** How long a run's events are kept after the last that begins or ends a stage, in milliseconds: a client may have lost its network. */
const KEPT_MS = 3_600_000;

/** Keeps an event and tells whoever listens, in one way to Redis. */
const ADD = `local id = redis.call('xadd', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', '${FIELD}', ARGV[1])
redis.call('publish', KEYS[1], id .. ' ' .. ARGV[1])
if ARGV[3] ~= '0' then redis.call('pexpire', KEYS[1], ARGV[3]) end`;

/**
 * Writes what stages do into their run's stream in Redis, in order. Nobody waits for it but at a stage's end: where Redis is
 * away the events are lost and the run goes on; its result is Temporal's.
 */
export class RunEventLog {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** What one attempt tells; undefined where nobody may be watching. */
  attempt(run: string, call: StageCall, attempt: number): AttemptEvents | undefined {
    if (!call.events) return undefined;
    const { stage, path = stage, kind, model } = call;
    const of = { stage, path, attempt };
    let text = false;
    void this.tell(run, { type: 'stage.started', ...of, kind, model });
    return {
      get told() {
        return text;
      },
      delta: (delta) => {
        if (delta === '') return;
        text = true;
        void this.#add(run, { type: 'stage.delta', ...of, text: delta }, false);
      },
      finished: (cache, runMs) => this.tell(run, { type: 'stage.finished', ...of, cache, runMs }),
      failed: (code, message) => this.tell(run, { type: 'stage.failed', ...of, code, message }),
    };
  }

  /** Adds an event that begins or ends something. Resolves when Redis has it, or cannot be reached. */
  tell(run: string, event: RunEvent): Promise<void> {
    return this.#add(run, event, true);
  }

  async #add(run: string, event: RunEvent, keep: boolean): Promise<void> {
    const added = this.#redis.eval(ADD, 1, streamOf(run), textOf(event), MOST_EVENTS, keep ? KEPT_MS : 0);
    await added.catch(() => undefined);
  }
}

export interface AttemptEvents {
  /** Whether any text has been told. */
  readonly told: boolean;
  delta(text: string): void;
  /** Resolves when Redis has all of the attempt's events, or cannot be reached. */
  finished(cache: string, runMs: number): Promise<void>;
  failed(code: string, message: string): Promise<void>;
}
