import type { Redis } from 'ioredis';
import { keySegment, script } from '../redis/index.js';
import { ALPHA, type Counts, lowerBound, upperBound } from './bound.js';
import { drifted, LIMIT } from './drift.js';
import { STEPS, type Verdict, verdictOf } from './threshold.js';

/** How long labels are kept after the last one, in milliseconds. Without labels a stage serves no hits of its verifier any more. */
const KEPT_MS = 90 * 86_400_000;

/** A stage's semantic cache, as its hits are judged together. */
export interface Judged {
  readonly tenant: string;
  readonly pipeline: string;
  readonly stage: string;
  /** Hash of what else the hits depend on: kind, model, embedder and verifier. */
  readonly of: string;
  /**
   * The model whose scores the verifier's are made with. Its hits have labels of their own beside those of the verifier
   * alone: another model, or none, gives other scores.
   */
  readonly with?: {
    readonly pool: string;
    /** Hash of the model's identity and of how it is asked. */
    readonly of: string;
  };
}

export interface EvidenceState extends Verdict {
  /** Of the stage, as its latest label names it; absent without labels. */
  readonly stage?: string;
  /** Pool of the model whose scores the verifier's are made with. */
  readonly with?: string;
  readonly maxErrorRate: number;
  readonly steps: readonly Counts[];
  /** 90 % interval of the error rate of all judged hits up to the threshold. */
  readonly interval: readonly [number, number];
  readonly hits: number;
  readonly lookups: number;
  /** Wrong hits that callers reported. */
  readonly reported: number;
  /** How often the stage has closed after it had been open: drift or a report. */
  readonly closed: number;
}

/** Forgets the labels and keeps the tallies. */
const reset = script<[key: string], [wrongAt: string], number>(`
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'n:' or string.sub(field, 1, 2) == 'k:' or field == 'drift' then redis.call('HDEL', KEYS[1], field) end
end
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], 'n:' .. ARGV[1], 1, 'k:' .. ARGV[1], 1)
end
return redis.call('HINCRBY', KEYS[1], 'closed', 1)`);

/** Labels of the semantic hits of stages, in the cache's store. Without the store every stage is closed. */
export class Evidence {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  keyOf({ with: other, ...judged }: Judged): string {
    const { tenant, pipeline, stage, of } = judged;
    const key = `millrace:cache-evidence:{${keySegment(tenant)}}:${keySegment(pipeline)}:${keySegment(stage)}:${of}`;
    return other === undefined ? key : besides(key, other.of);
  }

  async state(judged: Judged, maxErrorRate: number): Promise<EvidenceState> {
    return stateOf(await this.#redis.hgetall(this.keyOf(judged)), maxErrorRate);
  }

  /** Adds the label of a hit, served or not. Closes the stage if errors have become frequent. */
  async label(judged: Judged, step: number, wrong: boolean, maxErrorRate: number): Promise<void> {
    const key = this.keyOf(judged);
    const before = stateOf(await this.#redis.hgetall(key), maxErrorRate);
    // A hit that would not have been served says nothing of the ones that are.
    const served = step <= before.open && before.open > 0;
    const sum = served ? drifted(before.drift, wrong, maxErrorRate) : before.drift;
    if (sum >= LIMIT) {
      await reset(this.#redis, [key], '');
      return;
    }
    const pipeline = this.#redis.pipeline().hincrby(key, `n:${step}`, 1);
    if (wrong) pipeline.hincrby(key, `k:${step}`, 1);
    if (served) pipeline.hset(key, 'drift', sum);
    pipeline.hset(key, 'stage', `${judged.pipeline}/${judged.stage}`, 'max', maxErrorRate);
    const { with: other, ...alone } = judged;
    if (other) {
      const first = this.keyOf(alone);
      pipeline.hset(key, 'with', other.pool).hset(first, `${WITH}${other.of}`, 1).pexpire(first, KEPT_MS);
    }
    await pipeline.pexpire(key, KEPT_MS).exec();
  }

  /**
   * A caller says that a hit was wrong: the stage closes until new labels open it again; the error stays counted.
   *
   * @param key of the evidence without another model
   * @param scored by what the hit was scored: the verifier alone, the verifier with another model, or, for a hit of the
   *   guard, none of them: then all of the stage's evidence closes
   */
  async reportWrong(key: string, step: number, scored: 'alone' | 'with' | 'neither'): Promise<void> {
    const others = scored === 'alone' ? [] : await this.#besides(key);
    for (const each of scored === 'with' ? others : [key, ...others]) {
      await reset(this.#redis, [each], String(step));
      await this.#redis.pipeline().hincrby(each, 'reported', 1).pexpire(each, KEPT_MS).exec();
    }
  }

  /** The evidence of a stage with other models, that has labels. */
  async #besides(key: string): Promise<string[]> {
    const others = (await this.#redis.hkeys(key))
      .filter((field) => field.startsWith(WITH))
      .map((field) => besides(key, field.slice(WITH.length)));
    const exist = await Promise.all(others.map((other) => this.#redis.exists(other)));
    return others.filter((_, i) => exist[i] === 1);
  }

  /** Counts a lookup, and whether it was a hit. */
  async tally(judged: Judged, hit: boolean): Promise<void> {
    const key = this.keyOf(judged);
    const pipeline = this.#redis.pipeline().hincrby(key, 'lookups', 1);
    if (hit) pipeline.hincrby(key, 'hits', 1);
    await pipeline.pexpire(key, KEPT_MS).exec();
  }

  /** The states of all stages of a tenant that have labels, by key. */
  async all(tenant: string): Promise<[key: string, EvidenceState][]> {
    const pattern = `millrace:cache-evidence:{${keySegment(tenant)}}:*`;
    const found: [string, EvidenceState][] = [];
    let cursor = '0';
    do {
      const [next, keys] = await this.#redis.scan(cursor, 'MATCH', pattern, 'COUNT', 500);
      cursor = next;
      for (const key of keys) {
        const hash = await this.#redis.hgetall(key);
        if (hash.max !== undefined) found.push([key, stateOf(hash, Number(hash.max))]);
      }
    } while (cursor !== '0');
    return found.sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** Fields of a stage's evidence that name what other evidence it has: the hash of each model that it was scored with. */
const WITH = 'with:';
const besides = (key: string, of: string): string => `${key}:${of}`;

function stateOf(
  hash: Readonly<Record<string, string>>,
  maxErrorRate: number,
): EvidenceState & { readonly drift: number } {
  const number = (field: string) => Number(hash[field] ?? 0);
  const steps = STEPS.map((_, i) => ({ labels: number(`n:${i}`), wrong: number(`k:${i}`) }));
  const verdict = verdictOf(steps, maxErrorRate);
  return {
    ...verdict,
    ...(hash.stage !== undefined && { stage: hash.stage }),
    ...(hash.with !== undefined && { with: hash.with }),
    maxErrorRate,
    steps,
    interval: [lowerBound(verdict.counts, ALPHA), upperBound(verdict.counts, ALPHA)],
    hits: number('hits'),
    lookups: number('lookups'),
    reported: number('reported'),
    closed: number('closed'),
    drift: number('drift'),
  };
}
