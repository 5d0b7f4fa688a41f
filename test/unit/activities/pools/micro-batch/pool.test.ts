import { describe, expect, it } from 'vitest';
import type { Backend, Call, Reply } from '../../../../../activities/connectors/connector.js';
import type { RegisteredConnector } from '../../../../../activities/connectors/registered.js';
import { Pools, parseModels } from '../../../../../activities/pools/index.js';
import { type ErrorCode, MillraceError } from '../../../../../pipelines/errors.js';
import { createMetrics } from '../../../../../telemetry/metrics.js';
import { counts } from '../fakes.js';

const never = () => {
  throw new Error('no audio');
};
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A pool of two servers that embed a text as its length, and fail those that begin with the name of a code. */
function open(microBatch: object | undefined, concurrency = 4) {
  const sent: { readonly url: string; readonly texts: readonly string[] }[] = [];
  const connector: RegisteredConnector = {
    name: 'fake',
    kinds: new Set(['embed']),
    capabilities: new Set<never>(),
    joins: () => ({ tenants: 'together' }),
    check: () => undefined,
    connect: (url) => {
      const invoke = async ({ input }: Call): Promise<Reply> => {
        const texts = (input.texts ?? [input.text]) as string[];
        sent.push({ url, texts });
        const bad = texts.find((text) => text.startsWith('BACKEND_'));
        if (bad) {
          // After the other server's answers, with which it is compared.
          await new Promise(setImmediate);
          throw new MillraceError(bad as ErrorCode, 'refused');
        }
        const embeddings = texts.map(({ length }) => [length]);
        return { output: input.texts ? { embeddings } : { embedding: embeddings[0] ?? [] } };
      };
      return { endpoint: url, invoke, fingerprint: async () => 'w', close: () => undefined } as unknown as Backend;
    },
  };
  const endpoints = ['a', 'b'].map((url) => ({ url, device: url, concurrency }));
  const model = { connector: 'fake', model: 'm', kind: 'embed', endpoints, ...(microBatch && { microBatch }) };
  const metrics = createMetrics();
  const pools = new Pools({
    models: parseModels({ m: model }, 'test'),
    connectors: new Map([['fake', connector]]),
    metrics,
    logger: quiet,
    canaryIntervalMs: 600_000,
  });
  const call = (text: string) =>
    pools
      .get('m')
      .use(
        (backend, { model: name, url }, signal) =>
          backend
            .invoke(
              { kind: 'embed', model: name, with: {}, input: { text } },
              { signal, audio: { read: never, write: never }, emit: () => undefined, checkpoint: () => undefined },
            )
            .then(({ output }) => ({ url, output })),
        { signal: new AbortController().signal },
      );
  return { call, sent, metrics, close: () => pools.close() };
}

describe('a pool with microBatch', () => {
  // The wait is far longer than the test may take: what goes out goes because no further call can come.
  const full = { waitMs: 1_000, most: 100 };

  it('sends the calls of each server together, each with a slot, a count and an outcome of its own', async () => {
    const { call, sent, metrics, close } = open(full);
    const texts = ['x', 'xx', 'xxx', 'xxxx', 'xxxxx', 'BACKEND_REJECTED', 'xxxxxxx', 'xxxxxxxx'];
    const ended = await Promise.allSettled(texts.map(call));
    close();
    for (const [i, result] of ended.entries()) {
      if (i === 5) expect(result).toMatchObject({ reason: { code: 'BACKEND_REJECTED' } });
      else expect(result).toMatchObject({ value: { output: { embedding: [i + 1] } } });
    }
    expect(sent.filter((each) => each.texts.length === 4).map(({ url }) => url)).toEqual(['a', 'b']);
    const outcomes = await counts(metrics.backendCalls);
    expect(Object.values(outcomes).reduce((sum, count) => sum + count, 0)).toBe(texts.length);
    expect(Object.keys(outcomes).filter((labels) => labels.endsWith('BACKEND_REJECTED'))).toHaveLength(1);
  });

  it('counts a failure that is every call’s as one failure of its server, which stays in the pool', async () => {
    const { call, metrics, close } = open(full, 8);
    const texts = ['BACKEND_UNAUTHORIZED', ...Array.from({ length: 15 }, (_, i) => 'x'.repeat(i + 1))];
    const ended = await Promise.allSettled(texts.map(call));
    expect(ended.filter(({ status }) => status === 'rejected')).toHaveLength(8);
    expect(await counts(metrics.ejections)).toEqual({});
    close();
  });

  it('sends each call alone without it', async () => {
    const { call, sent, close } = open(undefined);
    await Promise.all(['x', 'y'].map(call));
    close();
    expect(sent.map(({ texts }) => texts)).toEqual([['x'], ['y']]);
  });
});
