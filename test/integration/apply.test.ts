import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { CLI_MAIN, RECIPE } from '../../deploy/local/stack/paths.js';
import { preparePrograms } from '../../deploy/local/stack/python.js';
import { infer, pipeline, tensor } from '../../pipelines/index.js';
import { place } from '../../placement/place.js';
import { openPlacement } from '../../workers/applied-placement.js';
import { composeStages, type Stages } from '../../workers/compose.js';
import { createDeviceWorkers } from '../../workers/device-worker.js';
import { createLogger } from '../../workers/logger.js';
import type { Settings } from '../../workers/settings.js';
import { freePort } from '../support/free-port.js';
import { placedPool, placementOf } from '../support/placements.js';
import { address, connect, resultOf, until } from '../support/runs.js';
import { testEnvironment, testSettings } from '../support/settings.js';
import { TestWorker } from '../support/test-worker.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-apply-'));
const file = (name: string, value: unknown): string => {
  const at = path.join(folder, name);
  writeFileSync(at, typeof value === 'string' ? value : JSON.stringify(value));
  return at;
};
const cluster = file(
  'cluster.yaml',
  'format: 1\nnodes: [{ name: here, devices: [{ kind: cpu, count: 2, memory: 8GiB }] }]\n',
);
const applied = path.join(folder, 'placement.json');

/** `millrace apply`, as a user runs it. */
async function apply<T>(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<T> {
  const env = { ...testEnvironment({ MILLRACE_PLACEMENT: applied, ...more }), PATH: process.env.PATH };
  const options = ['--out', path.join(folder, 'out'), '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [CLI_MAIN, 'apply', ...args, ...options], { env });
  return JSON.parse(stdout) as T;
}

describe('a generated Triton repository', () => {
  let server: ChildProcess | undefined;
  afterAll(() => void server?.kill('SIGKILL'));

  it('loads in a real Triton, whose models have the placement’s batches and instances', async () => {
    const models = file('models.json', {
      said: { connector: 'triton', model: 'echo', kind: 'infer', endpoints: [{ url: 'x:1', device: 'x' }] },
      minilm: { connector: 'triton', model: 'minilm', kind: 'embed', endpoints: [{ url: 'x:1', device: 'x' }] },
    });
    const placement = placementOf([
      placedPool('said', [['here/0'], ['here/0']], { maxBatch: 6, preferredBatchSizes: [2, 6], maxQueueDelayMs: 1.5 }),
      placedPool('minilm', [['here/0']], { maxBatch: 16 }),
    ]);
    const made = await apply<{ folder: string; servers: { name: string }[] }>(
      [file('said.json', placement), '--cluster', cluster, '--triton-repository', path.join(RECIPE, 'models')],
      { MILLRACE_MODELS: models, MILLRACE_PLACEMENT: '' },
    );
    const [{ name } = { name: '' }] = made.servers;
    const line = /^exec tritonserver (.*)$/m.exec(
      readFileSync(path.join(made.folder, 'commands', `${name}.sh`), 'utf8'),
    );
    const ports = [await freePort(), await freePort(), await freePort()];
    const args = (line?.[1] ?? '').split(' ').map((arg) => {
      const port = /^--(http|grpc|metrics)-port=/.exec(arg)?.[1];
      return port === undefined ? arg : `--${port}-port=${ports[['http', 'grpc', 'metrics'].indexOf(port)]}`;
    });
    server = await startTriton(args, made.folder);
    const client = new TritonClient(`127.0.0.1:${ports[1]}`);
    try {
      const ready = (model: string) =>
        client.ready(model, AbortSignal.timeout(10_000)).then(
          () => true,
          () => false,
        );
      await until('both models', async () => (await ready('echo')) && (await ready('minilm')), 180_000);
      // Triton opens its doors one after the other, gRPC before HTTP.
      const http = `http://127.0.0.1:${ports[0]}/v2`;
      const opened = () =>
        fetch(`${http}/health/live`).then(
          ({ ok }) => ok,
          () => false,
        );
      await until('its HTTP door', opened, 60_000);
      const config = await client.config('echo', AbortSignal.timeout(60_000));
      expect(config).toMatchObject({
        max_batch_size: 6,
        backend: 'python',
        parameters: { fingerprint: { string_value: '0000000000000000' } },
      });
      expect((await client.config('minilm', AbortSignal.timeout(60_000)))?.max_batch_size).toBe(16);
      const full = await fetch(`${http}/models/echo/config`);
      expect(await full.json()).toMatchObject({
        instance_group: [{ count: 2, kind: 'KIND_CPU' }],
        dynamic_batching: {
          preferred_batch_size: [2, 6],
          max_queue_delay_microseconds: 1_500,
          default_queue_policy: { max_queue_size: 96 },
        },
      });
    } finally {
      client.close();
    }
  });
});

/** The embedded Triton's program with the arguments of a generated command, and what its wheel needs. */
async function startTriton(args: readonly string[], cwd: string): Promise<ChildProcess> {
  const { MILLRACE_VENV: venv, MILLRACE_PYTHON: explicitPython } = testSettings();
  const home = mkdtempSync(path.join(tmpdir(), 'millrace-triton-'));
  const options = { home, venv, recipe: RECIPE, explicitPython, env: process.env, onStep: () => undefined };
  const { triton } = await preparePrograms(['triton'], options);
  if (triton === undefined) throw new Error('no Triton');
  const own = [
    `--backend-directory=${triton.backends}`,
    `--cache-directory=${triton.caches}`,
    `--backend-config=python,shm-region-prefix-name=apply_${process.pid}_`,
    ...['--http-address=127.0.0.1', '--grpc-address=127.0.0.1', '--metrics-address=127.0.0.1'],
    ...['--allow-gpu-metrics=false', '--exit-timeout-secs=3'],
  ];
  return spawn(triton.server, [...args, ...own], { cwd, env: { ...process.env, ...triton.env }, stdio: 'ignore' });
}

describe('another placement', () => {
  const QUEUE = `apply-${randomUUID()}`;
  const scalar = tensor({ dtype: 'BYTES', shape: [1, 1] });
  const said = pipeline('said-again', { input: z.object({ TEXT: scalar }) }, ({ input, stage }) => ({
    out: stage('say', infer({ model: 'said', inputs: { TEXT: scalar }, outputs: { OUT: scalar } }), {
      TEXT: input.TEXT,
    }).OUT,
  }));
  const input = { TEXT: { dtype: 'BYTES', shape: [1, 1], data: ['kept'] } };
  /** Far above the time that the placements are changed in: the runs wait where they were placed. */
  const waits = { 'said-again/say': { waitMs: 1, waitP99Ms: 25_000, serviceMs: 1, batch: 1 } };
  const on = (device: string) =>
    placementOf(
      [placedPool('said', [], { replicas: [{ devices: [device], queue: 'q', endpoint: 'there:1' }] })],
      { 'said-again/say': 'said' },
      waits,
    );
  let settings: Settings;
  let stages: Stages;
  let worker: TestWorker;
  let connection: NativeConnection;

  beforeAll(async () => {
    const [host = '', port = ''] = address('TRITON_URL').split(':');
    const other = host === '127.0.0.1' ? `localhost:${port}` : address('TRITON_URL');
    const endpoints = [
      { url: address('TRITON_URL'), device: 'here/0' },
      { url: other, device: 'here/1' },
    ];
    const models = file('two.json', { said: { connector: 'triton', model: 'echo', kind: 'infer', endpoints } });
    const more = { MILLRACE_MODELS: models, MILLRACE_TASK_QUEUE: QUEUE, MILLRACE_PLACEMENT: applied };
    settings = testSettings({ ...more, MILLRACE_PIPELINES: '', MILLRACE_LOG_LEVEL: 'silent' });
    stages = await composeStages(settings, createLogger(settings, 'test'));
    worker = await TestWorker.start({ queue: QUEUE, runner: stages.runner });
    connection = await NativeConnection.connect({ address: address('TEMPORAL_ADDRESS') });
  });
  afterAll(async () => {
    await worker.stop();
    await stages.close();
    await connection.close();
  });

  it('loses no run that waits on the one before, and a rollback is one command', async () => {
    const env = { MILLRACE_MODELS: settings.MILLRACE_MODELS ?? '', MILLRACE_TASK_QUEUE: QUEUE };
    const change = (device: string) => apply([file(`on-${device[5]}.json`, on(device)), '--cluster', cluster], env);
    await change('here/0');
    const watched = await openPlacement(settings, createLogger(settings, 'test'));
    const client = await connect();
    const start = () =>
      client.workflow.start(said.name, {
        taskQueue: QUEUE,
        workflowId: `${said.name}-${randomUUID()}`,
        args: [
          input,
          {
            plan: said.plan,
            placement: place(said.plan, () => POOL, QUEUE, watched.queuesOf),
            tenant: 'default',
          },
        ],
      });
    const device = () => watched.queuesOf('said')?.device;
    try {
      const before = await start();
      expect(await change('here/1')).toMatchObject({ applied: true, drain: [`${QUEUE}.device.here.0`] });
      await until('the gateway’s next look', () => device() === 'here/1');
      const after = await start();
      // Nobody has served a device yet: both wait, each on the device of its own placement.
      const workers = await createDeviceWorkers({
        connection,
        settings: { ...settings, MILLRACE_DEVICES: ['here/0', 'here/1'] },
        stages,
      });
      const running = workers.run();
      const results = await Promise.all([before, after].map(resultOf));
      workers.shutdown();
      await running;
      const places = results.map(({ output, stages: rows }) => [output.out, rows[0]?.device, rows[0]?.endpoint]);
      const triton = address('TRITON_URL');
      expect(places).toEqual([
        [input.TEXT, 'here/0', triton],
        [input.TEXT, 'here/1', triton.replace('127.0.0.1', 'localhost')],
      ]);
      expect(await apply(['--rollback'], env)).toMatchObject({
        from: on('here/1').version,
        version: on('here/0').version,
      });
      await until('the gateway’s next look', () => device() === 'here/0');
    } finally {
      watched.close();
      await client.connection.close();
    }
  });
  const POOL = { connector: 'triton', kind: 'infer', devices: ['here/0', 'here/1'], capabilities: new Set<string>() };
});
