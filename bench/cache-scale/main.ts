/**
 * The semantic cache's store with 100,000 entries: Redis' own time of look-ups that 32 connections send at a fixed rate,
 * whether earlier ones have been answered or not (open loop), and how many of the true nearest texts the index finds.
 * Vectors are random around random centres, as texts of several subjects are; the answers are short.
 *
 *   npm run bench:cache-scale [-- --entries N] [--rate N] [--seconds N] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { keysOf } from '../../activities/cache/cache-key.js';
import { Entries } from '../../activities/cache/entries.js';
import { Budget, type CacheRequest, SemanticCache } from '../../activities/cache/index.js';
import { down, up } from '../../deploy/local/stack/index.js';
import { VectorSets } from '../../stores/redis/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { readSettings } from '../../workers/settings.js';
import { openStore } from '../../workers/stores.js';
import { REQUEST } from '../cache/live.js';
import { percentile } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';
import { mulberry32 } from '../random.js';

const { values: options } = parseOptions({
  options: {
    entries: { type: 'string', default: '100000' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
    connections: { type: 'string', default: '32' },
    json: { type: 'boolean' },
  },
});
const number = (name: 'entries' | 'rate' | 'seconds' | 'connections') => Number(options[name]);

const DIMENSIONS = 384;
const CENTRES = 400;
/** Spread around a centre: neighbours of a text have a cosine of about 0.7, texts of other subjects 0. */
const SPREAD = 0.65;
const WRITERS = 16;
const NEAREST = 10;
const RECALL_QUERIES = 100;
const SEED = 99;
/** Half of the questions have been asked before; the others are near them. */
const REPEATED = 0.5;

const random = mulberry32(SEED);
const gauss = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const unit = (vector: Float32Array): Float32Array => {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
};
const direction = () => unit(Float32Array.from({ length: DIMENSIONS }, gauss));
const near = (centre: Float32Array, spread: number) => {
  const noise = direction();
  return unit(centre.map((value, i) => value + spread * (noise[i] as number)));
};

const settings = readSettings(
  environmentOf({
    name: 'bench-cache-scale',
    portBase: 7790,
    more: { MILLRACE_REDIS_CACHE_BYTES: `${2 * 1024 ** 3}` },
  }),
);

const textOf = (i: number) => `Question ${i}?`;

async function main(): Promise<Record<string, number>> {
  await up({ settings, parts: ['redis-cache'] });
  const logger = pino({ level: 'warn' }, pino.destination(2));
  const connections = Array.from({ length: number('connections') }, () => openStore(settings, 'cache', logger, 5_000));
  const [redis] = connections as [ReturnType<typeof openStore>];
  try {
    await sleep(500);
    await redis.flushall();
    const centres = Array.from({ length: CENTRES }, direction);
    const vectors = Array.from({ length: number('entries') }, (_, i) =>
      near(centres[i % CENTRES] as Float32Array, SPREAD),
    );
    const asked = new Map<string, Float32Array>();
    const embedder = {
      fingerprint: async () => 'bench',
      embed: async (text: string) => asked.get(text) ?? (vectors[Number(/\d+/.exec(text)?.[0])] as Float32Array),
    };
    const caches = connections.map(
      (own) =>
        new SemanticCache({
          redis: own,
          embedderFor: () => embedder,
          metrics: createMetrics(),
          logger,
          budget: new Budget(own, 1024 ** 3),
        }),
    );
    const request = (key: string): CacheRequest => ({ ...REQUEST, tenant: 'bench', key });
    const entries = new Entries(redis);
    const sets = new VectorSets(redis);
    const budget = new Budget(redis, 1024 ** 3);
    const store = async (i: number) => {
      const key = textOf(i);
      const at = keysOf(request(key), 'bench');
      const output = { text: `An answer to ${key}` };
      await Promise.all([
        entries.store(at, 'bench', { text: key, output }, REQUEST.ttlMs),
        sets.add(at.vectors, at.id, vectors[i] as Float32Array),
        budget.stored({ tenant: 'bench', partition: at.partition, id: at.id }, 900, 1_000, REQUEST.ttlMs),
      ]);
    };

    const filling = performance.now();
    let next = 0;
    await Promise.all(
      Array.from({ length: WRITERS }, async () => {
        for (let i = next++; i < vectors.length; i = next++) await store(i);
      }),
    );
    const fillSeconds = (performance.now() - filling) / 1_000;
    const memory = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);

    const [set = ''] = await redis.keys('millrace:cache:*:vectors');
    const recall = await recallOf(sets, set, centres, vectors);

    await redis.config('SET', 'latency-tracking-info-percentiles', '50 95 99');
    await redis.config('RESETSTAT');
    const latencies: number[] = [];

    let hits = 0;
    const count = number('rate') * number('seconds');
    const pending: Promise<void>[] = [];
    const started = performance.now();
    for (let i = 0; i < count; i += 1) {
      const due = started + (1_000 * i) / number('rate');
      if (due > performance.now()) await sleep(due - performance.now());
      const repeated = random() < REPEATED;
      const of = Math.floor(random() * vectors.length);
      const key = repeated ? textOf(of) : `Near ${of} the ${i}th?`;
      if (!repeated) asked.set(key, near(vectors[of] as Float32Array, 0.3));
      const cache = caches[i % caches.length] as SemanticCache;
      pending.push(
        cache.earlier(request(key), new AbortController().signal).then((found) => {
          latencies.push(performance.now() - due);
          if (found) hits += 1;
        }),
      );
    }
    await Promise.all(pending);
    const stats = await redis.info('commandstats');
    const usec = [...stats.matchAll(/usec=(\d+)/g)].reduce((sum, [, micro]) => sum + Number(micro), 0);
    const perCommand = percentilesOf(await redis.info('latencystats'));

    const round = (value: number) => Math.round(value * 1_000) / 1_000;
    return {
      entries: vectors.length,
      fillSeconds: round(fillSeconds),
      bytesPerEntry: Math.round(memory / vectors.length),
      recall: round(recall),
      lookups: count,
      hits,
      redisMsPerLookup: round(usec / 1_000 / count),
      redisP95Ms: round(perCommand),
      p50Ms: round(percentile(latencies, 0.5)),
      p95Ms: round(percentile(latencies, 0.95)),
      p99Ms: round(percentile(latencies, 0.99)),
    };
  } finally {
    for (const each of connections) each.disconnect();
    await down(settings);
  }
}

/** Redis' own time of a look-up at the 95th percentile, in milliseconds: the sum over the commands of one. */
function percentilesOf(info: string): number {
  return ['get', 'mget', 'vsim'].reduce((sum, command) => {
    const micro = new RegExp(`^latency_percentiles_usec_${command}:.*?p95=([\\d.]+)`, 'im').exec(info)?.[1];
    return sum + Number(micro ?? 0) / 1_000;
  }, 0);
}

async function recallOf(
  sets: VectorSets,
  set: string,
  centres: readonly Float32Array[],
  vectors: readonly Float32Array[],
): Promise<number> {
  let found = 0;
  for (let i = 0; i < RECALL_QUERIES; i += 1) {
    const query = near(centres[i % CENTRES] as Float32Array, SPREAD);
    const cosines = Float64Array.from(vectors, (vector) => cosine(vector, query));
    const least = cosines.sort()[vectors.length - NEAREST] as number;
    // As many of the found are at least as near as the tenth is; the quantised cosine is off by 0.002.
    found += (await sets.search(set, query, NEAREST)).filter(({ similarity }) => similarity >= least - 0.002).length;
  }
  return found / (NEAREST * RECALL_QUERIES);
}

function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

main().then(
  (figures) => {
    if (options.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
    else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name}: ${value}\n`);
  },
  (error: unknown) => {
    process.stderr.write(`${error}\n`);
    process.exitCode = 1;
  },
);
