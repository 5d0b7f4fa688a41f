import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import { isFull, script } from '../../stores/redis/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { RationedWarnings } from '../../telemetry/warnings.js';

/** State of a run in Temporal: `absent` if there is none with this id, `unknown` if Temporal is unavailable. */
export type RunState = 'running' | 'ended' | 'absent' | 'unknown';

export interface RunSlotsDeps {
  readonly redis: Redis;
  /** Reads Temporal's own record, which is consistent. */
  stateOf(runId: string): Promise<RunState>;
  readonly logger: Logger;
}

/** Runs that are checked at once when all slots are taken; each costs Temporal 2 ms. */
const MOST_CHECKED = 32;
/** Only one gateway checks an owner's runs within this time, in milliseconds. */
const CHECK_EVERY_MS = 250;
/** Pause of the other gateways before their next try, in milliseconds. */
const PAUSE_MS = 60;
/** A run that Temporal does not know may still be starting; after twice the timeout of a start it is not. */
const START_MS = 10_000;
/** `Retry-After` while Redis has no memory left, in milliseconds. */
const FULL_RETRY_MS = 1_000;
/** Expiry of an owner's set, in seconds: a week. */
const KEEP_S = 7 * 86_400;

export type Slot = 'taken' | 'held';

/** By the script’s answer. */
const SLOTS = [undefined, 'taken', 'held'] as const;

/** 1 when the run has a slot, 2 when it had it before, 0 when all are taken. */
const take = script<[set: string], [run: string, now: number, most: number, keepS: number], 0 | 1 | 2>(`
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 2 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1`);

/**
 * Limits the concurrent runs of an owner over all gateways that share a Redis. Each run holds a slot from before its start; the gateway
 * that sees its end releases it. Most ends are not seen (202, a gateway that died), so when all slots are taken the least recently checked
 * runs are checked in Temporal, and slots of ended ones are released: the limit is never exceeded and recovers by itself. While Redis is
 * unreachable each gateway limits the runs that it knows; while Redis is full no run starts.
 */
export class RunSlots {
  readonly #deps: RunSlotsDeps;
  readonly #warnings: RationedWarnings;
  /** Runs that this gateway knows, by owner, with their start in milliseconds since 1970. */
  readonly #here = new Map<string, Map<string, number>>();

  constructor(deps: RunSlotsDeps) {
    this.#deps = deps;
    this.#warnings = new RationedWarnings(deps.logger);
  }

  /**
   * The run’s slot: taken now, or `held` since an earlier request for the same run. Undefined: all are taken. Throws `STATE_STORE_FULL`.
   */
  async take(owner: string, most: number, run: string): Promise<Slot | undefined> {
    const set = slotsOf(owner);
    try {
      const taken = (await this.#try(set, most, run)) ?? (await this.#tryAgain(set, most, run));
      if (taken) this.#remember(owner, most, run);
      return taken;
    } catch (error) {
      if (isFull(error)) {
        throw new MillraceError('STATE_STORE_FULL', 'running runs cannot be counted', { retryAfterMs: FULL_RETRY_MS });
      }
      this.#warnings.warn(
        'slots',
        { err: error },
        'Redis cannot be reached: until it can, each gateway counts only the runs that it has started',
      );
      return await this.#takeHere(owner, most, run);
    }
  }

  async #tryAgain(set: string, most: number, run: string): Promise<Slot | undefined> {
    if (await this.#mayCheck(set)) await this.#dropEnded(set);
    else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    return await this.#try(set, most, run);
  }

  /** Keeps the newest `most`; the others are still counted in Redis. */
  #remember(owner: string, most: number, run: string): void {
    const runs = this.#here.get(owner) ?? new Map<string, number>();
    this.#here.set(owner, runs);
    runs.set(run, runs.get(run) ?? Date.now());
    if (runs.size <= most) return;
    const [oldest = run] = runs.keys();
    runs.delete(oldest);
  }

  async #takeHere(owner: string, most: number, run: string): Promise<Slot | undefined> {
    const runs = this.#here.get(owner);
    const slot = runs?.has(run) ? 'held' : 'taken';
    if (runs !== undefined && slot === 'taken' && runs.size >= most) {
      const oldest = [...runs].slice(0, MOST_CHECKED).map(([id, since]) => ({ run: id, since }));
      const { gone, alive } = await this.#check(oldest);
      for (const id of gone) runs.delete(id);
      for (const id of alive) {
        const since = runs.get(id);
        if (since === undefined || !runs.delete(id)) continue;
        runs.set(id, since);
      }
      if (runs.size >= most) return undefined;
    }
    this.#remember(owner, most, run);
    return slot;
  }

  /** Never throws and is not awaited: a slot that is not released is found later. */
  release(owner: string, run: string): void {
    const runs = this.#here.get(owner);
    runs?.delete(run);
    if (runs?.size === 0) this.#here.delete(owner);
    this.#deps.redis.zrem(slotsOf(owner), run).catch(() => undefined);
  }

  async #try(set: string, most: number, run: string): Promise<Slot | undefined> {
    return SLOTS[await take(this.#deps.redis, [set], run, Date.now(), most, KEEP_S)];
  }

  async #mayCheck(set: string): Promise<boolean> {
    return (await this.#deps.redis.set(`${set}:looked`, '1', 'PX', CHECK_EVERY_MS, 'NX')) === 'OK';
  }

  async #dropEnded(set: string): Promise<void> {
    const { redis } = this.#deps;
    const scored = await redis.zrangebyscore(set, '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, MOST_CHECKED);
    const runs = scored.flatMap((run, i) => (i % 2 === 1 ? [] : [{ run, since: Number(scored[i + 1]) }]));
    const { gone, alive } = await this.#check(runs);
    const now = String(Date.now());
    // Running ones are moved to the end of the order of checks.
    await Promise.all([
      ...(gone.length > 0 ? [redis.zrem(set, ...gone)] : []),
      ...(alive.length > 0 ? [redis.zadd(set, 'XX', ...alive.flatMap((run) => [now, run]))] : []),
    ]);
  }

  /** Checks runs in Temporal: which have ended, which are running; the others are unknown. */
  async #check(
    runs: readonly { readonly run: string; readonly since: number }[],
  ): Promise<{ readonly gone: readonly string[]; readonly alive: readonly string[] }> {
    const now = Date.now();
    const checked = await Promise.all(
      runs.map(async ({ run, since }) => ({ run, since, state: await this.#deps.stateOf(run) })),
    );
    const gone = checked.filter(
      ({ state, since }) => state === 'ended' || (state === 'absent' && now - since > START_MS),
    );
    const alive = checked.filter(({ state }) => state === 'running');
    return { gone: gone.map(({ run }) => run), alive: alive.map(({ run }) => run) };
  }
}

const slotsOf = (owner: string): string => `millrace:runs:{${owner}}`;
