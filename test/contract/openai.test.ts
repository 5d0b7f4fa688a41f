import { describe, expect, it } from 'vitest';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import { connectorContract, invoke, noAudio } from './connector-contract.js';

const endpoint = process.env.TEST_LLM_BASE_URL ?? '';
const connector = openAiConnector({ apiKey: 'none' });
const chat = (prompt: string, maxTokens: number) => ({
  model: 'assistant',
  with: { system: 'Answer in one short sentence.', maxTokens, temperature: 0 },
  input: { prompt },
});

/** Fills all of its 2,000 tokens, which takes ten seconds on an idle machine; most prompts end this model's talk early. */
const STORY = {
  kind: 'chat' as const,
  model: 'assistant',
  with: { maxTokens: 2_000, temperature: 0 },
  input: { prompt: 'Write a very long story about a river.' },
};

connectorContract({
  connector,
  endpoint,
  deadEndpoint: 'http://127.0.0.1:9/v1',
  audio: noAudio,
  calls: {
    chat: {
      call: chat('What is the capital of France?', 32),
      check({ output, usage }) {
        expect(output.text).toContain('Paris');
        expect(usage?.inputTokens).toBeGreaterThan(10);
        expect(usage?.outputTokens).toBeGreaterThan(2);
        expect(usage?.outputTokens).toBeLessThanOrEqual(32);
      },
    },
  },
  longCall: STORY,
  // More tokens than the context holds.
  badCall: { kind: 'chat', ...chat('hello '.repeat(9_000), 1) },
});

describe('openai: what only this server shows', () => {
  const backend = connector.connect(endpoint);

  it('stops at the most tokens asked for', async () => {
    const { usage } = await invoke(backend, { ...STORY, with: { maxTokens: 5, temperature: 0 } });
    expect(usage?.outputTokens).toBe(5);
  });

  it('gives the same answer to the same question at temperature 0', async () => {
    const call = { kind: 'chat' as const, ...chat('Name a colour.', 12) };
    expect((await invoke(backend, call)).output).toEqual((await invoke(backend, call)).output);
  });

  it('refuses to embed at a chat server', async () => {
    const call = { kind: 'embed' as const, model: 'assistant', with: {}, input: { text: 'x' } };
    await expect(invoke(backend, call)).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
  });

  it('stops the server’s work when calls are cancelled', async () => {
    const controller = new AbortController();
    const calls = Array.from({ length: 4 }, () =>
      backend
        .invoke(STORY, { signal: controller.signal, audio: noAudio, checkpoint: () => undefined })
        .catch(() => undefined),
    );
    await expect.poll(processing, { timeout: 10_000 }).toBe(4);
    controller.abort();
    await Promise.all(calls);
    // Seldom: llama.cpp looks for closed connections when it has sent no answer for a second, to this question either.
    await expect.poll(processing, { timeout: 20_000, interval: 2_500 }).toBe(0);
  });
});

/** Requests that llama.cpp works on, by its own count; minutes of work, were they not stopped. */
async function processing(): Promise<number> {
  const metrics = await (await fetch(new URL('/metrics', endpoint))).text();
  return Number(/^llamacpp:requests_processing (\d+)/m.exec(metrics)?.[1]);
}
