import { afterAll, describe, expect, it } from 'vitest';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import {
  account,
  failed,
  forSeveralClients,
  Google,
  values,
} from '../unit/activities/connectors/clouds/vertex-fixture.js';
import { type Asked, fixture, type Told } from '../unit/activities/connectors/servers/fixture-server.js';
import { predictionServer } from './commands.js';
import { start } from './install.js';

/** What the front makes of a status of the container, by https://cloud.google.com/apis/design/errors. */
const STATUSES: Readonly<Record<number, string>> = { 400: 'INVALID_ARGUMENT', 500: 'INTERNAL' };

describe('vertex: a prediction container of Vertex AI, behind a front that checks tokens', async () => {
  const container = await start('vertex', predictionServer);
  const deployed = async ({ text }: Asked): Promise<Told> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${container.url}/predict`, { method: 'POST', headers, body: text });
    const body = await answer.text();
    if (answer.ok) return { json: JSON.parse(body) };
    return failed(answer.status, STATUSES[answer.status] ?? 'UNKNOWN', body);
  };
  const front = await fixture(forSeveralClients(new Google(deployed)));
  afterAll(async () => {
    await front.close();
    await container.stop();
  });
  const connector = presetConnector('vertex', { values });
  connectorContract({
    connector,
    endpoint: front.url,
    key: account(front.url),
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    // Such containers have no streams, so none of `chat`.
    calls: callsOf(['classify', 'embed', 'infer']),
    longCall: asking('slow'),
    badCall: asking('bad'),
  });

  it('rawPredict gives the container the same', async () => {
    const raw = presetConnector('vertex', { values: { ...values, method: 'rawPredict' } });
    const reply = await invoke(raw.connect(front.url, account(front.url)), asking('text'));
    expect(reply.output).toMatchObject({ label: 'yes' });
  });

  it('what went wrong in the container is BACKEND_ERROR', async () => {
    const backend = connector.connect(front.url, account(front.url));
    await expect(invoke(backend, asking('broken'))).rejects.toMatchObject({
      code: 'BACKEND_ERROR',
      message: expect.stringContaining('the weights are gone'),
    });
  });
});
