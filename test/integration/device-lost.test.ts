import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { loadGpuLike } from '../../bench/gpu-like/index.js';
import { CLI_MAIN } from '../../deploy/local/stack/paths.js';
import { infer, pipeline, tensor } from '../../pipelines/index.js';
import { readPlacement } from '../../placement/document/index.js';
import { place } from '../../placement/place.js';
import { openPlacement } from '../../workers/applied-placement.js';
import { composeStages, type Stages } from '../../workers/compose.js';
import { createDeviceWorkers } from '../../workers/device-worker.js';
import { createLogger } from '../../workers/logger.js';
import type { Settings } from '../../workers/settings.js';
import { type Relay, relay } from '../support/relay.js';
import { address, connect, resultOf, until } from '../support/runs.js';
import { testEnvironment, testSettings } from '../support/settings.js';
import { TestWorker } from '../support/test-worker.js';

const QUEUE = `lost-${randomUUID()}`;
const MODEL = `lost-${randomUUID().slice(0, 8)}`;
const COST_MS = 50;
/** Enough that some are under way on each device when one is lost, and some are still to begin. */
const RUNS = 30;

const scalar = tensor({ dtype: 'FP32', shape: [1, 1] });
const addOne = pipeline('add-one-lost', { input: z.object({ x: scalar }) }, ({ input, stage }) => ({
  y: stage('add', infer({ model: 'adder', inputs: { X: scalar }, outputs: { Y: scalar } }), { X: input.x }).Y,
}));

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-lost-'));
const file = (name: string, value: unknown): string => {
  const at = path.join(folder, name);
  writeFileSync(at, typeof value === 'string' ? value : JSON.stringify(value));
  return at;
};

/** A `millrace` command, as a user runs it. */
async function millrace(settings: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<string> {
  const env = { ...testEnvironment(settings), PATH: process.env.PATH };
  return (await promisify(execFile)(process.execPath, [CLI_MAIN, ...args], { env, cwd: folder })).stdout;
}

/** What a command that keeps watching tells first; asked to end, it ends well. */
async function watched(settings: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<string> {
  const env = { ...testEnvironment(settings), PATH: process.env.PATH };
  const child = spawn(process.execPath, [CLI_MAIN, ...args], {
    env,
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (text: Buffer) => {
    output += text;
  });
  const exit = once(child, 'exit');
  await until('it tells what it has found', () => output.includes('To apply it'));
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  return output;
}

describe('a device that is lost in mid-load', () => {
  const files = ['--cluster', 'cluster.yaml', '--profiles', 'profiles', '--pipeline', 'pipeline.json'];
  let second: Relay;
  let env: Readonly<Record<string, string>>;
  let client: Client;
  let triton: TritonClient;
  let connection: NativeConnection;
  let settings: Settings;
  let stages: Stages;
  let worker: TestWorker;

  beforeAll(async () => {
    triton = new TritonClient(address('TRITON_URL'));
    await loadGpuLike(triton, { name: MODEL, costMs: COST_MS, maxBatch: 2, devices: [file('d0', ''), file('d1', '')] });
    second = await relay(address('TRITON_URL'));
    const endpoints = [
      { url: address('TRITON_URL'), device: 'here/0', concurrency: 4 },
      { url: second.address, device: 'here/1', concurrency: 4 },
    ];
    const adder = { connector: 'triton', model: MODEL, kind: 'infer', endpoints };
    env = {
      MILLRACE_MODELS: file('models.json', { adder }),
      MILLRACE_TASK_QUEUE: QUEUE,
      MILLRACE_PLACEMENT: path.join(folder, 'placement.json'),
    };
    settings = testSettings({ ...env, MILLRACE_PIPELINES: '', MILLRACE_LOG_LEVEL: 'silent' });
    file('cluster.yaml', 'format: 1\nnodes: [{ name: here, devices: [{ kind: cpu, count: 2, memory: 8GiB }] }]\n');
    file('pipeline.json', { format: 1, name: addOne.name, stages: [{ id: 'add', model: 'adder' }] });
    mkdirSync(path.join(folder, 'profiles'));
    const times = { p50Ms: COST_MS, p95Ms: COST_MS, p99Ms: COST_MS };
    const latency = [1, 2].map((batch) => ({ batch, ...times }));
    const profile = { format: 1, model: 'adder', deviceKind: 'cpu', batching: 'dynamic', memory: { weights: '1GiB' } };
    file('profiles/adder.json', { ...profile, latency });
    stages = await composeStages(settings, createLogger(settings, 'test'));
    [client, worker, connection] = await Promise.all([
      connect(),
      TestWorker.start({ queue: QUEUE, runner: stages.runner }),
      NativeConnection.connect({ address: address('TEMPORAL_ADDRESS') }),
    ]);
  });
  afterAll(async () => {
    second.goAway();
    await worker.stop();
    await triton.unload(MODEL, AbortSignal.timeout(60_000));
    triton.close();
    await stages.close();
    await connection.close();
    await client.connection.close();
  });

  it('costs no run, and a placement is proposed that does without it', async () => {
    const made = await millrace(
      env,
      'place',
      ...files,
      '--rate',
      '60',
      '--slo-p99',
      '2s',
      '--time-limit',
      '1s',
      '--json',
    );
    file('placement.json', made);
    const placement = readPlacement(made);
    expect(placement.pools[0]?.replicas.map(({ devices: [device] }) => device).sort()).toEqual(['here/0', 'here/1']);
    const devices = await createDeviceWorkers({
      connection,
      settings: { ...settings, MILLRACE_DEVICES: ['here/0', 'here/1'] },
      stages,
    });
    const running = devices.run();
    const applied = await openPlacement(settings, createLogger(settings, 'test'));
    const pool = { connector: 'triton', kind: 'infer', devices: [], capabilities: new Set<string>() };
    try {
      const ended: (string | undefined)[] = [];
      const start = async (x: number) => {
        const handle = await client.workflow.start(addOne.name, {
          taskQueue: QUEUE,
          workflowId: `${addOne.name}-${randomUUID()}`,
          args: [
            { x: { dtype: 'FP32', shape: [1, 1], data: [x] } },
            {
              plan: addOne.plan,
              placement: place(addOne.plan, () => pool, QUEUE, applied.queuesOf),
              tenant: 'default',
            },
          ],
        });
        const result = await resultOf(handle);
        ended.push(result.stages[0]?.device);
        return result;
      };
      const runs = Promise.all(Array.from({ length: RUNS }, (_, x) => start(x)));
      const on = (device: string) => ended.filter((each) => each === device).length;
      await until(
        'some runs have ended on each device',
        () => ended.length > 4 && on('here/0') > 0 && on('here/1') > 0,
      );
      second.goAway();
      const results = await runs;
      expect(results.map(({ output }) => (output.y as { data: number[] }).data[0])).toEqual(
        Array.from({ length: RUNS }, (_, x) => x + 1),
      );
      const served = new Set(results.map(({ stages: [row] }) => row?.device));
      expect([...served].sort()).toEqual(['here/0', 'here/1']);

      const query = `TaskQueue = "${QUEUE}" AND ExecutionStatus = "Completed"`;
      const listed = async () => (await client.workflow.count(query)).count;
      await until('Temporal lists the ends', async () => (await listed()) === RUNS);
      const options = ['--look', '300ms', '--time-limit', '1s'];
      const found = JSON.parse(await millrace(env, 'replan', ...files, ...options, '--json'));
      expect(found.placement).toBe(placement.version);
      expect(found.measured).toMatchObject({ started: { [addOne.name]: RUNS }, completed: RUNS, failed: 0 });
      expect(found.drift[0]).toMatchObject({ what: 'device', of: 'here/1' });
      expect(found.drift[0].because).toMatch(/BACKEND_UNAVAILABLE/);
      expect(found.drift.filter(({ what }: { what: string }) => what === 'device')).toHaveLength(1);
      const proposal = readPlacement(JSON.stringify(found.proposal));
      expect(proposal.pools.flatMap(({ replicas }) => replicas.flatMap((each) => each.devices))).toEqual(['here/0']);
      // It is proposed, not applied.
      expect(readdirSync(folder)).toContain(`placement-${proposal.version}.json`);
      expect(found.apply).toBe(`millrace apply placement-${proposal.version}.json --cluster cluster.yaml`);
      expect(readFileSync(path.join(folder, 'placement.json'), 'utf8')).toBe(made);
      const output = await watched(env, 'replan', ...files, ...options, '--every', '1s');
      expect(output).toMatch(/^ {2}device lost {2}here\/1: adder at .* answers no canary/m);
      expect(output).toMatch(/^Placement [0-9a-f]{12}: .* runs a second for 0\.00 EUR an hour/m);
      expect(output).toMatch(/Nothing was changed\. To apply it/);
    } finally {
      applied.close();
      devices.shutdown();
      await running;
    }
  });
});
