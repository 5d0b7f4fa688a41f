import { afterAll, describe, expect, it } from 'vitest';
import type { Backend, Call } from '../../../../../activities/connectors/connector.js';
import { discover } from '../../../../../activities/connectors/discover/index.js';
import { createConnectors } from '../../../../../activities/connectors/index.js';
import { invoke } from '../../../../contract/connector-contract.js';
import { blocksOf } from '../../../../support/pages.js';
import { callsOf } from '../../../../support/preset-calls.js';
import { type Asked, chatDelta, fixture, type Told } from './fixture-server.js';

/* Pools of the pages of OpenVINO Model Server and NVIDIA NIM, at fixtures made from their documentation and source. */

const connectors = createConnectors({ keyOf: (_, reference) => reference && 'key-of-the-nim' });

/** The pool of a page, at a fixture in place of its address. */
function poolOf(page: string, name: string, url: string): Backend {
  const [block] = blocksOf(page, 'json');
  const pool = JSON.parse(block?.text ?? '{}')[name];
  const path = new URL(pool.endpoints[0].url).pathname.replace(/\/$/, '');
  const backend = connectors.get(pool.connector)?.connect(url + path, pool);
  if (!backend) throw new Error(`no connector ${pool.connector}`);
  return backend;
}

const streamed = (...words: readonly string[]): Told => ({
  headers: { 'content-type': 'text/event-stream' },
  parts: [...words.map((word) => chatDelta(word)), chatDelta('', 'stop'), 'data: [DONE]\n\n'],
});
const chat = (model: string, prompt = 'What is the capital of France?'): Call => ({
  kind: 'chat',
  model,
  with: { maxTokens: 16 },
  input: { prompt },
});
const signal = () => AbortSignal.timeout(110_000);

describe('OpenVINO Model Server (a fixture)', async () => {
  const PAGE = 'docs/reference/servers/openvino.md';
  const LLM = 'Qwen/Qwen3-8B';
  const ovms = ({ method, path, json }: Asked): Told => {
    if (path === '/v2') return { json: { name: 'OpenVINO Model Server', version: '2026.1' } };
    if (path === '/v3/models')
      return { json: { object: 'list', data: [{ id: LLM, object: 'model', owned_by: 'OVMS' }] } };
    if (path === '/v3/chat/completions') {
      if (json.model !== LLM)
        return { status: 404, json: { error: 'Mediapipe graph definition with requested name is not found' } };
      if (json.messages[0].content === 'bad')
        return { status: 400, json: { error: 'Mediapipe execution failed. MP status - INVALID_ARGUMENT: no text' } };
      return streamed('Paris,', ' of', ' course');
    }
    const [, model, verb] = /^\/v2\/models\/([^/]+)(?:\/(ready|infer))?$/.exec(path) ?? [];
    if (model !== 'horizon') return { status: 404, json: { error: 'Model with requested name is not found' } };
    if (verb === 'ready') return { text: '' };
    if (method === 'POST') return { json: { model_name: model, model_version: '1', outputs: json.inputs } };
    const tensor = { name: 'X', datatype: 'FP32', shape: [-1, 2] };
    return { json: { name: model, versions: ['1'], platform: 'OpenVINO', inputs: [tensor], outputs: [tensor] } };
  };
  const server = await fixture(ovms);
  afterAll(() => server.close());
  const { infer } = callsOf(['infer']);
  const call: Call = { ...(infer?.call as Call), kind: 'infer' };

  it('runs models by KServe v2, and says which it does not have', async () => {
    const backend = poolOf(PAGE, 'horizon', server.url);
    await infer?.check?.(await invoke(backend, { ...call, model: 'horizon' }), []);
    await backend.probe('horizon', 'infer', signal());
    await expect(invoke(backend, { ...call, model: 'nope' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('streams chats below /v3, and calls an unknown model a graph', async () => {
    const backend = poolOf(PAGE, 'assistant', server.url);
    expect((await invoke(backend, chat(LLM))).output).toMatchObject({ text: 'Paris, of course', finish: 'stop' });
    expect(await backend.ready?.(LLM, signal())).toBe(false);
    await expect(invoke(backend, chat('nope'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await expect(invoke(backend, chat(LLM, 'bad'))).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
  });

  it('is discovered, with language models and without', async () => {
    expect(await discover(`${server.url}/v3`, { signal: signal() })).toMatchObject({
      server: 'OpenVINO Model Server, language models',
      pools: { 'qwen3-8b': { connector: 'openai', model: LLM, endpoints: [{ url: `${server.url}/v3` }] } },
    });
    const without = await fixture((asked) => (asked.path === '/v2' ? ovms(asked) : { status: 404, text: '' }));
    try {
      expect(await discover(without.url, { signal: signal() })).toMatchObject({ server: 'OpenVINO Model Server' });
    } finally {
      await without.close();
    }
  });
});

describe('NVIDIA NIM (a fixture)', async () => {
  const PAGE = 'docs/reference/servers/nim.md';
  const nim = ({ path, json, headers }: Asked): Told => {
    if (path === '/v1/models')
      return { json: { object: 'list', data: [{ id: 'm', object: 'model', owned_by: 'system' }] } };
    if (path === '/v1/chat/completions') {
      if (headers.authorization !== 'Bearer key-of-the-nim') return { status: 401, json: { error: 'Unauthorized' } };
      if (json.model === 'm') return streamed('Paris,', ' of', ' course');
      const message = `The model \`${json.model}\` does not exist.`;
      return { status: 404, json: { object: 'error', message, type: 'NotFoundError', param: null, code: 404 } };
    }
    if (path === '/v1/embeddings') {
      if (!['query', 'passage'].includes(json.input_type))
        return {
          status: 400,
          json: { object: 'error', message: "'input_type' parameter is required", type: 'invalid_request_error' },
        };
      return {
        json: { object: 'list', data: [{ index: 0, embedding: json.input_type === 'query' ? [3, 4] : [4, 3] }] },
      };
    }
    if (path === '/v1/ranking') {
      const rankings = json.passages.map((_: unknown, index: number) => ({ index, logit: index - 5 })).reverse();
      return { json: { rankings } };
    }
    if (path === '/v1/health/ready') return { json: { object: 'health.response', message: 'Service is ready.' } };
    return { status: 404, json: { detail: 'Not Found' } };
  };
  const server = await fixture(nim);
  afterAll(() => server.close());

  it('streams chats with its key', async () => {
    const backend = poolOf(PAGE, 'assistant', server.url);
    expect((await invoke(backend, chat('m'))).output).toMatchObject({ text: 'Paris, of course' });
    await expect(invoke(backend, chat('nope'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('tells questions from passages, also in a canary', async () => {
    const backend = poolOf(PAGE, 'embedder', server.url);
    const embed = (as: object) => invoke(backend, { kind: 'embed', model: 'm', with: { ...as }, input: { text: 'x' } });
    expect((await embed({ as: 'query' })).output).toEqual({ embedding: [0.6, 0.8] });
    expect((await embed({})).output).toEqual({ embedding: [0.8, 0.6] });
    await backend.probe('m', 'embed', signal());
    expect(server.asked.at(-1)?.json).toMatchObject({ input_type: 'query', truncate: 'END' });
  });

  it('ranks by its own route', async () => {
    const backend = poolOf(PAGE, 'ranker', server.url);
    const passages = [
      { id: 'a', text: 'A' },
      { id: 'b', text: 'B' },
    ];
    const { output } = await invoke(backend, { kind: 'rerank', model: 'm', with: {}, input: { query: 'q', passages } });
    expect(output).toEqual({
      passages: [
        { id: 'b', text: 'B', score: -4 },
        { id: 'a', text: 'A', score: -5 },
      ],
    });
    expect(await backend.ready?.('m', signal())).toBe(true);
  });
});
