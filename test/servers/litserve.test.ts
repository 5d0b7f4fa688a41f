import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { Pools, parseModels } from '../../activities/pools/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { script } from './commands.js';
import { start } from './install.js';

describe('litserve', async () => {
  const server = await start('litserve', script('litserve_service.py', '/health'));
  afterAll(() => server.stop());
  const connector = presetConnector('litserve', (kind) => (kind === 'chat' ? { values: { route: 'chat' } } : {}));
  connectorContract({
    connector,
    endpoint: server.url,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    refused: {},
    // The protocol has a route, and names no model.
    unknownModel: null,
    calls: callsOf(connector.kinds),
    longCall: asking('slow'),
    badCall: asking('bad'),
  });

  it('gets the calls of a pool in batches, and one that it refuses fails alone', async () => {
    const endpoints = [{ url: server.url, device: 'cpu' }];
    const model = { connector: 'http', kind: 'embed', model: 'm', options: { preset: 'litserve' }, endpoints };
    const metrics = createMetrics();
    const pools = new Pools({
      models: parseModels({ m: { ...model, microBatch: { waitMs: 200, most: 8 } } }, 'test'),
      connectors: createConnectors(),
      metrics,
      logger: pino({ level: 'silent' }),
      canaryIntervalMs: 600_000,
    });
    const texts = ['at 1', 'at 2', 'bad', 'at 4', 'at 5', 'at 6', 'at 7', 'at 8'];
    const { signal } = new AbortController();
    const call = (text: string) =>
      pools
        .get('m')
        .use((backend) => invoke(backend, { kind: 'embed', model: 'm', with: {}, input: { text } }), { signal });
    const ended = await Promise.allSettled(texts.map(call));
    pools.close();
    for (const [i, result] of ended.entries()) {
      if (texts[i] === 'bad') expect(result).toMatchObject({ reason: { code: 'BACKEND_REJECTED' } });
      else {
        const [x = 0, y = 1] = (result.status === 'fulfilled' ? result.value.output.embedding : []) as number[];
        expect(x / y).toBeCloseTo(Number(texts[i]?.slice(3)), 3);
      }
    }
    // All together; then halves, and halves of the one that has the text, down to it and its neighbour.
    const { values } = await metrics.batchCalls.get();
    expect(values.find(({ metricName }) => metricName?.endsWith('_count'))?.value).toBe(7);
  });

  it('is discovered', async () => {
    const found = await discover(server.url, { signal: AbortSignal.timeout(20_000) });
    expect(found).toMatchObject({ server: 'LitServe' });
  });
});
