import type { Connection } from '@temporalio/client';
import { expect, it } from 'vitest';
import type { Connectors, PoolAccess, RegisteredConnector } from '../../../../activities/connectors/index.js';
import { parseModels } from '../../../../activities/pools/index.js';
import { missingOf } from '../../../../measure/replan/missing.js';
import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import { placedPool, placementOf } from '../../../support/placements.js';

interface World {
  /** What canaries fail with, by the name under which a server is called: its address if it has no other. */
  readonly fails?: Readonly<Record<string, ErrorCode>>;
  /** Workers of each queue. */
  readonly workers?: Readonly<Record<string, readonly string[]>>;
  readonly pool?: Readonly<Record<string, unknown>>;
  readonly devices?: readonly string[];
  readonly endpoints?: readonly unknown[];
  readonly except?: readonly string[];
}

const ALL = { 'blue.device.a.0': ['1@a'], 'blue.device.b.0': ['2@b'], 'blue.pool.whisper': ['1@a', '2@b'] };
const ENDPOINTS = ['a/0', 'b/0'].map((device) => ({ url: `${device}:1`, device }));
const on = (devices: readonly string[]) => {
  const replicas = devices.map((each) => [each]);
  return placementOf([placedPool('whisper', replicas)]);
};

async function missing(world: World = {}) {
  const { fails = {}, workers = ALL, pool = {}, devices = ['a/0', 'b/0'], endpoints = ENDPOINTS, except } = world;
  const connect = (endpoint: string, { serverName = endpoint }: PoolAccess) => ({
    endpoint,
    probe: async () => {
      const { [serverName]: code } = fails;
      if (code) throw new MillraceError(code, 'as told');
    },
    close: () => undefined,
  });
  const triton = { name: 'triton', connect, loadsModels: true } as unknown as RegisteredConnector;
  const connectors: Connectors = new Map([['triton', triton]]);
  const whisper = { connector: 'triton', model: 'w', kind: 'transcribe', endpoints, ...pool };
  const seconds = Math.floor(Date.now() / 1_000);
  const describeTaskQueue = async ({ taskQueue: { name } }: { taskQueue: { name: string } }) => ({
    pollers: ((workers as Record<string, readonly string[]>)[name] ?? []).map((identity) => ({
      identity,
      lastAccessTime: { seconds },
    })),
  });
  const found = await missingOf({
    placement: on(devices),
    except: except && on(except),
    models: parseModels({ whisper }, 'models.json'),
    connectors,
    connection: { workflowService: { describeTaskQueue } } as unknown as Connection,
    namespace: 'default',
    taskQueue: 'blue',
    signal: new AbortController().signal,
  });
  return found.map(({ what, text }) => `${what}: ${text}`);
}

it('misses nothing where each server answers and each device has a worker', async () => {
  expect(await missing()).toEqual([]);
});

it('misses a server that is draining, or that the models file does not have', async () => {
  const draining = [ENDPOINTS[0], { ...ENDPOINTS[1], draining: true }];
  expect(await missing({ endpoints: draining })).toEqual(['servers: whisper at b/0:1 on b/0 is draining']);
  expect(await missing({ devices: ['c/0'], workers: { 'blue.device.c.0': ['3@c'] } })).toEqual([
    'servers: the models file has no endpoint of whisper on c/0',
  ]);
});

it('calls a server at an address under its name, as workers do', async () => {
  const named = [ENDPOINTS[0], { ...ENDPOINTS[1], serverName: 'b.internal' }];
  expect(await missing({ endpoints: named, fails: { 'b/0:1': 'BACKEND_UNAVAILABLE' } })).toEqual([]);
  const [failed] = await missing({ endpoints: named, fails: { 'b.internal': 'BACKEND_UNAVAILABLE' } });
  expect(failed).toContain('whisper at b/0:1 answers no canary');
});

it('says of a pool with discover that nothing is found, not that the models file has no endpoint', async () => {
  const world = { devices: ['c/0'], workers: { 'blue.device.c.0': ['3@c'] }, pool: { discover: 'dns' } };
  expect(await missing(world)).toEqual(['servers: discover finds no endpoint of whisper on c/0']);
});

it('misses a server that answers no canary or refuses it, not one that is full or loads the model when it is called', async () => {
  const load = { load: { memory: '1GiB', of: '4GiB' } };
  const failing = (code: ErrorCode, pool = {}) => missing({ fails: { 'b/0:1': code }, pool });
  for (const code of ['BACKEND_UNAVAILABLE', 'BACKEND_UNAUTHORIZED', 'BACKEND_REJECTED', 'MODEL_NOT_FOUND'] as const) {
    expect(await failing(code)).toEqual([`servers: b/0: whisper at b/0:1 answers no canary: ${code}: as told`]);
  }
  for (const code of ['BACKEND_OVERLOADED', 'BACKEND_RATE_LIMITED'] as const) expect(await failing(code)).toEqual([]);
  expect(await failing('MODEL_NOT_FOUND', load)).toEqual([]);
  expect(await failing('BACKEND_BROKEN', load)).toHaveLength(1);
});

it('misses nothing of servers on other devices, nor of replicas that are not asked for', async () => {
  const fails = { 'b/0:1': 'BACKEND_UNAVAILABLE' } as const;
  expect(await missing({ devices: ['a/0'], fails })).toEqual([]);
  expect(await missing({ except: ['b/0'], fails })).toEqual([]);
  expect(await missing({ except: ['a/0'], fails })).toHaveLength(1);
});

it('misses a device without a worker, and one whose worker does not take the pool’s calls', async () => {
  const { 'blue.device.b.0': _, ...without } = ALL;
  const expected = ['workers: no worker takes calls of whisper on b/0 (blue.pool.whisper)'];
  expect(await missing({ workers: without })).toEqual(expected);
  // It began before the pool had a server there.
  expect(await missing({ workers: { ...ALL, 'blue.pool.whisper': ['1@a'] } })).toEqual(expected);
  // A pool with one replica has no queue of its own.
  expect(await missing({ devices: ['b/0'], workers: { 'blue.device.b.0': ['2@b'] } })).toEqual([]);
});
