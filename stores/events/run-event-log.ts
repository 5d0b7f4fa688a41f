import type { Redis } from 'ioredis';
import type { RunEvent, StageCall } from '../../pipelines/run/index.js';
import { script } from '../redis/index.js';
import { FIELD, streamOf, textOf, toldOnly } from './stream.js';

/**
 * Most events of a run that are kept, the newest: 20 000 tokens are an hour of speech. Redis drops whole nodes of a stream,
 * so there may be some hundred more.
 */
const MOST_EVENTS = 20_000;

/** How long a run's events are kept after the last that begins or ends a stage, in milliseconds: a client may have lost its network. */
const KEPT_MS = 3_600_000;

/** Runs of which it is remembered that events were lost: more at once than a worker has. */
const MOST_GAPS = 10_000;

/** Keeps an event, before it that others were lost, and tells whoever listens, in one way to Redis. */
const add = script<[stream: string], [event: string, mostEvents: number, keptMs: number, gap: string], void>(`
for _, text in ipairs({ARGV[4], ARGV[1]}) do
  if text ~= '' then
    local id = redis.call('xadd', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', '${FIELD}', text)
    redis.call('publish', KEYS[1], id .. ' ' .. text)
  end
end
if ARGV[3] ~= '0' then redis.call('pexpire', KEYS[1], ARGV[3]) end`);

/**
 * Writes what stages do into their run's stream in Redis, in order. Nobody waits for it but at a stage's end: where Redis is
 * away or full the events are lost and the run goes on; its result is Temporal's. The next event that is kept says so, and
 * whoever listens at that moment is told at once.
 */
export class RunEventLog {
  readonly #redis: Redis;

  readonly #onLost: (error: unknown) => void;
  /** Events of a run that were lost since the last that was kept. */
  readonly #lost = new Map<string, number>();

  /** @param onLost called for each event that is not kept */
  constructor(redis: Redis, onLost: (error: unknown) => void = () => undefined) {
    this.#redis = redis;
    this.#onLost = onLost;
  }

  /**
   * What one attempt tells; undefined where nobody may be watching.
   * @param again it has been told of before, and has waited for a server since
   */
  attempt(run: string, call: StageCall, attempt: number, again = false): AttemptEvents | undefined {
    if (!call.events) return undefined;
    const { stage, path = stage, kind, model } = call;
    const of = { stage, path, attempt };
    let text = false;
    if (!again) void this.tell(run, { type: 'stage.started', ...of, kind, model });
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
      waitingFor: (server, code, message) =>
        this.tell(run, { type: 'stage.waiting_for', ...of, model: server, code, message }),
    };
  }

  /** Adds an event that begins or ends something. Resolves when Redis has it, or cannot be reached. */
  tell(run: string, event: RunEvent): Promise<void> {
    return this.#add(run, event, true);
  }

  async #add(run: string, event: RunEvent, keep: boolean): Promise<void> {
    const key = streamOf(run);
    const count = this.#lost.get(run);
    this.#lost.delete(run);
    const gap = count === undefined ? '' : textOf({ type: 'events.lost', count });
    try {
      await add(this.#redis, [key], textOf(event), MOST_EVENTS, keep ? KEPT_MS : 0, gap);
    } catch (error) {
      this.#onLost(error);
      const first = count === undefined && !this.#lost.has(run);
      if (this.#lost.size < MOST_GAPS) this.#lost.set(run, (this.#lost.get(run) ?? 0) + (count ?? 0) + 1);
      // It takes no memory, so a full store does it.
      if (first) await this.#redis.publish(key, toldOnly(textOf({ type: 'events.lost' }))).catch(() => undefined);
    }
  }
}

export interface AttemptEvents {
  /** Whether any text has been told. */
  readonly told: boolean;
  delta(text: string): void;
  /** Resolves when Redis has all of the attempt's events, or cannot be reached. */
  finished(cache: string, runMs: number): Promise<void>;
  failed(code: string, message: string): Promise<void>;
  waitingFor(model: string, code: string, message: string): Promise<void>;
}
