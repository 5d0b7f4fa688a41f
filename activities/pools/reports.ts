import type { Redis } from 'ioredis';
import { script } from '../../stores/redis/index.js';

/** A worker without a report for this time is gone, in milliseconds: workers report every few seconds. */
export const FRESH_MS = 15_000;

/** Endpoints of a worker's pools that do not answer, by pool: how many of how many. */
export type PoolReport = Readonly<Record<string, { readonly away: number; readonly of: number }>>;

/** Stores a worker's report with the store's time, and drops reports of workers that are gone. */
const storeReport = script<[reports: string], [worker: string, report: string, freshMs: number], void>(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '^%d+')) < now - ARGV[3] then redis.call('HDEL', KEYS[1], all[i]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])`);

/** The reports that are fresh by the store's clock. */
const freshReports = script<[reports: string], [freshMs: number], string[]>(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fresh = {}
for _, text in ipairs(redis.call('HVALS', KEYS[1])) do
  local at, report = string.match(text, '^(%d+) (.*)$')
  if tonumber(at) >= now - ARGV[1] then fresh[#fresh + 1] = report end
end
return fresh`);

/** Reports of a task queue's workers about their pools, kept in Redis while they are renewed. */
export class PoolReports {
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, taskQueue: string) {
    this.#redis = redis;
    this.#key = `millrace:pools:{${taskQueue}}`;
  }

  async store(worker: string, report: PoolReport): Promise<void> {
    await storeReport(this.#redis, [this.#key], worker, JSON.stringify(report), FRESH_MS);
  }

  /** The worker shuts down. */
  async leave(worker: string): Promise<void> {
    await this.#redis.hdel(this.#key, worker);
  }

  /** One for each live worker. */
  async fresh(): Promise<readonly PoolReport[]> {
    const texts = await freshReports(this.#redis, [this.#key], FRESH_MS);
    return texts.map((text) => JSON.parse(text) as PoolReport);
  }
}
