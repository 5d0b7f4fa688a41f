import { afterAll, describe, expect, it } from 'vitest';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import { optionsOf } from '../../activities/connectors/pool-options.js';
import { connectorContract, invoke, noAudio } from '../contract/connector-contract.js';
import { startStack } from '../support/embedded-stack.js';
import { freePort } from '../support/free-port.js';
import { blocksOf } from '../support/pages.js';
import { address } from '../support/runs.js';
import { sglangRouter } from './commands.js';
import { start } from './install.js';
import { recordingProxy } from './recording-proxy.js';

const chat = (prompt: string, maxTokens: number) => ({
  kind: 'chat',
  model: 'assistant',
  with: { system: 'Answer in one short sentence.', maxTokens, temperature: 0 },
  input: { prompt },
});

describe('SGLang’s router, before two addresses of llama.cpp', async () => {
  const stopStack = await startStack(['llm']);
  const llm = address('LLM_BASE_URL');
  const workers = [await recordingProxy(new URL(llm).origin), await recordingProxy(new URL(llm).origin)];
  const router = await start('sglang-router', await sglangRouter(...workers.map(({ url }) => url)));
  const alone = await start('sglang-router', await sglangRouter());
  afterAll(async () => {
    await alone.stop();
    await router.stop();
    for (const worker of workers) await worker.close();
    await stopStack();
  });
  const endpoint = `${router.url}/v1`;
  const openai = openAiConnector();
  const [page = {}] = blocksOf('docs/reference/servers/openai-compatible.md', 'json').map(({ text }) =>
    JSON.parse(text),
  );
  const options = optionsOf(openai, page.sglang, 'options');
  const connector = { ...openai, connect: (at: string, key?: string) => openai.connect(at, key, options) };

  connectorContract({
    connector,
    endpoint,
    deadEndpoint: `http://127.0.0.1:${await freePort()}/v1`,
    async working() {
      const metrics = await (await fetch(new URL('/metrics', llm))).text();
      return Number(/^llamacpp:requests_processing (\d+)/m.exec(metrics)?.[1]);
    },
    calls: {
      chat: {
        call: chat('What is the capital of France?', 32),
        check({ output, usage }) {
          expect(output.text).toContain('Paris');
          expect(output.finish).toBe('stop');
          expect(usage?.outputTokens).toBeGreaterThan(2);
        },
      },
    },
    // It passes on any name, and llama.cpp answers to any.
    unknownModel: null,
    longCall: chat('Write a very long story about a river.', 2_000),
    badCall: { ...chat('Hello.', 1), with: { maxTokens: 1, extra: { temperature: 'hot' } } },
    overflow: chat('hello '.repeat(9_000), 1),
  });

  const completions = () => workers.map(({ asked }) => asked.filter(({ path }) => path.endsWith('/chat/completions')));
  const call = (affinity: string, more: object = {}) =>
    connector.connect(endpoint).invoke(chat('Name a colour.', 1), {
      signal: AbortSignal.timeout(60_000),
      audio: noAudio,
      checkpoint: () => undefined,
      emit: () => undefined,
      affinity,
      ...more,
    });

  it('passes on the trace', async () => {
    const before = completions().map(({ length }) => length);
    await call('traced', { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` });
    const headers = completions().flatMap((asked, i) => asked.slice(before[i]).map((each) => each.headers));
    expect(headers).toHaveLength(1);
    expect(String(headers[0]?.traceparent)).toContain('a'.repeat(32));
  });

  it('sends the calls of one conversation to one worker, by the header that the page names', async () => {
    const used = new Set<number>();
    for (let session = 0; session < 8; session++) {
      const before = completions().map(({ length }) => length);
      for (let i = 0; i < 3; i++) await call(`session-${session}`);
      const calls = completions().map(({ length }, i) => length - (before[i] ?? 0));
      expect(calls.toSorted()).toEqual([0, 3]);
      used.add(calls.indexOf(3));
    }
    expect(used.size).toBe(2);
  });

  it('a router without a worker is BACKEND_UNAVAILABLE', async () => {
    const backend = connector.connect(`${alone.url}/v1`);
    await expect(invoke(backend, chat('Hello.', 1))).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });
});
