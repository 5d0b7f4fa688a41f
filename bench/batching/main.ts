/**
 * Micro-batches of `embed` calls at a server that has no batching of its own: MiniLM behind LitServe. 32 callers at a pool,
 * each with one text at a time, and the same callers with whole runs through Temporal; with `microBatch` (`micro`) and
 * without (`off`), in turn.
 *
 *   npm run bench:batching [-- --json] [--rounds N] [--most N] [--wait MS] [--only calls]
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import pMap from 'p-map';
import { pino } from 'pino';
import { z } from 'zod';
import { createConnectors } from '../../activities/connectors/index.js';
import { plainContext } from '../../activities/connectors/plain-context.js';
import { type Pool, Pools, parseModels } from '../../activities/pools/index.js';
import { down, up } from '../../deploy/local/stack/index.js';
import { embed, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { RunContext } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { workerActivities } from '../../workers/activities.js';
import { workflowSource } from '../../workers/bundle.js';
import { composeStages } from '../../workers/compose.js';
import { workerSinks } from '../../workers/hosts/sinks.js';
import { readSettings } from '../../workers/settings.js';
import { loadAverages, note, percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';
import { startMiniLm } from './server.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '6' },
    most: { type: 'string', default: '16' },
    wait: { type: 'string', default: '5' },
    only: { type: 'string' },
  },
});
const ROUNDS = Number(options.rounds);
const CALLERS = 32;
const CALLS_A_ROUND = 320;
const RUNS_A_ROUND = 160;
const RUN_TIMEOUT_MS = 60_000;
const SIDES = ['off', 'micro'] as const;
type SideName = (typeof SIDES)[number];

/** A short question, which no cache knows. */
let questions = Date.now() % 100_000;
const textOf = () => `Where is my order ${questions++}?`;

const modelsOf = (url: string) => {
  const pool = {
    connector: 'http',
    kind: 'embed',
    model: 'minilm',
    options: { preset: 'litserve' },
    endpoints: [{ url, device: 'cpu', concurrency: CALLERS }],
  };
  return { off: pool, micro: { ...pool, microBatch: { waitMs: Number(options.wait), most: Number(options.most) } } };
};

class Taken {
  readonly ms: number[] = [];
  seconds = 0;
  cpuMs = 0;

  /** `count` pieces of work, `CALLERS` at a time. */
  async measure(count: number, work: () => Promise<unknown>): Promise<void> {
    const began = performance.now();
    const cpu = server.cpuMs();
    const timed = async () => {
      const own = performance.now();
      await work();
      this.ms.push(performance.now() - own);
    };
    await pMap(Array.from({ length: count }), timed, { concurrency: CALLERS });
    this.seconds += (performance.now() - began) / 1_000;
    this.cpuMs += server.cpuMs() - cpu;
  }

  get perSecond(): number {
    return this.ms.length / this.seconds;
  }
}

/** Both sides in turn, after a round that does not count. */
async function compare(count: number, workOf: (side: SideName) => () => Promise<unknown>) {
  const taken: Record<SideName, Taken> = { off: new Taken(), micro: new Taken() };
  for (const side of SIDES) await new Taken().measure(CALLERS, workOf(side));
  for (let i = 0; i < ROUNDS; i++) {
    for (const side of i % 2 === 0 ? SIDES : SIDES.toReversed()) await taken[side].measure(count, workOf(side));
  }
  return taken;
}

const speedup = ({ off, micro }: Record<SideName, Taken>) => round(micro.perSecond / off.perSecond, 2);

const callOf = (pool: Pool) => (): Promise<unknown> => {
  const call = { kind: 'embed', with: {}, input: { text: textOf() } };
  return pool.use((backend, { model }, signal) => backend.invoke({ ...call, model }, plainContext(signal)), {
    signal: new AbortController().signal,
  });
};

async function atThePool(url: string) {
  const pools = new Pools({
    models: parseModels(modelsOf(url), 'bench'),
    connectors: createConnectors(),
    metrics: createMetrics(),
    logger: pino({ level: 'info' }, pino.destination('/dev/null')),
    canaryIntervalMs: 600_000,
  });
  try {
    return await compare(CALLS_A_ROUND, (side) => callOf(pools.get(side)));
  } finally {
    pools.close();
  }
}

const pipelineOf = (side: SideName): Pipeline =>
  pipeline(`batching-${side}`, { input: z.object({ text: z.string() }), deadline: '1m' }, ({ input, stage }) => {
    const { embedding } = stage('vector', embed({ model: side }), { text: input.text });
    return { embedding };
  }) as Pipeline;

async function wholeRuns(url: string) {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-bench-batching-'));
  const file = path.join(folder, 'models.json');
  writeFileSync(file, JSON.stringify({ ...modelsOf(url), minilm: modelsOf(url).off }));
  const more = { MILLRACE_MODELS: file };
  const settings = readSettings(environmentOf({ name: 'bench-batching', portBase: 7860, more }));
  note('starting Temporal and Redis');
  try {
    const { temporal } = await up({ settings, parts: ['temporal', 'redis', 'redis-index', 'redis-cache'] });
    // What its core logs goes to the standard output otherwise.
    const logging = { filter: 'ERROR', forward: {} };
    Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
    const stages = await composeStages(settings, pino({ level: 'info' }, pino.destination('/dev/null')));
    const connection = await NativeConnection.connect({ address: temporal });
    const activities = workerActivities(stages);
    const taskQueue = 'batching';
    const worker = await Worker.create({
      connection,
      taskQueue,
      ...workflowSource(),
      activities,
      sinks: workerSinks(stages),
    });
    const running = worker.run();
    const client = new Client({ connection: await Connection.connect({ address: temporal }) });
    const runOf = (side: SideName) => {
      const { name, plan } = pipelineOf(side);
      const poolOf = () => ({ connector: 'http', kind: 'embed', devices: ['cpu'], capabilities: new Set<string>() });
      const about: RunContext = { plan, placement: place(plan, poolOf, taskQueue), tenant: 'bench' };
      return () =>
        client.workflow.execute(name, {
          taskQueue,
          workflowId: `bench-${randomUUID()}`,
          workflowRunTimeout: RUN_TIMEOUT_MS,
          args: [{ text: textOf() }, about],
        });
    };
    const runs = { off: runOf('off'), micro: runOf('micro') };
    const taken = await compare(RUNS_A_ROUND, (side) => runs[side]);
    worker.shutdown();
    await running;
    await client.connection.close();
    await stages.close();
    return taken;
  } finally {
    await down(settings);
    rmSync(folder, { recursive: true, force: true });
  }
}

const server = await startMiniLm();
try {
  note('calls at the pool');
  const calls = await atThePool(server.url);
  const runs = options.only === 'calls' ? undefined : await wholeRuns(server.url);
  const of = (side: SideName) => ({
    callsPerS: round(calls[side].perSecond, 1),
    p50Ms: round(percentile(calls[side].ms, 0.5), 1),
    p95Ms: round(percentile(calls[side].ms, 0.95), 1),
    serverCpuMs: round(calls[side].cpuMs / calls[side].ms.length, 2),
    ...(runs && { runsPerS: round(runs[side].perSecond, 1) }),
  });
  const figures = {
    off: of('off'),
    micro: of('micro'),
    speedup: speedup(calls),
    ...(runs && { runsSpeedup: speedup(runs) }),
  };
  const load = loadAverages();
  if (options.json)
    process.stdout.write(`${JSON.stringify({ embed: figures, callers: CALLERS, rounds: ROUNDS, load })}\n`);
  else {
    for (const side of SIDES) {
      const { callsPerS, p50Ms, p95Ms, serverCpuMs, runsPerS } = figures[side];
      process.stdout.write(
        `${side.padEnd(6)} ${callsPerS} calls/s, p50 ${p50Ms} ms, p95 ${p95Ms} ms, ${serverCpuMs} ms of the server’s processors a call; ${runsPerS ?? 'no'} runs/s\n`,
      );
    }
    process.stdout.write(
      `${figures.speedup} times the calls, ${figures.runsSpeedup ?? 'not measured:'} times the runs; ${CALLERS} callers, load average ${load.join(', ')}\n`,
    );
  }
} finally {
  await server.stop();
}
