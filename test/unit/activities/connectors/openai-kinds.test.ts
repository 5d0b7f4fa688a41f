import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { STAGE_KINDS } from '../../../../pipelines/stages/index.js';
import { chunk, failure, fixture, invoke, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
let backend: Backend;

beforeEach(async () => {
  server = await SimulatedServer.start();
  backend = server.connect();
});
afterEach(() => server.stop());

const probe = (kind: 'embed' | 'rerank' | 'classify') => backend.probe('m', kind, AbortSignal.timeout(110_000));

describe('embed', () => {
  it('returns a vector of length 1', async () => {
    server.json(200, { data: [{ embedding: [3, 4], index: 0 }], usage: { prompt_tokens: 1, total_tokens: 1 } });
    const { output, usage } = await invoke(backend, { kind: 'embed' });
    expect({ output, usage }).toEqual({ output: { embedding: [0.6, 0.8] }, usage: { inputTokens: 1 } });
    expect(server.received[0]).toMatchObject({ url: '/v1/embeddings' });
    expect(server.received[0]?.body).toEqual({ model: 'm', input: 'France', encoding_format: 'float' });
    await probe('embed');
  });

  it.each([{}, { data: [] }, { data: [{ embedding: 'AAAA' }] }, { data: [{ embedding: [0, 0] }] }])(
    'a simulated answer %j is INVALID_OUTPUT',
    async (body) => {
      server.json(200, body);
      expect((await failure(invoke(backend, { kind: 'embed' }))).code).toBe('INVALID_OUTPUT');
      expect((await failure(probe('embed'))).code).toBe('INVALID_OUTPUT');
    },
  );
});

describe('rerank', () => {
  const BRAZIL = { id: 'br', text: 'Brasilia is the capital of Brazil.', metadata: { page: 3 }, score: 0.5 };
  const FRANCE = { id: 'fr', text: 'Paris is the capital of France.' };
  const rerank = (options: { top?: number } = {}, passages: (typeof BRAZIL | typeof FRANCE)[] = [BRAZIL, FRANCE]) =>
    invoke(backend, { kind: 'rerank', with: options, input: { query: 'Capital of France?', passages } });

  it.each([
    ['vllm-rerank.handwritten', 0.99, 0.0005, 56],
    ['llama-cpp-rerank.handwritten', 3.2, -8.1, 74],
    ['sglang-rerank.handwritten', 0.97, 0.02, undefined],
  ])('of %s gives the passages, best first', async (name, best, worst, tokens) => {
    server.replay(fixture(name));
    const { output, usage } = await rerank();
    expect(output).toEqual({
      passages: [
        { ...FRANCE, score: best },
        { ...BRAZIL, score: worst },
      ],
    });
    expect(STAGE_KINDS.rerank.output.safeParse(output).error).toBeUndefined();
    expect(usage).toEqual(tokens === undefined ? {} : { inputTokens: tokens });
    expect(server.received[0]).toMatchObject({
      url: '/v1/rerank',
      body: { model: 'm', query: 'Capital of France?', documents: [BRAZIL.text, FRANCE.text], top_n: 2 },
    });
  });

  it('gives the best only, be it that the server does not count', async () => {
    server.replay(fixture('jina-rerank.handwritten'));
    expect((await rerank({ top: 1 })).output.passages).toEqual([{ ...FRANCE, score: 0.87 }]);
    expect(server.received[0]?.body.top_n).toBe(1);
    server.replay(fixture('vllm-rerank.handwritten'));
    expect((await rerank({ top: 1 })).output.passages).toEqual([{ ...FRANCE, score: 0.99 }]);
  });

  it('of no passages asks nobody', async () => {
    expect((await rerank({}, [])).output).toEqual({ passages: [] });
    expect(server.received).toHaveLength(0);
  });

  it.each([
    ['no results', {}],
    ['too few', { results: [{ index: 0, relevance_score: 1 }] }],
    ['one twice', { results: [0, 0].map((index) => ({ index, relevance_score: 1 })) }],
    ['one that was not asked for', { results: [0, 2].map((index) => ({ index, relevance_score: 1 })) }],
    ['no score', { results: [0, 1].map((index) => ({ index })) }],
    ['results that are none', { results: [null, 'x'] }],
  ])('a simulated answer with %s is INVALID_OUTPUT', async (_, body) => {
    server.json(200, body);
    expect((await failure(rerank())).code).toBe('INVALID_OUTPUT');
  });

  it('has a canary', async () => {
    server.json(200, { results: [{ index: 0, relevance_score: 0 }] });
    await probe('rerank');
    server.json(501, {});
    expect((await failure(probe('rerank'))).code).toBe('BACKEND_REJECTED');
  });
});

describe('classify', () => {
  const classify = () =>
    invoke(backend, { kind: 'classify', with: { labels: ['order', 'question'] }, input: { text: 'Where is it?' } });

  it('binds the reply to the labels, and scores the one that comes with 1', async () => {
    server.events([chunk({ content: '{"label":"ques' }), chunk({ content: 'tion"}' }, 'stop')]);
    const { output, chunks } = await classify();
    expect(output).toEqual({ label: 'question', score: 1, scores: { order: 0, question: 1 } });
    expect(chunks).toEqual(['', '']);
    const { messages, response_format, temperature } = server.received[0]?.body ?? {};
    expect(messages[0].content).toContain('order, question');
    expect(messages[1]).toEqual({ role: 'user', content: 'Where is it?' });
    expect(response_format.json_schema.schema.properties.label.enum).toEqual(['order', 'question']);
    expect(temperature).toBe(0);
  });

  it.each(['{"label":"praise"}', '"question"', 'question', ''])(
    'a reply %j that a server does not bind is INVALID_OUTPUT',
    async (content) => {
      server.events([chunk({ content }), chunk({}, 'stop')]);
      expect((await failure(classify())).code).toBe('INVALID_OUTPUT');
    },
  );

  it('has a canary', async () => {
    server.events([chunk({ content: 'o' }, 'length')]);
    await probe('classify');
    expect(server.received).toHaveLength(1);
  });
});

it('a stage kind that the connector does not serve is BACKEND_REJECTED, unasked', async () => {
  expect((await failure(invoke(backend, { kind: 'infer' }))).code).toBe('BACKEND_REJECTED');
  expect(server.received).toHaveLength(0);
});
