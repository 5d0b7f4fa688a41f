import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf, silence } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { bento } from './commands.js';
import { start } from './install.js';

const server = await start('bentoml', bento('bentoml_service:Anything'));
afterAll(() => server.stop());
const dead = `http://127.0.0.1:${await freePort()}`;

describe('bentoml', () => {
  it('is discovered', async () => {
    const found = await discover(server.url, { signal: AbortSignal.timeout(20_000) });
    expect(found).toMatchObject({ server: 'BentoML' });
  });

  const connector = presetConnector('bentoml');
  connectorContract({
    connector,
    endpoint: server.url,
    deadEndpoint: dead,
    refused: {},
    calls: callsOf(connector.kinds, {}, (kind) => kind),
    audio: silence,
    longCall: asking('slow', 'classify'),
    badCall: asking(5, 'classify'),
  });

  it('hides what went wrong in a service', async () => {
    const backend = connector.connect(server.url);
    await expect(invoke(backend, asking('broken', 'classify'))).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
  });
});

describe('bentoml-task', () => {
  const connector = presetConnector('bentoml-task');
  connectorContract({
    connector,
    endpoint: server.url,
    deadEndpoint: dead,
    refused: {},
    // A canary that submits a task would leave work that nobody fetches, so it asks the server alone; the call is below.
    unknownModel: null,
    calls: callsOf(connector.kinds, {}, (kind) => `${kind}_task`),
    longCall: asking('slow', 'classify_task'),
    badCall: asking(5, 'classify_task'),
  });

  it('a route that is not there is MODEL_NOT_FOUND', async () => {
    const backend = connector.connect(server.url);
    await expect(invoke(backend, asking('text', 'no_such_task'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});
