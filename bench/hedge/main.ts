/**
 * The effect of hedging on a server that stalls: the same chat stage with and without a hedge, in turn, against a
 * server process that answers in about 20 ms and stalls 5 % of its calls for a second. Prints the 99th percentile of
 * each side's latencies and the share of calls that the hedge added, as counted by the server.
 *
 *   npm run bench:hedge [-- --json] [--rounds N] [--after MS | --percentile P]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pMap from 'p-map';
import { pino } from 'pino';
import type { ExactCache, SemanticCache, VectorCache } from '../../activities/cache/index.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { Pools, parseModels } from '../../activities/pools/index.js';
import { StageRunner } from '../../activities/stage/stage-runner.js';
import type { HedgePolicy } from '../../pipelines/plan/index.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { loadAverages, percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '10' },
    /** Several times a call's usual duration, also on a shared machine. */
    after: { type: 'string', default: '150' },
    percentile: { type: 'string' },
  },
});
const ROUNDS = Number(options.rounds);
const CALLS_A_ROUND = 100;
/** Few enough for two cores: the bench measures the server's stall, not a queue for the processor. */
const IN_FLIGHT = 4;
const WARM_UP = 40;
/** Limit for the whole bench, several times its duration. */
const LIMIT_MS = 55_000;

const hedge: HedgePolicy =
  options.percentile === undefined ? { afterMs: Number(options.after) } : { percentile: Number(options.percentile) };
const STAGE: StageCall = {
  pipeline: 'bench',
  version: '0',
  tenant: 'bench',
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
};

/** A worker's stages with pools of its own, so that the sides do not share latencies. */
function openRunner(urls: readonly string[]): { readonly runner: StageRunner; close(): void } {
  const endpoints = urls.map((url, i) => ({ url, device: `server${i}` }));
  const metrics = createMetrics();
  const logger = pino({ level: 'info' }, pino.destination('/dev/null'));
  const pools = new Pools({
    models: parseModels({ assistant: { connector: 'openai', model: 'slow', kind: 'chat', endpoints } }, 'bench'),
    connectors: createConnectors(),
    metrics,
    logger,
    canaryIntervalMs: LIMIT_MS,
  });
  const unused = () => {
    throw new Error('a chat without cache needs none');
  };
  const runner = new StageRunner({
    events: { attempt: () => undefined },
    pools,
    cache: { through: unused, earlier: unused } as unknown as SemanticCache,
    exact: { through: unused, earlier: unused } as unknown as ExactCache,
    vectors: { read: unused, write: unused } as unknown as VectorCache,
    hasArtifact: unused,
    indexVersion: unused,
    audioOf: () => ({ read: unused, write: unused }),
    bytesOf: () => unused,
    artifactsOf: unused,
    conform: async (_, input) => input,
    code: new Map(),
    workerKinds: new Map(),
    metrics,
    logger,
  });
  return { runner, close: () => pools.close() };
}

/** Latencies in ms of `count` calls, `IN_FLIGHT` at a time. */
async function measure(runner: StageRunner, call: StageCall, count: number): Promise<number[]> {
  const timed = async (_: unknown, i: number) => {
    const began = performance.now();
    await runner.run({ prompt: 'Well?' }, call, {
      signal: new AbortController().signal,
      attempt: 1,
      queueMs: 0,
      run: `bench-${i}`,
      resumeFrom: null,
      checkpoint: () => undefined,
    });
    return performance.now() - began;
  };
  return await pMap(Array.from({ length: count }), timed, { concurrency: IN_FLIGHT });
}

async function compare(urls: readonly string[]) {
  const callsSeen = async (): Promise<number> => {
    const answer = await fetch(new URL('/calls', urls[0]));
    return ((await answer.json()) as { calls: number }).calls;
  };
  const side = (call: StageCall) => ({ ...openRunner(urls), call, taken: [] as number[], served: 0 });
  const plain = side(STAGE);
  const hedging = side({ ...STAGE, hedge });
  for (const { runner, call } of [plain, hedging]) await measure(runner, call, WARM_UP);
  for (let i = 0; i < ROUNDS; i++) {
    // In turn, so that changes of the machine's speed affect both.
    for (const each of i % 2 === 0 ? [plain, hedging] : [hedging, plain]) {
      const before = await callsSeen();
      each.taken.push(...(await measure(each.runner, each.call, CALLS_A_ROUND)));
      each.served += (await callsSeen()) - before;
    }
  }
  plain.close();
  hedging.close();
  return {
    p99Without: round(percentile(plain.taken, 0.99), 1),
    p99With: round(percentile(hedging.taken, 0.99), 1),
    extraCalls: round(hedging.served / hedging.taken.length - 1, 4),
    p50Without: round(percentile(plain.taken, 0.5), 1),
    p50With: round(percentile(hedging.taken, 0.5), 1),
    calls: plain.taken.length,
    inFlight: IN_FLIGHT,
    hedge,
    load: loadAverages(),
  };
}

const server = spawn(process.execPath, [fileURLToPath(new URL('./server.js', import.meta.url))], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const limit = setTimeout(() => {
  process.stderr.write(`the bench took longer than ${LIMIT_MS} ms\n`);
  process.exit(1);
}, LIMIT_MS);
try {
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  const figures = await compare(JSON.parse(line) as string[]);
  if (options.json) {
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  } else {
    const { p99Without, p99With, extraCalls, p50Without, p50With, calls, load } = figures;
    process.stdout.write(
      `p99 ${p99Without} ms without, ${p99With} ms with a hedge (${round(p99Without / p99With, 1)} times less); ` +
        `p50 ${p50Without} and ${p50With} ms; ${round(100 * extraCalls, 1)} % more calls\n` +
        `${calls} calls each, ${IN_FLIGHT} in flight, hedge ${JSON.stringify(hedge)}; load average ${load.join(', ')}\n`,
    );
  }
} finally {
  clearTimeout(limit);
  server.stdin.end();
}
