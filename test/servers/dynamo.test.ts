import { afterAll, describe, expect, it } from 'vitest';
import { discover } from '../../activities/connectors/discover/index.js';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import { optionsOf } from '../../activities/connectors/pool-options.js';
import { connectorContract, invoke } from '../contract/connector-contract.js';
import { freePort } from '../support/free-port.js';
import { dynamo } from './commands.js';
import { start } from './install.js';

/** Mocked engines say as many random tokens as are asked for. */
const chat = (prompt: string, maxTokens: number) => ({
  kind: 'chat',
  model: 'assistant',
  with: { maxTokens, temperature: 0 },
  input: { prompt },
});

describe('NVIDIA Dynamo’s frontend, before mocked engines', async () => {
  const server = await start('dynamo', dynamo);
  afterAll(() => server.stop());
  const endpoint = `${server.url}/v1`;
  const openai = openAiConnector();
  const options = optionsOf(openai, { kind: 'chat', options: { router: 'external' } }, 'options');
  const connector = { ...openai, connect: (at: string, key?: string) => openai.connect(at, key, options) };
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) =>
      Number(value),
    );
    return values.reduce((sum, value) => sum + value, 0);
  };

  connectorContract({
    connector,
    endpoint,
    deadEndpoint: `http://127.0.0.1:${await freePort()}/v1`,
    working: () => metric('dynamo_frontend_inflight_requests'),
    calls: {
      chat: {
        call: chat('What is the capital of France?', 24),
        check({ output, usage }) {
          expect(output.finish).toBe('length');
          expect(usage?.outputTokens).toBe(24);
          expect(usage?.inputTokens).toBeGreaterThan(10);
        },
      },
    },
    longCall: chat('Tell me a story.', 1_500),
    badCall: { ...chat('Hello.', 1), with: { maxTokens: 1, extra: { temperature: 'hot' } } },
  });

  it('is discovered', async () => {
    const found = await discover(server.url, { signal: AbortSignal.timeout(20_000) });
    expect(found).toMatchObject({ server: 'NVIDIA Dynamo or NIM', pools: { assistant: { connector: 'openai' } } });
  });

  it('counts what it has of earlier prompts', async () => {
    const backend = connector.connect(endpoint);
    const long = 'The capital of France is Paris. '.repeat(20);
    for (let i = 0; i < 4; i++) await invoke(backend, chat(`${long}${i}`, 4));
    expect(await metric('dynamo_frontend_requests_total')).toBeGreaterThanOrEqual(4);
    expect(await metric('dynamo_frontend_cached_tokens_sum')).toBeGreaterThan(0);
  });
});
