import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { connectorContract } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { start, venvOf } from './install.js';

describe('litserve', async () => {
  const server = await start('litserve', await venvOf('litserve', ['litserve==0.2.19']), {
    command: 'python',
    args: (port, services) => [`${services}/litserve_service.py`, String(port)],
    ready: '/health',
  });
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

  it('is discovered', async () => {
    const found = await discover(server.url, { signal: AbortSignal.timeout(20_000) });
    expect(found).toMatchObject({ server: 'LitServe' });
  });
});
