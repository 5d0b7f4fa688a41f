import type { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type {
  Connectors,
  PoolAccess,
  RegisteredConnector,
  ServerWork,
} from '../../../../activities/connectors/index.js';
import { parseModels } from '../../../../activities/pools/index.js';
import { measureRuns } from '../../../../measure/replan/runs.js';
import { measureServers } from '../../../../measure/replan/servers.js';
import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import type { StageRecord } from '../../../../pipelines/run/index.js';
import { placedPool, placementOf } from '../../../support/placements.js';

interface Server {
  /** What its canary fails with. */
  readonly fails?: ErrorCode;
  /** What it counts at each look. */
  readonly counts?: readonly ServerWork[];
}

/** A connector whose servers are as told, by the names under which they are called: their addresses if they have no other. */
function connectors(servers: Readonly<Record<string, Server>>): Connectors {
  const connect = (endpoint: string, { serverName = endpoint }: PoolAccess) => {
    const { fails, counts } = servers[serverName] ?? {};
    const samples = [...(counts ?? [])];
    return {
      endpoint,
      probe: async () => {
        if (fails) throw new MillraceError(fails, 'as told');
      },
      ...(counts && { work: async () => samples.shift() }),
      close: () => undefined,
    };
  };
  return new Map([['triton', { name: 'triton', connect } as unknown as RegisteredConnector]]);
}

const endpoints = ['a/0', 'b/0'].map((device) => ({ url: `${device}:1`, device }));
const models = (more: Readonly<Record<string, unknown>> = {}) =>
  parseModels({ whisper: { connector: 'triton', model: 'w', kind: 'transcribe', endpoints, ...more } }, 'models.json');

/** Pollers of each queue, with seconds since they last polled. */
const connection = (pollers: Readonly<Record<string, number>>) =>
  ({
    workflowService: {
      describeTaskQueue: async ({ taskQueue: { name } }: { taskQueue: { name: string } }) => ({
        pollers:
          pollers[name] === undefined
            ? []
            : [{ identity: 'w', lastAccessTime: { seconds: Date.now() / 1_000 - pollers[name] } }],
      }),
    },
  }) as unknown as Connection;

const measured = (
  servers: Readonly<Record<string, Server>>,
  more: Partial<Parameters<typeof measureServers>[0]> = {},
) =>
  measureServers({
    placement: placementOf([placedPool('whisper', [['a/0'], ['b/0']])]),
    models: models(),
    connectors: connectors(servers),
    connection: connection({ 'blue.device.a.0': 1, 'blue.device.b.0': 1 }),
    namespace: 'default',
    taskQueue: 'blue',
    lookMs: 1,
    signal: new AbortController().signal,
    ...more,
  });

describe('the servers of a placement', () => {
  it('say what their calls took between two looks, all replicas of a model together', async () => {
    const counts = (requests: number, computeMs: number) => [
      { requests: 10, queueMs: 5, computeMs: 500 },
      { requests: 10 + requests, queueMs: 9, computeMs: 500 + computeMs },
    ];
    const { services, lost } = await measured({
      'a/0:1': { counts: counts(30, 3_000) },
      'b/0:1': { counts: counts(10, 600) },
    });
    expect(services).toEqual({ whisper: { calls: 40, meanMs: 90 } });
    expect(lost).toEqual([]);
  });

  it('say nothing where one has started anew or counts nothing', async () => {
    const anew = [
      { requests: 10, queueMs: 5, computeMs: 500 },
      { requests: 2, queueMs: 1, computeMs: 90 },
    ];
    expect((await measured({ 'a/0:1': { counts: anew }, 'b/0:1': {} })).services).toEqual({});
  });

  it('are lost with their device when they answer no canary, and not when they are only full', async () => {
    const { lost } = await measured({
      'a/0:1': { fails: 'BACKEND_OVERLOADED' },
      'b/0:1': { fails: 'BACKEND_UNAVAILABLE' },
    });
    expect(lost).toEqual([
      { device: 'b/0', because: 'whisper at b/0:1 answers no canary: BACKEND_UNAVAILABLE: as told' },
    ]);
  });

  it('are called under their names, as workers call them', async () => {
    const named = models({ endpoints: [endpoints[0], { ...endpoints[1], serverName: 'b.internal' }] });
    const failing = { fails: 'BACKEND_UNAVAILABLE' } as const;
    expect((await measured({ 'b/0:1': failing }, { models: named })).lost).toEqual([]);
    expect((await measured({ 'b.internal': failing }, { models: named })).lost).toHaveLength(1);
  });

  it('are lost though they load the model on demand, unless that is all that they say', async () => {
    const pool = models({ load: { memory: '1GiB', of: '4GiB' } });
    const of = async (fails: ErrorCode) => (await measured({ 'b/0:1': { fails } }, { models: pool })).lost.length;
    expect([await of('MODEL_NOT_FOUND'), await of('BACKEND_BROKEN'), await of('BACKEND_TIMEOUT')]).toEqual([0, 1, 1]);
  });

  it('are lost when no worker has polled their device’s queue for longer than a poll takes', async () => {
    const { lost } = await measured({}, { connection: connection({ 'blue.device.a.0': 59, 'blue.device.b.0': 120 }) });
    expect(lost).toEqual([{ device: 'b/0', because: 'no worker serves its queue blue.device.b.0' }]);
  });

  it('are lost where the models file knows none of them', async () => {
    const { lost } = await measured({}, { models: models({ endpoints: endpoints.slice(0, 1) }) });
    expect(lost).toEqual([{ device: 'b/0', because: 'the models file has no endpoint of whisper there' }]);
  });

  it('take all devices of a replica that spans several', async () => {
    const wide = placementOf([placedPool('whisper', [['a/0'], ['b/0', 'b/1']])]);
    const { lost } = await measured({ 'b/0:1': { fails: 'BACKEND_BROKEN' } }, { placement: wide });
    expect(lost.map(({ device }) => device)).toEqual(['b/0', 'b/1']);
  });

  it('that cannot be reached at all are no reason for another placement', async () => {
    await expect(measured({}, { connection: connection({}) })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/^none of the placement’s 2 devices serves anything .*no worker serves its queue/),
    });
  });

  it('need a pool in the models file', async () => {
    const placement = placementOf([placedPool('tts', [['a/0']])]);
    await expect(measured({}, { placement })).rejects.toMatchObject({
      code: 'INVALID_SETTING',
      details: { fields: [{ field: 'MILLRACE_MODELS' }] },
    });
  });
});

describe('the runs of a window', () => {
  const row = (more: Partial<StageRecord>): StageRecord => ({
    ...{ stage: 'hear', kind: 'transcribe', connector: 'triton', model: 'whisper', device: 'a/0', status: 'done' },
    ...{ cache: 'off', queueMs: 10, runMs: 50 },
    ...more,
  });
  /** Temporal with runs that took 100, 200, … ms, whose stage tables are these in turn; the last run’s result is gone. */
  function client(tables: readonly (readonly StageRecord[])[], queries: string[] = []): Client {
    const runs = tables.map((_, i) => ({
      ...{ workflowId: `${i}`, runId: 'r', type: 'voice', startTime: new Date(0) },
      closeTime: new Date(100 * (i + 1)),
    }));
    return {
      workflow: {
        count: async (query: string) => {
          queries.push(query);
          return { count: query.includes('StartTime') ? 7 : query.includes('Completed"') ? 4 : 1 };
        },
        async *list({ query }: { query: string }) {
          queries.push(query);
          yield* runs;
        },
        getHandle: (id: string) => ({
          result: async () => {
            const stages = tables[Number(id)] ?? [];
            if (stages.length === 0) throw new Error('its history is gone');
            return { output: {}, stages };
          },
        }),
      },
    } as unknown as Client;
  }
  const [since, until] = [new Date('2026-01-01T00:00:00Z'), new Date('2026-01-01T00:05:00Z')];
  const options = { pipelines: ['voice'], taskQueue: 'blue', since, until };

  it('are counted by Temporal, and their times and stage tables read', async () => {
    const queries: string[] = [];
    const tables = [
      // An agent’s time is that of all its turns and tools: no call of the model took it.
      [
        row({}),
        row({ stage: 'speak', model: 'tts', runMs: 20 }),
        row({ stage: 'answer', kind: 'agent', model: 'llm', queueMs: 0, runMs: 9_000 }),
      ],
      [row({ runMs: 70 }), row({ cache: 'hit', stage: 'speak', model: 'tts', runMs: 1 })],
      [row({ status: 'skipped' })],
      [],
    ];
    const promises = [
      { of: 'p95', share: 0.95, ms: 250 },
      { of: 'voice/hear latency p95', stage: 'voice/hear', share: 0.95, ms: 70 },
    ];
    expect(await measureRuns(client(tables, queries), { ...options, promises })).toEqual({
      windowMs: 300_000,
      started: { voice: 7 },
      completed: 4,
      failed: 1,
      runs: { count: 4, p50Ms: 200, p95Ms: 400 },
      budgets: [
        { ...promises[0], count: 4, late: 2 },
        { ...promises[1], count: 2, late: 1 },
      ],
      stages: { 'voice/hear': { calls: 2, meanMs: 70 }, 'voice/speak': { calls: 1, meanMs: 30 } },
      models: { whisper: { calls: 2, meanMs: 60 }, tts: { calls: 1, meanMs: 20 } },
    });
    // Runs of another deployment in the namespace are none of this one's.
    expect(queries.every((query) => query.includes('TaskQueue = "blue"'))).toBe(true);
    // Those that began after the window by Temporal’s clock are in none of it: its length is told by another clock.
    const within = 'StartTime >= "2026-01-01T00:00:00.000Z" AND StartTime < "2026-01-01T00:05:00.000Z"';
    expect(queries.some((query) => query.endsWith(within))).toBe(true);
    // Where visibility is kept in SQL, a running run closes after any time: each question about an end names how it ended.
    const ends = queries.filter((query) => query.includes('CloseTime'));
    expect(
      ends.every((query) => / ExecutionStatus (= "Completed"|IN \("Failed", "Terminated", "TimedOut"\))$/.test(query)),
    ).toBe(true);
  });

  it('are those of the placement in force: not those that began before it', async () => {
    const queries: string[] = [];
    await measureRuns(client([[row({})]], queries), { ...options, appliedAt: new Date('2025-12-31T00:00:00Z') });
    const ending = queries.filter((query) => query.includes('CloseTime'));
    expect(ending.length).toBeGreaterThan(1);
    expect(ending.every((query) => query.includes('StartTime >= "2025-12-31T00:00:00.000Z"'))).toBe(true);
  });
});
