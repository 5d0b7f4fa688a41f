import { afterAll, describe, expect, it } from 'vitest';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { part } from '../unit/activities/connectors/clouds/frames.js';
import { AWS_KEYS, contractCalls, signatureFault } from '../unit/activities/connectors/clouds/sagemaker-fixture.js';
import { type Asked, fixture, type Told } from '../unit/activities/connectors/servers/fixture-server.js';
import { multiModelServer } from './commands.js';
import { start } from './install.js';
import { hasJava } from './java.js';

const java = hasJava('SageMaker’s multi-model server');

/** InvokeEndpoint, and with a stream, in front of a container: signatures, errors within 424, frames. */
const inFrontOf =
  (container: string) =>
  async (asked: Asked): Promise<Told> => {
    const fault = signatureFault(asked);
    if (fault) return fault;
    const [, endpoint, streams] = /^\/endpoints\/([\w-]+)\/invocations(-response-stream)?$/.exec(asked.path) ?? [];
    if (endpoint !== 'model') {
      const Message = `Endpoint ${endpoint} of account 111122223333 not found.`;
      return { status: 400, headers: { 'x-amzn-errortype': 'ValidationError' }, json: { Message } };
    }
    const answer = await fetch(`${container}/invocations`, {
      method: 'POST',
      headers: {
        'content-type': asked.headers['content-type'] ?? '',
        accept: String(asked.headers['x-amzn-sagemaker-accept'] ?? asked.headers.accept ?? '*/*'),
      },
      body: new Uint8Array(asked.bytes),
    });
    const text = await answer.text();
    if (!answer.ok) return modelError(answer.status, text);
    const type = answer.headers.get('content-type') ?? '';
    if (streams === undefined) return { headers: { 'content-type': type }, text };
    const half = Math.floor(text.length / 2);
    return {
      headers: { 'content-type': 'application/vnd.amazon.eventstream', 'x-amzn-sagemaker-content-type': type },
      // Frames end where the container's chunks do, which is not where its events do.
      parts: [part(text.slice(0, half)), part(text.slice(half))],
    };
  };

const modelError = (status: number, OriginalMessage: string): Told => ({
  status: 424,
  headers: { 'x-amzn-errortype': 'ModelError' },
  json: {
    LogStreamArn: 'arn:aws:logs:eu-central-1:111122223333:log-group:/aws/sagemaker/Endpoints/model',
    Message: `Received ${status < 500 ? 'client' : 'server'} error (${status}) from primary with message "${OriginalMessage}"`,
    OriginalMessage,
    OriginalStatusCode: status,
  },
});

describe.skipIf(!java)('sagemaker: a container of SageMaker, behind a front that checks signatures', async () => {
  if (!java) return;
  const container = await start('sagemaker', await multiModelServer());
  const front = await fixture(inFrontOf(container.url));
  afterAll(async () => {
    await front.close();
    await container.stop();
  });
  const connector = presetConnector('sagemaker', { values: { region: 'eu-central-1' } });
  const key = JSON.stringify(AWS_KEYS);
  connectorContract({
    connector,
    endpoint: front.url,
    key,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    refused: {},
    ...contractCalls,
  });

  it('what went wrong in the container is BACKEND_ERROR', async () => {
    const backend = connector.connect(front.url, key);
    await expect(invoke(backend, asking('broken'))).rejects.toMatchObject({
      code: 'BACKEND_ERROR',
      message: expect.stringContaining('the weights are gone'),
    });
  });
});
