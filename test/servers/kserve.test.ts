import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf, TWO_NUMBERS } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { script } from './commands.js';
import { start } from './install.js';

describe('kserve-v1: KServe’s own model server', async () => {
  const server = await start('kserve', script('kserve_service.py', '/v1/models/model'));
  afterAll(() => server.stop());
  const connector = presetConnector('kserve-v1');
  connectorContract({
    connector,
    endpoint: server.url,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    refused: {},
    calls: callsOf(connector.kinds, { classify: TWO_NUMBERS }),
    longCall: asking('slow'),
    badCall: asking('bad'),
  });

  it('says that it is ready, and what went wrong in the model', async () => {
    const backend = connector.connect(server.url);
    expect(await backend.ready?.('model', AbortSignal.timeout(5_000))).toBe(true);
    await expect(invoke(backend, asking('broken'))).rejects.toMatchObject({
      code: 'BACKEND_ERROR',
      message: expect.stringContaining('the weights are gone'),
    });
  });

  it('is discovered', async () => {
    const found = await discover(server.url, { signal: AbortSignal.timeout(20_000) });
    expect(found).toMatchObject({ server: 'KServe (v1)' });
  });
});
