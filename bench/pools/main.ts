/**
 * What pools do for their calls, at servers with a queue of their own:
 *
 * - `blackHole`: one of two endpoints refuses every call at once. `badShare`: its share of the calls.
 * - `balance`: two endpoints, one three times as fast as the other, at 80 % of their load. `p99Ratio`: the 99th percentile of the latency over that
 *   of one shared queue, which knows the servers' slots, in turn with the same calls.
 * - `admission`: a flood of `batch` calls at one server, with an `interactive` call now and then. `p95Ratio`: the 95th percentile of the interactive
 *   calls over that without the server's metrics; `throughputRatio`: the same of the batch calls per second.
 *
 *   npm run bench:pools [-- --json] [--rounds N]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createConnectors } from '../../activities/connectors/index.js';
import { plainContext } from '../../activities/connectors/plain-context.js';
import { type Pool, Pools, parseModels } from '../../activities/pools/index.js';
import type { Priority } from '../../pipelines/plan/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { mulberry32 } from '../random.js';
import { type PacedOptions, PacedServer } from './server.js';
import { SharedQueue } from './shared-queue.js';

const { values: options } = parseOptions({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '4' } },
});
const ROUNDS = Number(options.rounds);
const SLOTS = 4;
/** Far longer than the timers' and the machine's jitter. */
const FAST_MS = 60;
const SLOW_MS = 180;
const LOAD = 0.8;
const CALLS_A_ROUND = 300;

const rounded = (value: number) => round(value, 3);

function openPool(urls: readonly string[], concurrency: number): { readonly pool: Pool; close(): void } {
  const endpoints = urls.map((url, i) => ({ url, device: `server${i}`, concurrency }));
  const pools = new Pools({
    models: parseModels({ m: { connector: 'openai', model: 'm', kind: 'chat', endpoints } }, 'bench'),
    connectors: createConnectors(),
    metrics: createMetrics(),
    logger: pino({ level: 'info' }, pino.destination('/dev/null')),
    canaryIntervalMs: 600_000,
  });
  return { pool: pools.get('m'), close: () => pools.close() };
}

type Call = (length: number, priority?: Priority) => Promise<unknown>;

const callOf =
  (pool: Pool): Call =>
  (length, priority) =>
    pool.use(
      (backend, { model }, signal) =>
        backend.invoke(
          { kind: 'chat', model, with: { maxTokens: length }, input: { prompt: 'Well?' } },
          plainContext(signal),
        ),
      { signal: new AbortController().signal, priority },
    );

/** Latencies in ms of calls that arrive at random, at a mean rate per second. */
async function arrivals(
  call: Call,
  { count, rate, seed }: { count: number; rate: number; seed: number },
): Promise<number[]> {
  const random = mulberry32(seed);
  const taken: number[] = [];
  const open: Promise<void>[] = [];
  let due = performance.now();
  for (let i = 0; i < count; i++) {
    due += (-Math.log(1 - random()) * 1_000) / rate;
    const length = Math.round(50 + 100 * random());
    const ahead = due - performance.now();
    if (ahead > 0) await sleep(ahead);
    // From when it should have been sent: what delays the bench itself counts for both sides.
    const began = due;
    open.push(call(length).then(() => void taken.push(performance.now() - began)));
  }
  await Promise.all(open);
  return taken;
}

async function withServers<T>(
  paced: readonly PacedOptions[],
  work: (servers: readonly PacedServer[]) => Promise<T>,
): Promise<T> {
  const servers = await Promise.all(paced.map((each) => PacedServer.start(each)));
  try {
    return await work(servers);
  } finally {
    for (const server of servers) server.stop();
  }
}

const blackHole = () =>
  withServers(
    [
      { slots: SLOTS, ms: FAST_MS, reports: true },
      { slots: SLOTS, ms: FAST_MS, reports: true, broken: true },
    ],
    async (servers) => {
      const { pool, close } = openPool(
        servers.map(({ url }) => url),
        32,
      );
      const call = callOf(pool);
      await arrivals((length) => call(length).catch(() => undefined), { count: 600, rate: 40, seed: 7 });
      close();
      const [good = 0, bad = 0] = servers.map(({ calls }) => calls);
      return { badShare: rounded(bad / (good + bad)) };
    },
  );

const balance = () =>
  withServers(
    [
      { slots: SLOTS, ms: FAST_MS, reports: true },
      { slots: SLOTS, ms: SLOW_MS, reports: true },
    ],
    async (servers) => {
      const urls = servers.map(({ url }) => url);
      const rate = LOAD * SLOTS * (1_000 / FAST_MS + 1_000 / SLOW_MS);
      const { pool, close } = openPool(urls, 32);
      const shared = new SharedQueue(
        urls.map((url) => openPool([url], SLOTS)),
        SLOTS,
      );
      const sides = [
        { call: callOf(pool), taken: [] as number[] },
        { call: (length: number) => shared.use((own) => callOf(own)(length)), taken: [] as number[] },
      ];
      for (const { call } of sides) await arrivals(call, { count: 60, rate, seed: 1 });
      for (let i = 0; i < ROUNDS; i++) {
        for (const side of i % 2 === 0 ? sides : sides.toReversed()) {
          side.taken.push(...(await arrivals(side.call, { count: CALLS_A_ROUND, rate, seed: 100 + i })));
        }
      }
      close();
      shared.close();
      const [own = Number.NaN, one = Number.NaN] = sides.map(({ taken }) => percentile(taken, 0.99));
      return { p99Ratio: rounded(own / one), p99Ms: Math.round(own), sharedP99Ms: Math.round(one) };
    },
  );

/** Latencies of interactive calls during a flood, and the flood's calls per second. */
const flooded = (reports: boolean) =>
  withServers([{ slots: SLOTS, ms: FAST_MS, reports }], async ([server]) => {
    const { pool, close } = openPool([server?.url ?? ''], 64);
    const call = callOf(pool);
    let over = false;
    let done = 0;
    const flood = Array.from({ length: 64 }, async () => {
      while (!over) {
        await call(100, 'batch');
        done += 1;
      }
    });
    await sleep(1_500);
    const before = done;
    const began = performance.now();
    const taken: number[] = [];
    for (let i = 0; i < 60; i++) {
      const started = performance.now();
      await call(100, 'interactive');
      taken.push(performance.now() - started);
      await sleep(50);
    }
    const perSecond = ((done - before) / (performance.now() - began)) * 1_000;
    over = true;
    await Promise.all(flood);
    close();
    return { p95: percentile(taken, 0.95), perSecond };
  });

async function admission() {
  const on = await flooded(true);
  const off = await flooded(false);
  return {
    p95Ratio: rounded(on.p95 / off.p95),
    throughputRatio: rounded(on.perSecond / off.perSecond),
    p95Ms: Math.round(on.p95),
    p95MsWithout: Math.round(off.p95),
  };
}

const print = (line: string) => void process.stdout.write(`${line}\n`);

const result = { blackHole: await blackHole(), balance: await balance(), admission: await admission() };
if (options.json) print(JSON.stringify(result));
else {
  const { blackHole: hole, balance: balanced, admission: admitted } = result;
  print(`broken endpoint: ${(hole.badShare * 100).toFixed(1)} % of the calls`);
  print(
    `unequal endpoints: p99 ${balanced.p99Ms} ms, of one shared queue ${balanced.sharedP99Ms} ms: ${balanced.p99Ratio} ×`,
  );
  print(
    `flood: p95 of interactive calls ${admitted.p95Ms} ms, without metrics ${admitted.p95MsWithout} ms: ${admitted.p95Ratio} ×`,
  );
  print(`flood: throughput ${admitted.throughputRatio} × of that without metrics`);
}
