import { describe, expect, it } from 'vitest';
import type { Call } from '../../activities/connectors/connector.js';
import { httpConnector } from '../../activities/connectors/http/index.js';
import { freePort } from '../support/free-port.js';
import { tritonHttp } from '../support/triton.js';
import { connectorContract, invoke, noAudio } from './connector-contract.js';

/**
 * Pools without a description, which serve stages of the kind `http` alone. Descriptions of other kinds are in
 * test/unit/activities/connectors/servers and, against the servers themselves, in test/servers.
 */
const connector = { ...httpConnector(), kinds: new Set(['http']) };
/** Triton's HTTP port and the LLM server, as any JSON API. */
const triton = tritonHttp();
const llm = (process.env.TEST_LLM_BASE_URL ?? '').replace(/\/v1\/?$/, '');

const inference = (model: string, ...texts: string[]): Omit<Call, 'kind'> => ({
  model: 'triton',
  with: { method: 'POST', path: '/v2/models/{model}/infer' },
  input: {
    path: { model },
    body: { inputs: [{ name: 'TEXT', datatype: 'BYTES', shape: [1, texts.length], data: texts }] },
  },
});
const get = (path: string, input: Call['input'] = {}): Call => ({
  kind: 'http',
  model: 'a-service',
  with: { method: 'GET', path },
  input,
});

connectorContract({
  connector,
  endpoint: triton,
  deadEndpoint: `http://127.0.0.1:${await freePort()}`,
  audio: noAudio,
  unknownModel: null,
  refused: {},
  calls: {
    http: {
      call: inference('echo', 'é 😀'),
      check: ({ output }) =>
        expect(output).toMatchObject({ status: 200, body: { outputs: [{ name: 'OUT', data: ['é 😀'] }] } }),
    },
  },
  longCall: { kind: 'http', ...inference('tts', 'She sells sea shells by the sea shore. '.repeat(100)) },
  badCall: { kind: 'http', ...inference('echo', 'one', 'too many') },
});

describe('http: what two real APIs answer', () => {
  const backend = connector.connect(triton);

  it('says what the API says of a path that is not there', async () => {
    await expect(invoke(backend, get('/v2/models/{name}', { path: { name: 'no such/model' } }))).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringMatching(/^a-service at .*HTTP 404: .*no%20such%2Fmodel/),
    });
  });

  it('takes an empty body for null', async () => {
    // Triton is live, and not ready, while another test loads a model.
    expect((await invoke(backend, get('/v2/health/live'))).output).toEqual({ status: 200, body: null });
  });

  it('reads JSON and text by their content types', async () => {
    const server = connector.connect(llm);
    expect((await invoke(server, get('/v1/models'))).output).toMatchObject({ body: { data: [{ id: 'assistant' }] } });
    expect((await invoke(server, get('/metrics'))).output.body).toContain('llamacpp:requests_processing');
  });
});
