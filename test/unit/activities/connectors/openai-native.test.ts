import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Call, CallContext, PoolOptions, Reply } from '../../../../activities/connectors/connector.js';
import { traceparentOf } from '../../../../activities/stage/trace.js';
import { chunk, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
beforeEach(async () => {
  server = await SimulatedServer.start();
});
afterEach(() => server.stop());

const SECOND = 16_000;
function invoke(call: Partial<Call>, options?: PoolOptions, more: Partial<CallContext> = {}): Promise<Reply> {
  return server.connect(options).invoke(
    { kind: 'embed', model: 'm', with: {}, input: {}, ...call },
    {
      signal: AbortSignal.timeout(110_000),
      audio: {
        async *read() {
          yield new Float32Array(SECOND);
        },
        write: () => Promise.reject(new Error('writes nothing')),
      },
      checkpoint: () => undefined,
      emit: () => undefined,
      ...more,
    },
  );
}
const bodies = () => server.received.filter(({ url }) => url !== '/v1/models').map(({ body }) => body);

describe('embeddings of a list', () => {
  /** Answers out of order, as a server may. */
  const answerAll = () => {
    server.answer = (response, { body }) => {
      // Tokens of a single text are one input.
      const texts = (typeof body.input[0] === 'number' ? [body.input] : [body.input].flat()) as string[];
      const data = texts.map((text, index) => ({ index, embedding: [text.length, 0] })).reverse();
      const usage = { prompt_tokens: texts.length, total_tokens: texts.length };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data, usage }));
    };
  };

  it('take as few requests as the pool’s batch size allows, and come in the order of the texts', async () => {
    answerAll();
    const { output, usage } = await invoke({ input: { texts: ['a', 'bb', 'ccc', 'd', 'ee'] } }, { batch: 2 });
    expect(output.embeddings).toHaveLength(5);
    expect(bodies().map(({ input }) => input)).toEqual([['a', 'bb'], ['ccc', 'd'], 'ee']);
    expect(usage).toEqual({ inputTokens: 5 });
  });

  it('of no text are none, without a call', async () => {
    expect((await invoke({ input: { texts: [] } })).output).toEqual({ embeddings: [] });
    expect(bodies()).toEqual([]);
  });

  it.each([
    ['too few', [{ index: 0, embedding: [1] }]],
    [
      'one twice',
      [
        { index: 0, embedding: [1] },
        { index: 0, embedding: [2] },
      ],
    ],
    [
      'one too many',
      [
        { index: 0, embedding: [1] },
        { index: 2, embedding: [2] },
      ],
    ],
    [
      'no numbers',
      [
        { index: 0, embedding: [1] },
        { index: 1, embedding: ['x'] },
      ],
    ],
    ['a hole', [{ index: 0, embedding: [1] }, null]],
  ])('with %s are INVALID_OUTPUT', async (_, data) => {
    server.json(200, { data });
    await expect(invoke({ input: { texts: ['a', 'b'] } })).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('are of tokens, as they are', async () => {
    answerAll();
    const { output } = await invoke({ input: { tokens: [[1, 2], [3], [4]] } }, { batch: 2 });
    expect(bodies().map(({ input }) => input)).toEqual([[[1, 2], [3]], [4]]);
    expect(output.embeddings).toHaveLength(3);
  });

  it('are of queries or passages as the pool says', async () => {
    answerAll();
    const as = { query: { prefix: 'query: ' }, passage: { extra: { input_type: 'document' } } };
    await invoke({ input: { text: 'x' }, with: { as: 'query' } }, { as });
    await invoke({ input: { text: 'x' }, with: { as: 'passage' } }, { as });
    await invoke({ input: { text: 'x' }, with: { as: 'query' } });
    expect(bodies()).toMatchObject([{ input: 'query: x' }, { input: 'x', input_type: 'document' }, { input: 'x' }]);
  });
});

describe('reranking by vLLM’s score route (by its documentation)', () => {
  const passages = [
    { id: '1', text: 'a' },
    { id: '2', text: 'b' },
  ];

  it('orders by the scores', async () => {
    const scores = [
      { index: 0, object: 'score', score: 0.1 },
      { index: 1, object: 'score', score: 0.9 },
    ];
    server.json(200, { data: scores, usage: { prompt_tokens: 4 } });
    const call = { kind: 'rerank', input: { query: 'q', passages } };
    const { output } = await invoke(call, { rerankBy: 'score' });
    expect(output.passages).toMatchObject([{ id: '2', score: 0.9 }, { id: '1' }]);
    expect(server.received.at(-1)?.url).toBe('/v1/score');
    expect(bodies()).toEqual([{ model: 'm', text_1: 'q', text_2: ['a', 'b'] }]);
  });
});

describe('a transcript with times', () => {
  const answer = {
    text: 'Hello there. Bye.',
    segments: [
      { id: 0, start: 0, end: 1.2, text: ' Hello there.' },
      { id: 1, start: 1.2, end: 2, text: ' Bye.' },
    ],
    words: [
      { word: 'Hello', start: 0, end: 0.5 },
      { word: 'there', start: 0.6, end: 1.1 },
      { word: 'Bye', start: 1.3, end: 1.8 },
    ],
  };
  const transcribe = (options: object) =>
    invoke({ kind: 'transcribe', with: { ...options }, input: { audio: {} as never } });

  it('has segments with their words', async () => {
    server.json(200, answer);
    const { output } = await transcribe({ segments: 'words', language: 'de' });
    expect(output).toEqual({
      text: 'Hello there. Bye.',
      segments: [
        {
          ...{ start: 0, end: 1.2, text: 'Hello there.' },
          words: [
            { start: 0, end: 0.5, text: 'Hello' },
            { start: 0.6, end: 1.1, text: 'there' },
          ],
        },
        { start: 1.2, end: 2, text: 'Bye.', words: [{ start: 1.3, end: 1.8, text: 'Bye' }] },
      ],
    });
    const sent = server.received.at(-1)?.bytes.toString('latin1') ?? '';
    for (const part of ['verbose_json', 'name="language"\r\n\r\nde', 'segment', 'word']) expect(sent).toContain(part);
  });

  it('counts times from the start of the audio in every part', async () => {
    server.json(200, answer);
    const resumeFrom = { sample: 600 * SECOND, text: 'Before.', segments: [{ start: 1, end: 2, text: 'Before.' }] };
    const { output } = await invoke(
      { kind: 'transcribe', with: { segments: 'segments' }, input: { audio: {} as never } },
      undefined,
      {
        resumeFrom,
        audio: {
          async *read() {
            yield new Float32Array(601 * SECOND);
          },
          write: () => Promise.reject(new Error('writes nothing')),
        },
      },
    );
    expect(output.segments).toMatchObject([{ start: 1 }, { start: 600, end: 601.2 }, { start: 601.2, end: 602 }]);
  });

  it('from a server that reports none is INVALID_OUTPUT', async () => {
    server.json(200, { text: 'Hello.' });
    await expect(transcribe({ segments: 'segments' })).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });
});

describe('headers of a call', () => {
  const chat = { kind: 'chat', with: { maxTokens: 1 }, input: { prompt: 'Well?' } };
  const context = { tenant: 'acme', priority: 'batch', affinity: 'abc', endsAt: performance.now() + 60_000 } as const;
  const headers = () => server.received.findLast(({ url }) => url === '/v1/chat/completions')?.headers ?? {};
  beforeEach(() => server.events([chunk({ content: 'Yes.' }, 'stop')]));

  it('tell a router what it chooses a server by', async () => {
    await invoke(chat, { router: 'external' }, context);
    expect(headers()).toMatchObject({
      'x-request-priority': 'batch',
      'x-session-id': 'abc',
      'x-tenant-id': 'acme',
    });
    expect(Number(headers()['x-request-timeout-ms'])).toBeGreaterThan(30_000);
    expect(headers().authorization).toMatch(/^Bearer /);
  });

  it('have the names that the pool says', async () => {
    await invoke(chat, { router: { headers: { tenant: 'x-gateway-inference-fairness-id' } } }, context);
    expect(headers()).toMatchObject({ 'x-gateway-inference-fairness-id': 'acme', 'x-session-id': 'abc' });
    expect(headers()).not.toHaveProperty('x-tenant-id');
  });

  it('tell other servers nothing but the trace', async () => {
    const traceparent = traceparentOf('run-1', 'call-1');
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(traceparentOf('run-1', 'call-2').slice(0, 35)).toBe(traceparent.slice(0, 35));
    await invoke(chat, undefined, { ...context, traceparent });
    expect(headers()).toMatchObject({ traceparent });
    expect(Object.keys(headers()).filter((name) => /tenant|session|priority$/.test(name))).toEqual([]);
  });
});
