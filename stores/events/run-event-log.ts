import type { Redis } from 'ioredis';
import type { RunEvent, StageAudio, StageCall } from '../../pipelines/run/index.js';
import { ageOf, type Moment, momentAgo } from '../../runtime/moment.js';
import { ifErasedSince, script } from '../redis/index.js';
import { erasedOf, FIELD, streamOf, textOf, unstored } from './stream.js';

/**
 * Events kept of a run, the newest: 20 000 tokens are an hour of speech. Redis trims whole nodes of a stream, so it may
 * keep some hundred more.
 */
const MOST_EVENTS = 20_000;

/**
 * How long events are kept after the last one that starts or ends a stage, in milliseconds: a client may have lost its
 * network.
 */
const KEPT_MS = 3_600_000;

/** Characters of reasoning in one event. */
const REASONING_PIECE = 200;

/** Runs for which lost events are counted: more than a worker runs at once. */
const MOST_GAPS = 10_000;

/**
 * Stores an event, preceded by a gap marker if events were lost, and publishes both, in one round trip. That of an attempt during which the run
 * was erased is dropped.
 */
const add = script<
  [stream: string, erased: string],
  [event: string, mostEvents: number, keptMs: number, gap: string, ageMs: number],
  void
>(`
${ifErasedSince("redis.call('get', KEYS[2])", 'ARGV[5]', 'return')}
for _, text in ipairs({ARGV[4], ARGV[1]}) do
  if text ~= '' then
    local id = redis.call('xadd', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', '${FIELD}', text)
    redis.call('publish', KEYS[1], id .. ' ' .. text)
  end
end
if ARGV[3] ~= '0' then redis.call('pexpire', KEYS[1], ARGV[3]) end`);

/**
 * Appends the events of stages to their run's stream in Redis, in order. Awaited only at a stage's end: while Redis is
 * unreachable or full, events are lost and the run continues; its result is in Temporal. The next event that is stored
 * is preceded by a gap marker, and current followers are notified at once.
 */
export class RunEventLog {
  readonly #redis: Redis;

  readonly #onLost: (error: unknown) => void;
  /** Events lost since the last stored one, by run. */
  readonly #lost = new Map<string, number>();

  /** @param onLost called for each lost event */
  constructor(redis: Redis, onLost: (error: unknown) => void = () => undefined) {
    this.#redis = redis;
    this.#onLost = onLost;
  }

  /**
   * Events of one attempt; undefined if the run has no events.
   * @param again its start has been published, and it has waited for a server since
   * @param before text of earlier attempts that this one continues. The start makes it void, so it is published again.
   */
  attempt(ofRun: string, call: StageCall, attempt: number, again = false, before = ''): AttemptEvents | undefined {
    if (!call.events) return undefined;
    const { stage: own, path: place = own, kind, model, events: to } = call;
    const of =
      to === true
        ? { stage: own, path: place, attempt }
        : { stage: `${to.at}/${own}`, path: `${to.at}/${place}`, attempt };
    const run = to === true ? ofRun : to.run;
    const { muted } = call;
    let text = muted === true;
    let thought = '';
    let percent = -1;
    const begunAt = momentAgo();
    const tell = (event: RunEvent) => this.#add(run, event, false, begunAt);
    const publish = (event: RunEvent) => this.publish(run, event, begunAt);
    // A reasoning model sends thousands of tokens, and only so many events of a run are kept.
    const think = () => {
      if (thought === '') return;
      void tell({ type: 'stage.reasoning', ...of, text: thought });
      thought = '';
    };
    if (!again) void publish({ type: 'stage.started', ...of, kind, model });
    if (!again && before !== '' && !muted) void tell({ type: 'stage.delta', ...of, text: before });
    return {
      get hasText() {
        return text;
      },
      delta: (delta) => {
        if (delta === '' || muted) return;
        think();
        text = true;
        void tell({ type: 'stage.delta', ...of, text: delta });
      },
      reasoning: (more) => {
        if (muted) return;
        thought += more;
        if (thought.length >= REASONING_PIECE) think();
      },
      progress: (share) => {
        // Servers are asked often, and only so many events of a run are kept.
        if (Math.floor(share * 100) <= percent) return;
        percent = Math.floor(share * 100);
        void tell({ type: 'stage.progress', ...of, share });
      },
      audio: (piece) => void publish({ type: 'stage.audio', ...of, ...piece }),
      finished: (cache, runMs) => {
        think();
        return publish({ type: 'stage.finished', ...of, cache, runMs });
      },
      failed: (code, message) => publish({ type: 'stage.failed', ...of, code, message }),
      loading: (what, loadMs) =>
        publish({ type: 'stage.loading', ...of, model: what, ...(loadMs !== undefined && { loadMs }) }),
      waitingFor: (server, code, message) =>
        publish({ type: 'stage.waiting_for', ...of, model: server, code, message }),
    };
  }

  /**
   * Adds an event that begins or ends something. Resolves when Redis has stored it or is unreachable.
   * @param begunAt when what it is of began: dropped if the run was erased since
   */
  publish(run: string, event: RunEvent, begunAt = momentAgo()): Promise<void> {
    return this.#add(run, event, true, begunAt);
  }

  async #add(run: string, event: RunEvent, keep: boolean, begunAt: Moment): Promise<void> {
    const key = streamOf(run);
    const count = this.#lost.get(run);
    this.#lost.delete(run);
    const gap = count === undefined ? '' : textOf({ type: 'events.lost', count });
    try {
      const ageMs = ageOf(begunAt);
      await add(this.#redis, [key, erasedOf(run)], textOf(event), MOST_EVENTS, keep ? KEPT_MS : 0, gap, ageMs);
    } catch (error) {
      this.#onLost(error);
      const first = count === undefined && !this.#lost.has(run);
      if (this.#lost.size < MOST_GAPS) this.#lost.set(run, (this.#lost.get(run) ?? 0) + (count ?? 0) + 1);
      // Publishing takes no memory, so it works while the store is full.
      if (first) await this.#redis.publish(key, unstored(textOf({ type: 'events.lost' }))).catch(() => undefined);
    }
  }
}

export interface AttemptEvents {
  /** Whether any text of this attempt itself has been published, or none may be. */
  readonly hasText: boolean;
  delta(text: string): void;
  /** More of the reasoning; published in pieces. */
  reasoning(text: string): void;
  /** What is done, from 0 to 1; published when it is a percent more. */
  progress(share: number): void;
  audio(piece: Pick<StageAudio, 'number' | 'text' | 'at' | 'audio'>): void;
  /** Resolves when Redis has stored all of the attempt's events or is unreachable. */
  finished(cache: string, runMs: number): Promise<void>;
  failed(code: string, message: string): Promise<void>;
  /** @param loadMs how long it took to load before */
  loading(model: string, loadMs: number | undefined): Promise<void>;
  waitingFor(model: string, code: string, message: string): Promise<void>;
}
