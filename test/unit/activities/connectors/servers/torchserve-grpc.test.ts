import { status } from '@grpc/grpc-js';
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../../activities/connectors/connector.js';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import { torchServeGrpcConnector } from '../../../../../activities/connectors/torchserve-grpc/index.js';
import { connectorContract, invoke, noAudio } from '../../../../contract/connector-contract.js';
import { freePort } from '../../../../support/free-port.js';
import { asking, bytes, callsOf, silence } from '../../../../support/preset-calls.js';
import { poolsOf } from '../../../../support/preset-connector.js';
import { failing, grpcFixture, type Predicted, TOKEN } from './torchserve-grpc-fixture.js';

const EXCEPTION = 'org.pytorch.serve.http.InternalServerException';

function predict(text: string): Predicted | undefined {
  if (text === 'slow') return undefined;
  if (text === 'bad') return failing(status.INVALID_ARGUMENT, 'the text must not be bad', EXCEPTION);
  if (text === 'broken') return failing(status.UNAVAILABLE, 'Prediction failed', EXCEPTION);
  if (text === 'died') return failing(status.INTERNAL, 'Worker died.', EXCEPTION);
  if (text === 'full')
    return failing(status.INTERNAL, 'Model "model" has no worker to serve.', 'InternalServerException.()');
  if (text === 'big') return failing(status.INTERNAL, 'Out of resources', EXCEPTION);
  if (text === 'cut') return ['Par', failing(status.UNAVAILABLE, 'Prediction failed', EXCEPTION)];
  if (text.startsWith('What is')) return ['Paris,', ' of', ' course'];
  if (text.startsWith('RIFF')) return ` RIFF of ${text.length} `;
  if (text.startsWith('[')) return text;
  if (text === '\x01\x02\x03') return JSON.stringify([{ label: 'cat', score: 0.9 }]);
  return JSON.stringify(text === 'embed' ? [3, 4] : { yes: 0.75, no: 0.25 }, undefined, 2);
}

const connector = torchServeGrpcConnector();

describe('torchserve-grpc (a fixture)', async () => {
  const server = await grpcFixture(predict);
  afterAll(() => server.close());
  const pools = poolsOf(connector);
  connectorContract({
    connector: pools,
    endpoint: server.address,
    key: TOKEN,
    deadEndpoint: `127.0.0.1:${await freePort()}`,
    refused: {},
    calls: callsOf(pools.kinds),
    audio: silence,
    bytes,
    longCall: asking('slow'),
    badCall: asking('bad'),
  });

  const connect = (options: object = {}, key: string | undefined = TOKEN, kind = 'classify'): Backend =>
    connector.connect(server.address, key, optionsOf(connector, { kind, options: { ...options } }, 'options'));

  it.each([
    ['broken', 'BACKEND_ERROR', undefined],
    ['died', 'BACKEND_BROKEN', undefined],
    ['full', 'BACKEND_UNAVAILABLE', true],
    ['big', 'BACKEND_OVERLOADED', undefined],
  ])('%s is %s', async (text, code, unsent) => {
    const error = await invoke(connect(), asking(text)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect((error as { details: object }).details).toEqual({ endpoint: server.address, ...(unsent && { unsent }) });
  });

  it('a token that is wrong, or is not sent, is BACKEND_UNAUTHORIZED', async () => {
    for (const key of ['another-token', undefined]) {
      const backend = connector.connect(server.address, key, optionsOf(connector, { kind: 'classify' }, 'options'));
      await expect(invoke(backend, asking('text'))).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
    }
  });

  it('a token that gRPC cannot send is a wrong setting, and is not told', async () => {
    const error = await invoke(connect({}, 'tokén'), asking('text')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_SETTING' });
    expect((error as Error).message).not.toContain('tokén');
  });

  it('a stream that fails in the middle has the code of its failure', async () => {
    const call = { kind: 'chat', model: 'model', with: {}, input: { prompt: 'cut', history: [] } };
    const chunks: unknown[] = [];
    const reply = invoke(connect({}, TOKEN, 'chat'), call, noAudio, (chunk) => void chunks.push(chunk));
    await expect(reply).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    expect(chunks).toEqual(['Par']);
  });

  it('sends the version, the trace and the pool’s headers', async () => {
    const options = optionsOf(connector, { kind: 'classify', options: { values: { version: '2.0' } } }, 'options');
    const backend = connector.connect(server.address, TOKEN, options, { headers: { 'x-team': 'search' } });
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await backend.invoke(asking('text'), {
      signal: AbortSignal.timeout(110_000),
      audio: noAudio,
      checkpoint: () => undefined,
      emit: () => undefined,
      traceparent,
    });
    const last = server.asked.at(-1);
    expect(last?.request).toMatchObject({ model_name: 'model', model_version: '2.0' });
    expect(last?.metadata.getMap()).toMatchObject({ traceparent, 'x-team': 'search' });
  });

  it.each([
    [{ request: { path: '/x', json: 1 } }, 'options.request.path'],
    [{ job: {} }, 'job'],
    [{ values: { verson: '1' } }, 'options.values.verson'],
  ])('refuses %j', (options, field) => {
    expect(() => optionsOf(connector, { kind: 'classify', options }, 'options')).toThrow(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringContaining(field) }),
    );
  });

  it('refuses an address of HTTP', () => {
    expect(() => connector.connect('http://torchserve:7070')).toThrow(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringContaining('host:port') }),
    );
  });
});
