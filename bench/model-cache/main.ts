/**
 * Models that are loaded on demand: 20 of them at a real Triton with room for 5, requests by Zipf’s law whose favourites change in the
 * middle. By use, time of loading and size (`greedyDual`), and least recently used first (`leastRecent`), with the same requests.
 *
 *   npm run bench:model-cache [-- --json] [--requests N] [--callers N] [--seed N] [--rounds N]
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import type { Repository } from '../../activities/connectors/connector.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { plainContext } from '../../activities/connectors/plain-context.js';
import { Pools, parseModels } from '../../activities/pools/index.js';
import { greedyDual, leastRecent, type Worth } from '../../activities/pools/model-cache/policy.js';
import { down, up } from '../../deploy/local/stack/index.js';
import { isAway, MillraceError } from '../../pipelines/errors.js';
import { nextAttempt, UNTRIED } from '../../pipelines/retry.js';
import { PACKAGE_ROOT } from '../../runtime/package-root.js';
import { createRedis } from '../../stores/redis/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { readSettings } from '../../workers/settings.js';
import { loadAverages, note, percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';
import { mulberry32 } from '../random.js';
import { simulate } from './simulate.js';
import { type BenchModel, modelsOf, requestsOf } from './workload.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    requests: { type: 'string', default: '240' },
    callers: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '1' },
  },
});
const MODELS = 20;
const ROOM = 5;
const MEMORY_MIB = 100;
const COST_MS = 10;
const CALLERS = Number(options.callers);
const REQUESTS = Number(options.requests);
const ROUNDS = Number(options.rounds);
const SEED = Number(options.seed);
const SIMULATED = { models: MODELS, room: ROOM, requests: 5_000, seeds: Array.from({ length: 50 }, (_, i) => i) };
/** The stage's part of a load: it comes back as it would for a server that is away. */
const RETRY = { attempts: 1, initialMs: 100, factor: 2, maxMs: 1_000 };
const SIDES: Readonly<Record<'greedyDual' | 'leastRecent', Worth>> = { greedyDual, leastRecent };
type Side = keyof typeof SIDES;
const NAMES = Object.keys(SIDES) as Side[];

const silent = pino({ level: 'info' }, pino.destination('/dev/null'));

const settings = readSettings(
  environmentOf({
    name: 'bench-model-cache',
    portBase: Number(process.env.MILLRACE_BENCH_PORT_BASE ?? 7940),
  }),
);

/** Puts the models into the repository of the bench's Triton, which then may load them. */
function write(models: readonly BenchModel[]): void {
  const repository = path.join(settings.MILLRACE_HOME, 'triton', 'models');
  for (const { name, loadMs } of models) {
    mkdirSync(path.join(repository, name, '1'), { recursive: true });
    cpSync(path.join(PACKAGE_ROOT, 'bench/model-cache/model.py'), path.join(repository, name, '1', 'model.py'));
    const parameter = (key: string, value: number | string) =>
      `parameters { key: "${key}" value: { string_value: "${value}" } }`;
    const config = [
      'backend: "python"',
      'max_batch_size: 8',
      'input [ { name: "X" data_type: TYPE_FP32 dims: [ 1 ] } ]',
      'output [ { name: "Y" data_type: TYPE_FP32 dims: [ 1 ] } ]',
      'instance_group [ { count: 1 kind: KIND_CPU } ]',
      ...[parameter('load_ms', loadMs), parameter('cost_ms', COST_MS), parameter('fingerprint', name)],
    ];
    writeFileSync(path.join(repository, name, 'config.pbtxt'), config.join('\n'));
  }
}

async function unloadAll(repository: Repository, models: readonly BenchModel[]): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const names = new Set(models.map(({ name }) => name));
  for (const name of (await repository.states(signal)).keys())
    if (names.has(name)) await repository.unload(name, signal);
  while ([...(await repository.states(signal)).keys()].some((name) => names.has(name))) await sleep(50);
}

class Taken {
  readonly ms: number[] = [];
  misses = 0;
  loadMs = 0;
}

const tensor = { dtype: 'FP32', shape: [1, 1] };
const call = { kind: 'infer', with: { inputs: { X: tensor }, outputs: { Y: tensor } } };
const input = { X: { ...tensor, data: [1] } };

/** A request as a stage makes it: it comes back while its model is being loaded. */
async function request(pools: Pools, model: string, random: () => number): Promise<number> {
  const began = performance.now();
  let tried = UNTRIED;
  for (;;) {
    try {
      await pools
        .get(model)
        .use((backend, at, signal) => backend.invoke({ ...call, model: at.model, input }, plainContext(signal)), {
          signal: AbortSignal.timeout(120_000),
        });
      return performance.now() - began;
    } catch (error) {
      if (!(error instanceof MillraceError && isAway(error))) throw error;
      const next = nextAttempt(RETRY, undefined, error, 0, tried, random());
      tried = next.tried;
      await sleep(next.delayMs ?? 0);
    }
  }
}

/** One side with all requests, from a server without models and a store that knows none. */
async function measure(side: Side, url: string, redis: Redis, requests: readonly BenchModel[], taken: Taken) {
  await redis.flushall();
  const models = [...new Set(requests)];
  const metrics = createMetrics();
  const pool = ({ name: model }: BenchModel) => ({
    ...{ connector: 'triton', kind: 'infer', model, endpoints: [{ url, device: 'cpu0' }] },
    load: { memory: `${MEMORY_MIB}MiB`, of: `${ROOM * MEMORY_MIB}MiB` },
  });
  const pools = new Pools({
    models: parseModels(Object.fromEntries(models.map((model) => [model.name, pool(model)])), 'bench'),
    connectors: createConnectors(),
    metrics,
    logger: silent,
    canaryIntervalMs: 600_000,
    redis,
    worth: SIDES[side],
  });
  const queue = requests.values();
  const random = mulberry32(SEED);
  const caller = async () => {
    for (const { name } of queue) taken.ms.push(await request(pools, name, random));
  };
  try {
    await Promise.all(Array.from({ length: CALLERS }, caller));
  } finally {
    pools.close();
  }
  const loads = (await metrics.modelLoads.get()).values.filter(({ labels }) => labels.outcome === 'ok');
  const seconds = (await metrics.modelLoadSeconds.get()).values.filter(({ metricName }) =>
    metricName?.endsWith('_sum'),
  );
  taken.misses += loads.reduce((sum, { value }) => sum + value, 0);
  taken.loadMs += 1_000 * seconds.reduce((sum, { value }) => sum + value, 0);
}

async function measured() {
  const models = modelsOf(MODELS, SEED);
  const taken: Record<Side, Taken> = { greedyDual: new Taken(), leastRecent: new Taken() };
  note('starting Redis and Triton');
  const { redis: address, triton } = await up({ settings, parts: ['redis', 'triton'] });
  const url = triton[0] ?? '';
  const redis = createRedis({ url: address, timeoutMs: 5_000, logger: silent });
  const backend = createConnectors().get('triton')?.connect(url);
  const repository = backend?.repository;
  if (!backend || !repository) throw new Error('Triton has no repository');
  try {
    write(models);
    for (let i = 0; i < ROUNDS; i++) {
      const requests = requestsOf(models, REQUESTS, SEED + i);
      for (const side of i % 2 === 0 ? NAMES : NAMES.toReversed()) {
        note(`round ${i + 1}: ${side}`);
        await unloadAll(repository, models);
        await measure(side, url, redis, requests, taken[side]);
      }
    }
    await unloadAll(repository, models);
  } finally {
    backend.close();
    redis.disconnect();
    await down(settings);
  }
  return taken;
}

const simulated = Object.fromEntries(
  NAMES.map((side) => {
    const { missRatio, loadMs } = simulate(SIDES[side], SIMULATED);
    return [side, { missRatio: round(missRatio, 3), loadMsARequest: round(loadMs) }];
  }),
);
const taken = await measured();
const of = (side: Side) => {
  const { ms, misses, loadMs } = taken[side];
  return {
    misses,
    missRatio: round(misses / ms.length, 3),
    p50Ms: round(percentile(ms, 0.5)),
    p95Ms: round(percentile(ms, 0.95)),
    loadMsARequest: round(loadMs / ms.length),
  };
};
const figures = { greedyDual: of('greedyDual'), leastRecent: of('leastRecent') };
const load = loadAverages();
if (options.json) {
  const about = { models: MODELS, room: ROOM, requests: REQUESTS * ROUNDS, callers: CALLERS, seed: SEED };
  process.stdout.write(`${JSON.stringify({ ...figures, simulated, ...about, load })}\n`);
} else {
  for (const side of NAMES) {
    const { misses, missRatio, p50Ms, p95Ms, loadMsARequest } = figures[side];
    process.stdout.write(
      `${side.padEnd(11)} ${misses} misses (${round(100 * missRatio, 1)} %), p50 ${p50Ms} ms, p95 ${p95Ms} ms, ${loadMsARequest} ms of loading a request; simulated ${JSON.stringify(simulated[side])}\n`,
    );
  }
  process.stdout.write(`${REQUESTS * ROUNDS} requests of ${CALLERS} callers, load average ${load.join(', ')}\n`);
}
