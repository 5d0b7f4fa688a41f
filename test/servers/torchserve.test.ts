import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { optionsOf } from '../../activities/connectors/pool-options.js';
import { torchServeGrpcConnector } from '../../activities/connectors/torchserve-grpc/index.js';
import { connectorContract, invoke, noAudio } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, bytes, callsOf, silence } from '../support/preset-calls.js';
import { poolsOf, presetConnector } from '../support/preset-connector.js';
import { torchServe, torchServeToken } from './commands.js';
import { start } from './install.js';
import { hasJava } from './java.js';

const java = hasJava('TorchServe');
const dead = `127.0.0.1:${await freePort()}`;
/** Only this model's handler sends its answer in parts. */
const modelOf = (kind: string) => (kind === 'chat' ? 'chat' : 'model');

describe.skipIf(!java)('torchserve', async () => {
  if (!java) return;
  const { service, grpc } = await torchServe();
  const server = await start('torchserve', service);
  afterAll(() => server.stop());
  const key = torchServeToken(server.folder);
  const byGrpc = torchServeGrpcConnector();

  describe.each([
    ['REST', presetConnector('torchserve'), server.url, `http://${dead}`],
    ['gRPC', poolsOf(byGrpc), grpc, dead],
  ] as const)('by %s', (_, connector, endpoint, deadEndpoint) => {
    connectorContract({
      connector,
      endpoint,
      key,
      deadEndpoint,
      refused: {},
      calls: callsOf(connector.kinds, {}, modelOf),
      audio: silence,
      bytes,
      longCall: asking('slow'),
      badCall: asking('bad'),
    });

    it.each([
      ['a token that is wrong', 'another-token'],
      ['no token', undefined],
    ])('%s is BACKEND_UNAUTHORIZED', async (_name, other) => {
      const backend = connector.connect(endpoint, other);
      await expect(invoke(backend, asking('text'))).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
    });

    it.each([
      ['a handler that has thrown', 'broken', 'BACKEND_ERROR'],
      ['a handler that is short of memory', 'memory', 'BACKEND_OVERLOADED'],
      ['a handler that refuses for its load', 'full', 'BACKEND_RATE_LIMITED'],
    ])('%s is told', async (_name, text, code) => {
      await expect(invoke(connector.connect(endpoint, key), asking(text))).rejects.toMatchObject({ code });
    });

    it('a stream that fails in the middle is no whole answer', async () => {
      const call = { kind: 'chat', model: 'chat', with: {}, input: { prompt: 'cut', history: [] } };
      await expect(invoke(connector.connect(endpoint, key), call)).rejects.toMatchObject({
        code: expect.stringMatching(/^BACKEND_(ERROR|UNAVAILABLE)$/),
      });
    });
  });

  it('answers of the versions that pools name', async () => {
    const at = (version: string) => {
      const options = { kind: 'classify', options: { values: { version } } };
      return [
        presetConnector('torchserve', options.options).connect(server.url, key),
        byGrpc.connect(grpc, key, optionsOf(byGrpc, options, 'options')),
      ];
    };
    for (const backend of at('1.0'))
      expect((await invoke(backend, asking('text'))).output).toMatchObject({ label: 'yes' });
    for (const backend of at('9.0'))
      await expect(invoke(backend, asking('text'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('handlers see the trace of a call by REST', async () => {
    const { output } = await presetConnector('torchserve')
      .connect(server.url, key)
      .invoke(asking('traced'), {
        signal: AbortSignal.timeout(30_000),
        audio: noAudio,
        checkpoint: () => undefined,
        emit: () => undefined,
        traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      });
    expect(output).toMatchObject({ scores: { yes: 1 } });
  });

  it('is discovered, with its token and without', async () => {
    const signal = AbortSignal.timeout(20_000);
    expect(await discover(server.url, { signal, key })).toMatchObject({ server: 'TorchServe' });
    expect(await discover(server.url, { signal })).toMatchObject({ server: 'TorchServe with tokens' });
  });

  // Last: the worker is away until TorchServe has started another one.
  it('a worker that died is BACKEND_BROKEN', async () => {
    const backend = presetConnector('torchserve').connect(server.url, key);
    await expect(invoke(backend, asking('die'))).rejects.toMatchObject({ code: 'BACKEND_BROKEN' });
  });
});
