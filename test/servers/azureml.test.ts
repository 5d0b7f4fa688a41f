import { afterAll, describe, expect, it } from 'vitest';
import { connectorContract, invoke, noAudio } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { type Asked, fixture, type Told } from '../unit/activities/connectors/servers/fixture-server.js';
import { scoringServer } from './commands.js';
import { start } from './install.js';

const KEY = 'key-of-the-endpoint';
const DEPLOYMENT = 'blue';
/** Those that the front passes on, of a request and of an answer. */
const PASSED = ['content-type', 'traceparent', 'x-ms-client-request-id'];

/** What the front of a managed endpoint adds to its container: keys, deployments, and 424 for whatever is no success there. */
const inFrontOf =
  (container: string) =>
  async ({ method, path, headers, bytes }: Asked): Promise<Told> => {
    if (headers.authorization !== `Bearer ${KEY}`) return { status: 401, text: 'key_auth_access_denied' };
    const { 'azureml-model-deployment': deployment = DEPLOYMENT } = headers;
    if (deployment !== DEPLOYMENT)
      return { status: 404, text: `Specified deployment [${deployment}] could not be found.` };
    const passed = PASSED.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
    const answer = await fetch(container + path, {
      method,
      headers: Object.fromEntries(passed),
      ...(bytes.length > 0 && { body: new Uint8Array(bytes) }),
    });
    const text = await answer.text();
    const type = { 'content-type': answer.headers.get('content-type') ?? 'text/plain' };
    if (answer.ok) return { headers: type, parts: text.split(/(?<=\n\n)/) };
    const inside = {
      'ms-azureml-model-error-statuscode': String(answer.status),
      'ms-azureml-model-error-reason': 'model_error',
    };
    return { status: 424, headers: { ...type, ...inside }, text };
  };

describe('azureml: the inference server of Azure’s containers', async () => {
  const server = await start('azureml', scoringServer);
  const front = await fixture(inFrontOf(server.url));
  afterAll(async () => {
    await front.close();
    await server.stop();
  });
  const preset = (values: object = {}) =>
    presetConnector('azureml', (kind) => ({ values: { ...values, ...(kind === 'chat' && { route: 'score' }) } }));
  const connector = preset();
  const deadEndpoint = `http://127.0.0.1:${await freePort()}`;

  describe.each([
    ['itself', server.url, undefined],
    ['behind a front that checks keys and answers 424', front.url, KEY],
  ] as const)('%s', (_, endpoint, key) => {
    connectorContract({
      connector,
      endpoint,
      key,
      deadEndpoint,
      refused: {},
      // An endpoint has one model, which requests do not name.
      unknownModel: null,
      calls: callsOf(connector.kinds, { chat: { text: 'Paris, of course', finish: 'stop' } }),
      longCall: asking('slow'),
      badCall: asking('bad'),
    });

    it.each([
      ['a script that has thrown', 'broken', 'BACKEND_ERROR'],
      ['a script that the server has ended', 'endless', 'BACKEND_TIMEOUT'],
      ['a script that answers 503', 'away', key === undefined ? 'BACKEND_UNAVAILABLE' : 'BACKEND_OVERLOADED'],
      ['a script that answers 429', 'full', key === undefined ? 'BACKEND_RATE_LIMITED' : 'BACKEND_OVERLOADED'],
    ])('%s is told', async (_name, text, code) => {
      await expect(invoke(connector.connect(endpoint, key), asking(text))).rejects.toMatchObject({ code });
    });

    it('scripts see the trace of a call, however long the name of its stage is', async () => {
      const { output } = await connector.connect(endpoint, key).invoke(asking('traced'), {
        signal: AbortSignal.timeout(30_000),
        audio: noAudio,
        checkpoint: () => undefined,
        emit: () => undefined,
        traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
        idempotencyKey: `run/${'stage/'.repeat(40)}`,
      });
      expect(output).toMatchObject({ scores: { yes: 1 } });
    });
  });

  it('a deployment that is not there is MODEL_NOT_FOUND', async () => {
    const backend = preset({ deployment: 'green' }).connect(front.url, KEY);
    await expect(invoke(backend, asking('text'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('a key that is wrong is BACKEND_UNAUTHORIZED', async () => {
    const backend = connector.connect(front.url, 'another-key');
    await expect(invoke(backend, asking('text'))).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
  });
});
