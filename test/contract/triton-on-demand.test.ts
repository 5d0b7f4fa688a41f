import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Call } from '../../activities/connectors/connector.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { oipRestConnector } from '../../activities/connectors/oip-rest/index.js';
import { plainContext } from '../../activities/connectors/plain-context.js';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import { Pools, parseModels } from '../../activities/pools/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { recordingLogger } from '../support/caches.js';
import { type OwnTriton, ownTriton } from '../support/own-triton.js';
import { address } from '../support/runs.js';
import { unlessStill } from '../support/unless-still.js';

/* Models of a real Triton that workers load and unload: six copies of `echo`, and room for two. */

const MODELS = ['m0', 'm1', 'm2', 'm3', 'm4', 'm5'];
const ROOM = 2;
const START_MS = 180_000;
const limit = () => AbortSignal.timeout(60_000);
let triton: OwnTriton;
const redis = createRedis({ url: address('REDIS_URL'), timeoutMs: 5_000, logger: recordingLogger().logger });

beforeAll(async () => {
  expect(await connected(redis, 30_000)).toBe(true);
  triton = await ownTriton(MODELS);
}, START_MS);
afterAll(async () => {
  redis.disconnect();
  await triton?.stop();
});

const echo = (model: string, text: string): Call => ({
  kind: 'infer',
  model,
  with: { inputs: { TEXT: { dtype: 'BYTES', shape: [-1, 1] } }, outputs: { OUT: { dtype: 'BYTES', shape: [-1, 1] } } },
  input: { TEXT: { dtype: 'BYTES', shape: [1, 1], data: [text] } },
});

/** The repository of a server, by each connector. */
const repositories: readonly (readonly [string, () => Backend])[] = [
  ['triton', () => tritonConnector().connect(triton.grpc)],
  ['oip-rest', () => oipRestConnector().connect(triton.http)],
];

describe.each(repositories)('the repository of a Triton by %s', (_, connect) => {
  it('loads and unloads a model, and says which are loaded', async () => {
    const backend = connect();
    const { repository } = backend;
    if (!repository) throw new Error('it has none');
    expect(await repository.states(limit())).toEqual(new Map());
    await repository.load('m0', limit());
    expect(await repository.states(limit())).toEqual(new Map([['m0', 'ready']]));
    await repository.unload('m0', limit());
    await expect.poll(() => repository.states(limit())).toEqual(new Map());
    await expect(repository.load('no-such-model', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    backend.close();
  });
});

/** A worker with a pool for each model. */
function worker() {
  const pool = (model: string) => ({
    ...{ connector: 'triton', kind: 'infer', model, endpoints: [{ url: triton.grpc, device: 'cpu0' }] },
    load: { memory: '100MiB', of: `${ROOM * 100}MiB` },
  });
  const metrics = createMetrics();
  const pools = new Pools({
    models: parseModels(Object.fromEntries(MODELS.map((model) => [model, pool(model)])), 'test'),
    connectors: createConnectors(),
    metrics,
    logger: recordingLogger().logger,
    canaryIntervalMs: 600_000,
    redis,
  });
  /** As a stage calls: it comes back while its model is being loaded. */
  async function call(model: string, text: string): Promise<unknown> {
    for (;;) {
      try {
        const { output } = await pools
          .get(model)
          .use((backend, at, signal) => backend.invoke(echo(at.model, text), plainContext(signal)), {
            signal: limit(),
          });
        return (output.OUT as { data: unknown[] }).data[0];
      } catch (error) {
        if (!(error instanceof MillraceError && error.details.unsent)) throw error;
        await sleep(50);
      }
    }
  }
  return { pools, metrics, call };
}

describe('pools whose models are loaded on demand', () => {
  // Both are in this process: where it stands still, their leases run out together.
  it('serve more models than fit, from two workers at once, without a failed call', () =>
    unlessStill(async () => {
      const [one, two] = [worker(), worker()];
      const backend = tritonConnector().connect(triton.grpc);
      let most = 0;
      let watching = true;
      const watch = (async () => {
        while (watching) {
          most = Math.max(most, (await backend.repository?.states(limit()))?.size ?? 0);
          await sleep(20);
        }
      })();
      const callers = [one, two].flatMap(({ call }, w) =>
        [0, 1].map(async (caller) => {
          for (let n = 0; n < 3; n++) {
            const text = `${w} ${caller} ${n}`;
            expect(await call(MODELS[(w + caller + n) % MODELS.length] ?? 'm0', text)).toBe(text);
          }
        }),
      );
      try {
        await Promise.all(callers);
        watching = false;
        await watch;
        expect(most).toBeLessThanOrEqual(ROOM);
        const unloads = await Promise.all([one, two].map(({ metrics }) => metrics.modelUnloads.get()));
        expect(unloads.flatMap(({ values }) => values).length).toBeGreaterThan(0);
      } finally {
        watching = false;
        await watch;
        backend.close();
        for (const { pools } of [one, two]) pools.close();
      }
    }));

  it('load their models again after the server was started anew', async () => {
    const { call, pools } = worker();
    expect(await call('m4', 'before')).toBe('before');
    await triton.restart();
    expect(await call('m4', 'after')).toBe('after');
    pools.close();
  });
});
