import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { asking, callsOf, TWO_NUMBERS } from '../support/preset-calls.js';
import { presetConnector } from '../support/preset-connector.js';
import { kserveOpenAi, script } from './commands.js';
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

const chat = (prompt: string, more: object = {}) => ({
  kind: 'chat',
  model: 'chat',
  with: { maxTokens: 16, ...more },
  input: { prompt },
});

describe('the OpenAI route of KServe’s model server', async () => {
  const server = await start('kserve-llm', kserveOpenAi);
  afterAll(() => server.stop());
  const endpoint = `${server.url}/openai/v1`;
  const connector = openAiConnector();
  const { embed, rerank } = callsOf(['embed', 'rerank'], {}, () => 'encoder');

  /** Answers that the model streams, by its own count. */
  async function working(): Promise<number> {
    const asked = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"instances":[0]}' };
    const answer = await fetch(`${server.url}/v1/models/running:predict`, asked);
    return ((await answer.json()) as { predictions: number[] }).predictions[0] ?? 0;
  }

  connectorContract({
    connector,
    endpoint,
    deadEndpoint: `http://127.0.0.1:${await freePort()}/openai/v1`,
    working,
    calls: {
      chat: {
        call: chat('What is the capital of France?'),
        check({ output, usage }) {
          expect(output).toEqual({ text: 'Paris, of course', finish: 'stop' });
          expect(usage).toEqual({ inputTokens: 6, outputTokens: 3 });
        },
      },
      ...(embed && { embed }),
      ...(rerank && { rerank }),
    },
    longCall: chat('slow'),
    badCall: chat('bad'),
  });

  it.each([
    [
      'a temperature that is a text',
      chat('text', { extra: { temperature: 'hot' } }),
      'BACKEND_REJECTED',
      'temperature',
    ],
    ['a model that has thrown', chat('broken'), 'BACKEND_ERROR', 'the weights are gone'],
    ['a model that refuses for its load', chat('full'), 'BACKEND_RATE_LIMITED', 'too many requests'],
    ['a stream that fails in the middle', chat('cut'), 'BACKEND_UNAVAILABLE', ''],
    ['a chat with an encoder', { ...chat('text'), model: 'encoder' }, 'BACKEND_REJECTED', 'Chat Completion API'],
  ])('%s is told', async (_, call, code, message) => {
    await expect(invoke(connector.connect(endpoint), call)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('is discovered, with the models that it has on this route alone', async () => {
    const found = await discover(server.url, { signal: AbortSignal.timeout(20_000) });
    expect(found).toMatchObject({
      server: 'KServe, language models',
      pools: {
        chat: { connector: 'openai', kind: 'chat', model: 'chat', endpoints: [{ url: endpoint }] },
        encoder: { connector: 'openai', model: 'encoder', endpoints: [{ url: endpoint }] },
      },
    });
    expect(found?.pools).not.toHaveProperty('running');
  });
});
