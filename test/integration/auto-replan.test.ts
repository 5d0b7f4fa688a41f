import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { loadGpuLike } from '../../bench/gpu-like/index.js';
import { CLI_MAIN } from '../../deploy/local/stack/paths.js';
import { infer, pipeline, tensor } from '../../pipelines/index.js';
import { readPlacement } from '../../placement/document/index.js';
import { place } from '../../placement/place.js';
import { openPlacement } from '../../workers/applied-placement.js';
import { composeStages } from '../../workers/compose.js';
import { createDeviceWorkers } from '../../workers/device-worker.js';
import { createLogger } from '../../workers/logger.js';
import type { Settings } from '../../workers/settings.js';
import { type Relay, relay } from '../support/relay.js';
import { address, connect, resultOf, until } from '../support/runs.js';
import { testEnvironment, testSettings } from '../support/settings.js';
import { TestWorker } from '../support/test-worker.js';

const QUEUE = `auto-${randomUUID()}`;
const MODEL = `auto-${randomUUID().slice(0, 8)}`;
const COST_MS = 500;

const scalar = tensor({ dtype: 'FP32', shape: [1, 1] });
const addOne = pipeline('add-one-auto', { input: z.object({ x: scalar }) }, ({ input, stage }) => ({
  y: stage('add', infer({ model: 'adder', inputs: { X: scalar }, outputs: { Y: scalar } }), { X: input.x }).Y,
}));

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-auto-'));
const at = (name: string) => path.join(folder, name);
const file = (name: string, value: unknown): string => {
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value));
  return at(name);
};

// A busy machine makes calls slower than they were profiled: that must not hold changes back.
const POLICY = `format: 1
drifts: [rate, device, service]
costPerHour: 2
measurements: 2
changes: { most: 9, per: 1h, coolDown: 1s, byHand: 1s }
verify: { for: 30s, runs: 3 }
`;

interface Line {
  readonly event: string;
  readonly from?: string;
  readonly to?: string;
  readonly text: string;
}

describe('a placement that is changed within a policy', () => {
  const files = ['--cluster', 'cluster.yaml', '--profiles', 'profiles', '--pipeline', 'pipeline.json'];
  /** Of each test its own, with a journal and a history of its own. */
  let inForce = '';
  let env: Readonly<Record<string, string>>;
  let client: Client;
  let triton: TritonClient;
  let settings: Settings;
  /** The servers of here/0 and here/1. */
  let relays: readonly Relay[];
  const children = new Set<ChildProcess>();
  const ends: (() => Promise<void> | void)[] = [];

  beforeAll(async () => {
    triton = new TritonClient(address('TRITON_URL'));
    await loadGpuLike(triton, { name: MODEL, costMs: COST_MS, maxBatch: 2, devices: [file('d0', ''), file('d1', '')] });
    file('pipeline.json', { format: 1, name: addOne.name, stages: [{ id: 'add', model: 'adder' }] });
    mkdirSync(at('profiles'));
    const times = { p50Ms: COST_MS, p95Ms: COST_MS, p99Ms: COST_MS };
    // Placements for any rate have the same batch: a server in use that needs another configuration holds a change back.
    const latency = [{ batch: 1, ...times }];
    const profile = { format: 1, model: 'adder', deviceKind: 'cpu', batching: 'dynamic', memory: { weights: '1GiB' } };
    file('profiles/adder.json', { ...profile, latency });
    client = await connect();
  });
  afterAll(async () => {
    await triton.unload(MODEL, AbortSignal.timeout(60_000));
    triton.close();
    await client.connection.close();
  });

  beforeEach(async () => {
    inForce = at(`placement-${randomUUID()}.json`);
    relays = await Promise.all([relay(address('TRITON_URL')), relay(address('TRITON_URL'))]);
    ends.push(() => {
      for (const each of relays) each.goAway();
    });
    const both = relays.map(({ address: url }, i) => ({ url, device: `here/${i}` }));
    const nodes = [{ name: 'here', devices: [{ kind: 'cpu', count: 2, memory: '8GiB', pricePerHour: 1 }] }];
    const endpoints = both.map((each) => ({ ...each, connector: 'triton', models: ['adder'] }));
    file('cluster.yaml', { format: 1, nodes, endpoints });
    // It carries more in fact than it is planned for: nothing piles up until a change.
    const served = both.map((each) => ({ ...each, concurrency: 8 }));
    const adder = { connector: 'triton', model: MODEL, kind: 'infer', endpoints: served };
    env = {
      MILLRACE_MODELS: file('models.json', { adder }),
      MILLRACE_TASK_QUEUE: QUEUE,
      MILLRACE_PLACEMENT: inForce,
    };
    settings = testSettings({ ...env, MILLRACE_PIPELINES: '', MILLRACE_LOG_LEVEL: 'silent' });
    const stages = await composeStages(settings, createLogger(settings, 'test'));
    ends.push(() => stages.close());
    const worker = await TestWorker.start({ queue: QUEUE, runner: stages.runner });
    ends.push(() => worker.stop());
    // Behind the first worker: a connection would start the SDK's runtime before its log is set.
    const connection = await NativeConnection.connect({ address: address('TEMPORAL_ADDRESS') });
    ends.push(() => connection.close());
    const own = { ...settings, MILLRACE_DEVICES: ['here/0', 'here/1'] };
    const workers = await createDeviceWorkers({ connection, settings: own, stages });
    const running = workers.run();
    ends.push(async () => {
      workers.shutdown();
      await running;
    });
  });

  const made = (rate: number) =>
    millrace('place', ...files, '--rate', String(rate), '--slo-p99', '20s', '--time-limit', '1s', '--json');
  const inUse = () => readPlacement(readFileSync(inForce, 'utf8'));
  const devicesInUse = () => inUse().pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices));
  const hold = () => `${inForce}.auto.hold`;
  const outcomes = () => JSON.parse(readFileSync(`${inForce}.auto.json`, 'utf8')).changes;

  afterEach(async () => {
    const running = [...children].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    children.clear();
    const exits = running.map((child) => once(child, 'exit'));
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(exits);
    const failures: unknown[] = [];
    for (const end of ends.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    expect(failures).toEqual([]);
  });

  /** A `millrace` command, as a user runs it. */
  async function millrace(...args: readonly string[]): Promise<string> {
    const own = { env: { ...testEnvironment(env), PATH: process.env.PATH }, cwd: folder };
    return (await promisify(execFile)(process.execPath, [CLI_MAIN, ...args], own)).stdout;
  }

  // Of fewer than 20 runs in the window, their rate is not taken.
  const REPLAN = ['--look', '300ms', '--window', '30s', '--time-limit', '1s', '--every', '1s', '--json'];
  /** `millrace replan --auto`, and what it has told. */
  function automatic(policy = POLICY) {
    const own = { env: { ...testEnvironment(env), PATH: process.env.PATH }, cwd: folder };
    const args = [CLI_MAIN, 'replan', ...files, ...REPLAN, '--auto', 'within', file(`${randomUUID()}.yaml`, policy)];
    const child = spawn(process.execPath, args, { ...own, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    let [output, errors] = ['', ''];
    child.stdout.on('data', (text: Buffer) => {
      output += text;
    });
    child.stderr.on('data', (text: Buffer) => {
      errors += text;
    });
    const told = (event: string, text: RegExp): Line | undefined =>
      output
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line)
        .find((line) => line.event === event && text.test(line.text));
    return {
      child,
      errors: () => errors,
      async until(event: string, text = /^/): Promise<Line> {
        const isOver = () => told(event, text) !== undefined || child.exitCode !== null;
        const failed: unknown = await until(`it tells "${event}"`, isOver, 200_000).catch((error: unknown) => error);
        return told(event, text) ?? expect.fail(`${failed ?? `it ended before "${event}"`}: ${errors}${output}`);
      },
      async end() {
        const exit = once(child, 'exit');
        child.kill('SIGTERM');
        expect(await exit).toEqual([0, null]);
      },
    };
  }

  /** Runs begin all the time; all of them must end well. */
  async function underLoad(perSecond: number, work: () => Promise<void>): Promise<void> {
    const applied = await openPlacement(settings, createLogger(settings, 'test'));
    const pool = { connector: 'triton', kind: 'infer', devices: [], capabilities: new Set<string>() };
    const over = new AbortController();
    // A run that fails is looked at in the end: what has failed before tells why.
    const runs: Promise<unknown>[] = [];
    const start = async (x: number) => {
      const handle = await client.workflow.start(addOne.name, {
        taskQueue: QUEUE,
        workflowId: `${addOne.name}-${randomUUID()}`,
        args: [
          { x: { dtype: 'FP32', shape: [1, 1], data: [x] } },
          { plan: addOne.plan, placement: place(addOne.plan, () => pool, QUEUE, applied.queuesOf), tenant: 'default' },
        ],
      });
      const { output } = await resultOf(handle);
      return (output.y as { data: number[] }).data[0];
    };
    const load = (async () => {
      // By the clock: on a busy machine pauses are longer, and fewer runs would begin.
      for (const began = performance.now(); !over.signal.aborted; ) {
        runs.push(start(runs.length).catch((error: unknown) => String(error)));
        await sleep(Math.max(0, began + (runs.length * 1_000) / perSecond - performance.now()));
      }
    })();
    try {
      await work();
    } finally {
      over.abort();
      await load;
      applied.close();
    }
    expect(await Promise.all(runs)).toEqual(runs.map((_, x) => x + 1));
  }

  it('uses fewer when fewer runs come; a process that is killed in the middle is followed by one that goes on', async () => {
    writeFileSync(inForce, await made(3));
    expect(devicesInUse()).toHaveLength(2);
    const first = inUse().version;
    await underLoad(1, async () => {
      // Nothing is changed before the second process has been refused.
      writeFileSync(hold(), 'wait');
      const one = automatic();
      await one.until('watching');
      const second = automatic();
      // With what it has written.
      const [code] = await once(second.child, 'close');
      expect([code, second.errors()]).toEqual([1, expect.stringMatching(/PLACEMENT_LOCKED: process \d+ changes /)]);
      rmSync(hold());
      const { from, to } = await one.until('switched');
      one.child.kill('SIGKILL');
      await once(one.child, 'exit');
      expect([from, inUse().version]).toEqual([first, to]);
      const next = automatic();
      await next.until('resumed', /ended at the step "(switch|verify)"/);
      expect(await next.until('kept')).toMatchObject({ from: first, to });
      await next.end();
      expect([inUse().version, devicesInUse().length]).toEqual([to, 1]);
      expect(existsSync(`${inForce}.auto.lock`)).toBe(false);
    });
  }, 600_000);

  it('does without a device that goes away, whose endpoint stays in the models file', async () => {
    writeFileSync(inForce, await made(3));
    expect(devicesInUse()).toHaveLength(2);
    await underLoad(1, async () => {
      // Else it may do without a device because few runs come.
      writeFileSync(hold(), 'wait');
      const auto = automatic();
      await auto.until('watching');
      relays[0]?.goAway();
      await sleep(3_000);
      rmSync(hold());
      await auto.until('kept');
      await auto.end();
      expect(devicesInUse()).toEqual(['here/1']);
      expect(outcomes().at(-1)).toMatchObject({ outcome: 'kept' });
    });
  }, 600_000);

  /** A placement on here/0 alone, for fewer runs than will come. */
  async function onFirst(): Promise<void> {
    const cluster = JSON.parse(readFileSync(at('cluster.yaml'), 'utf8'));
    const [node] = cluster.nodes;
    const nodes = [{ ...node, devices: [{ ...node.devices[0], count: 1 }] }];
    file('cluster.yaml', { ...cluster, nodes, endpoints: cluster.endpoints.slice(0, 1) });
    writeFileSync(inForce, await made(1));
    file('cluster.yaml', cluster);
    expect(devicesInUse()).toEqual(['here/0']);
  }

  it('waits for a server that a proposal lacks, and goes back when that goes away again', async () => {
    await onFirst();
    const first = inUse().version;
    const url = relays[1]?.address ?? '';
    relays[1]?.goAway();
    // One device is planned for two a second, and both for four.
    await underLoad(2.8, async () => {
      const auto = automatic(POLICY.replace('for: 30s', 'for: 5m'));
      await auto.until('held', /^here\/1: adder at .* answers no canary: [\s\S]*millrace apply .*placement-\w+\.json/);
      expect(devicesInUse()).toEqual(['here/0']);
      const started = await relay(address('TRITON_URL'), Number(url.split(':')[1]));
      ends.push(() => started.goAway());
      await auto.until('switched');
      expect(devicesInUse().sort()).toEqual(['here/0', 'here/1']);
      started.goAway();
      expect(await auto.until('refuted')).toMatchObject({ text: expect.stringMatching(/^here\/1 serves nothing/) });
      await auto.until('rolled-back');
      await auto.end();
      expect(inUse().version).toBe(first);
      expect(outcomes().at(-1)).toMatchObject({ outcome: 'rolled-back' });
    });
  }, 600_000);
});
