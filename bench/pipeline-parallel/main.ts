/**
 * Pipeline parallelism across runs: three stages, each an activity on its device's queue, with models that take a fixed
 * time per batch and compute one batch at a time (`bench/gpu-like/model.py`). Runs per second with all stages on one
 * device, on three, and with a stage twice as slow, on one device and on two. Interleaved rounds; medians; the
 * machine's load.
 *
 *   npm run bench:pipeline-parallel [-- --json] [--rounds N]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import pMap from 'p-map';
import { z } from 'zod';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { down, up } from '../../deploy/local/stack/index.js';
import { infer, type Pipeline, pipeline, tensor } from '../../pipelines/index.js';
import type { Placement } from '../../pipelines/run/index.js';
import { deviceQueue, poolQueue } from '../../placement/queues.js';
import { workflowSource } from '../../workers/bundle.js';
import { composeStages } from '../../workers/compose.js';
import { createDeviceWorkers } from '../../workers/device-worker.js';
import { workerSinks } from '../../workers/hosts/sinks.js';
import { createLogger } from '../../workers/logger.js';
import { median, note } from '../figures.js';
import { loadGpuLike } from '../gpu-like/index.js';
import { parseOptions } from '../options.js';
import { boundPerSecond, MAX_BATCH, SCENARIOS, type Scenario } from './scenarios.js';
import { settingsWith } from './settings.js';

const { values: options } = parseOptions({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '3' } },
});
const ROUNDS = Number(options.rounds);
/** Many compared with those in flight: at a round's start and end some devices are idle. */
const RUNS_A_ROUND = 150;
/** Enough that a batch waits at every device while another computes. */
const IN_FLIGHT = 16;
const WARM_UP = 8;

const poolOf = (scenario: Scenario, stage: string) => `${scenario.name}-${stage}`;

const scalar = tensor({ dtype: 'FP32', shape: [1, 1] });
function pipelineOf(scenario: Scenario): Pipeline {
  return pipeline(
    scenario.name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    { input: z.object({ x: scalar }), deadline: '5m' },
    ({ input, stage }) => {
      const add = (name: string) =>
        infer({ model: poolOf(scenario, name), inputs: { X: scalar }, outputs: { Y: scalar } });
      const first = stage('first', add('first'), { X: input.x });
      const second = stage('second', add('second'), { X: first.Y });
      return { y: stage('third', add('third'), { X: second.Y }).Y };
    },
  ) as Pipeline;
}

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const base = settingsWith();
  await down(base);
  note('starting Temporal, Redis and Triton');
  const {
    temporal,
    triton: [triton = ''],
  } = await up({ settings: base, parts: ['temporal', 'redis', 'triton'] });
  const client = new TritonClient(triton);
  const pools: Record<string, unknown> = {};
  for (const scenario of SCENARIOS) {
    const folder = path.join(base.MILLRACE_HOME, 'devices', scenario.name);
    mkdirSync(folder, { recursive: true });
    for (const { name, costMs, devices } of scenario.stages) {
      const model = poolOf(scenario, name);
      const files = devices.map((device) => path.join(folder, device));
      await loadGpuLike(client, { name: model, costMs, maxBatch: MAX_BATCH, devices: files });
      // One endpoint serves all replicas; two batches each, one computing and one waiting.
      const endpoint = { url: triton, device: `${scenario.name}.${name}`, concurrency: 2 * MAX_BATCH * devices.length };
      pools[model] = { connector: 'triton', kind: 'infer', model, endpoints: [endpoint] };
    }
  }
  client.close();
  const models = path.join(base.MILLRACE_HOME, 'models.json');
  writeFileSync(models, JSON.stringify(pools));
  const devices = SCENARIOS.flatMap(({ name, stages }) => stages.map((stage) => `${name}.${stage.name}`));
  const settings = settingsWith({ MILLRACE_MODELS: models, MILLRACE_DEVICES: devices.join(',') });
  const logger = createLogger(settings, 'bench');
  const stages = await composeStages(settings, logger);
  const connection = await NativeConnection.connect({ address: temporal });
  const queue = settings.MILLRACE_TASK_QUEUE;
  const workers = [
    await Worker.create({ connection, taskQueue: queue, ...workflowSource(), sinks: workerSinks(stages) }),
    await createDeviceWorkers({ connection, settings, stages }),
  ];
  const running = workers.map((worker) => worker.run());
  const starter = new Client({ connection: await Connection.connect({ address: temporal }) });
  try {
    const perSecond = new Map<string, number[]>(SCENARIOS.map(({ name }) => [name, []]));
    for (const scenario of SCENARIOS) await measure(starter, scenario, queue, WARM_UP);
    for (let round = 1; round <= ROUNDS; round++) {
      for (const scenario of SCENARIOS) {
        const rate = await measure(starter, scenario, queue, RUNS_A_ROUND);
        perSecond.get(scenario.name)?.push(rate);
        note(`round ${round}, ${scenario.name}: ${rate.toFixed(2)} runs/s of ${boundPerSecond(scenario).toFixed(2)}`);
      }
    }
    report(perSecond);
  } finally {
    for (const worker of workers) worker.shutdown();
    await Promise.all(running);
    await stages.close();
    await starter.connection.close();
    await connection.close();
  }
}

let serial = 0;
/** Runs per second, with `IN_FLIGHT` runs at any time. */
async function measure(client: Client, scenario: Scenario, queue: string, runs: number): Promise<number> {
  const { name, plan } = pipelineOf(scenario);
  const placement: Placement = Object.fromEntries(
    scenario.stages.map((stage) => [
      stage.name,
      {
        connector: 'triton',
        device: stage.devices.join(','),
        queue:
          stage.devices.length > 1
            ? poolQueue(queue, poolOf(scenario, stage.name))
            : deviceQueue(queue, `${scenario.name}.${stage.name}`),
      },
    ]),
  );
  const startedAt = performance.now();
  const run = () =>
    client.workflow.execute(name, {
      taskQueue: queue,
      workflowId: `bench-${process.pid}-${serial++}`,
      args: [{ x: { dtype: 'FP32', shape: [1, 1], data: [1] } }, { plan, placement, tenant: 'bench' }],
    });
  await pMap(Array.from({ length: runs }), run, { concurrency: IN_FLIGHT });
  return (1_000 * runs) / (performance.now() - startedAt);
}

const round = (value: number): number => Math.round(value * 100) / 100;

function report(perSecond: ReadonlyMap<string, readonly number[]>): void {
  const rows = SCENARIOS.map((scenario) => {
    const measured = median(perSecond.get(scenario.name) ?? []);
    const bound = boundPerSecond(scenario);
    return {
      name: scenario.name,
      runsPerSecond: round(measured),
      bound: round(bound),
      ofBound: round(measured / bound),
    };
  });
  const rate = (name: string) => rows.find((row) => row.name === name)?.runsPerSecond ?? 0;
  const figures = {
    speedup: round(rate('threeDevices') / rate('oneDevice')),
    ofBound: rows.find(({ name }) => name === 'threeDevices')?.ofBound,
    balanced: round(rate('balancedByReplicas') / rate('unbalanced')),
    rows,
    rounds: ROUNDS,
    load: loadavg().map(round),
  };
  if (options.json) {
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    return;
  }
  for (const row of rows)
    process.stdout.write(
      `${row.name.padEnd(20)} ${row.runsPerSecond} runs/s, ${row.ofBound} of the bound ${row.bound}\n`,
    );
  process.stdout.write(`three devices / one: ${figures.speedup}; replicas / unbalanced: ${figures.balanced}\n`);
  process.stdout.write(`medians of ${ROUNDS} interleaved rounds; load average ${figures.load.join(', ')}\n`);
}

try {
  await main();
} finally {
  await down(settingsWith());
}
