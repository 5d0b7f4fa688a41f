import { beforeAll, describe, expect, it } from 'vitest';
import type { Call, CallContext, PoolOptions } from '../../activities/connectors/connector.js';
import { chat as chatStage } from '../../pipelines/stages/index.js';
import { failure, invoke, SimulatedServer } from '../unit/activities/connectors/openai-server.js';
import { fromSetup } from './from-setup.js';
import { PYTHON_MS, printedBy } from './python.js';

/*
 * Answers as vLLM's own classes and its parser of reasoning write them (test/fixtures/vllm/write-answers.py), read by the connector:
 * what the served model cannot be brought to say.
 */

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}
let made: { readonly answers: Readonly<Record<string, Answer>>; readonly thought: string; readonly said: string };

beforeAll(() => {
  made = printedBy('write-answers.py', [fromSetup('MODEL')]);
}, PYTHON_MS);

const CHAT = { kind: 'chat' as const, with: chatStage({ model: 'm', maxTokens: 20 }).with };

/** Two seconds of nothing. */
const AUDIO: Partial<CallContext> = {
  audio: {
    async *read() {
      yield new Float32Array(32_000);
    },
    write: () => Promise.reject(new Error('writes nothing')),
  },
};

/** What the connector makes of an answer. */
async function reading<T>(
  name: string,
  use: (
    call: (call: Parameters<typeof invoke>[1], context?: Partial<CallContext>) => ReturnType<typeof invoke>,
  ) => Promise<T>,
  pool: PoolOptions = {},
): Promise<T> {
  const answer = made.answers[name];
  if (!answer) throw new Error(`no answer ${name}`);
  const server = await SimulatedServer.start();
  server.models = { status: 200, body: { data: [{ id: 'm', owned_by: 'vllm' }] } };
  server.answer = (response) =>
    void response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
  try {
    const backend = server.connect(pool);
    return await use((call, context) => invoke(backend, call, context));
  } finally {
    await server.stop();
  }
}

describe('a chat whose reasoning vLLM’s parser separates', () => {
  it('has it beside the text, with the usage of a prompt that was cached', async () => {
    const thoughts: string[] = [];
    const reply = await reading('reasoned', (call) => call(CHAT, { think: (text) => void thoughts.push(text) }));
    expect(reply.output).toEqual({ text: made.said, finish: 'stop', reasoning: made.thought });
    expect(reply.chunks.join('')).toBe(made.said);
    expect(thoughts.join('')).toBe(made.thought);
    expect(thoughts.length).toBeGreaterThan(3);
    expect(reply.usage).toEqual({ inputTokens: 40, outputTokens: 12 });
  });

  it('has it in an answer that is not streamed too', async () => {
    const { output } = await reading('reasoned, whole', (call) => call(CHAT));
    expect(output).toEqual({ text: made.said, finish: 'stop', reasoning: made.thought });
  });

  it('is LENGTH where all tokens went into it', async () => {
    const error = await reading('only reasoned', (call) => failure(call(CHAT)));
    expect(error).toMatchObject({ code: 'LENGTH', message: expect.stringContaining('thinkingTokens') });
  });
});

describe('a chat', () => {
  it('that vLLM aborts is BACKEND_UNAVAILABLE', async () => {
    const error = await reading('aborted', (call) => failure(call(CHAT)));
    expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining('abort') });
  });

  it('has the probabilities of its tokens', async () => {
    const asked = { ...CHAT, with: chatStage({ model: 'm', logprobs: 2 }).with };
    const { output } = await reading('probable', (call) => call(asked));
    const top = [
      { token: '4', logprob: -0.25 },
      { token: 'four', logprob: -1.5 },
    ];
    expect(output.logprobs).toEqual([{ token: '4', logprob: -0.25, top }]);
  });

  it('has calls that arrive in pieces', async () => {
    const tools = [
      { name: 'weather', description: '', schema: { type: 'object', properties: { city: { type: 'string' } } } },
    ];
    const { output } = await reading('calling', (call) => call({ ...CHAT, input: { prompt: 'Rain?', tools } }));
    expect(output).toMatchObject({
      finish: 'tools',
      toolCalls: [{ id: 'chatcmpl-tool-1', name: 'weather', arguments: { city: 'Paris' } }],
    });
  });
});

describe('of other kinds', () => {
  it('embeddings come in the order of their texts, as unit vectors', async () => {
    const { output, usage } = await reading('embedded', (call) =>
      call({ kind: 'embed', input: { texts: ['a', 'b'] } }),
    );
    expect(output.embeddings).toEqual([
      [0.6, 0.8],
      [0, 1],
    ]);
    expect(usage).toEqual({ inputTokens: 7 });
  });

  const query: Partial<Call> = { input: { query: 'q', passages: [{ text: 'Bread' }, { text: 'Paris' }] } };
  const best = [
    { text: 'Paris', score: 0.9 },
    { text: 'Bread', score: 0.1 },
  ];
  it.each([
    ['ranked', {}],
    ['scored', { rerankBy: 'score' }],
  ] as const)('passages are %s', async (name, pool) => {
    const { output, usage } = await reading(name, (call) => call({ kind: 'rerank', ...query }), pool);
    expect(output.passages).toEqual(best);
    expect(usage).toEqual({ inputTokens: 9 });
  });

  it.each([
    ['heard', {}, {}, undefined],
    ['heard piece by piece', {}, { streamTranscripts: true }, undefined],
    ['heard in segments', { segments: 'segments' }, {}, [{ start: 0, end: 1.5, text: 'The mill turns.' }]],
  ] as const)('speech is %s', async (name, options, pool, segments) => {
    const input = { audio: {} as never };
    const { output } = await reading(name, (call) => call({ kind: 'transcribe', with: options, input }, AUDIO), pool);
    expect(output).toEqual({ text: 'The mill turns.', ...(segments && { segments }) });
  });
});

it('speech is heard by speaker, in one answer also where texts are streamed', async () => {
  const asked = { kind: 'transcribe', with: { segments: 'segments' }, input: { audio: {} as never } };
  const pool = { segmentsBy: 'diarized_json', streamTranscripts: true };
  const { output } = await reading('heard by speaker', (call) => call(asked, AUDIO), pool);
  expect(output.segments).toEqual([
    { start: 0, end: 1, text: 'The mill turns.', speaker: 'A' },
    { start: 1, end: 1.5, text: 'Does it?', speaker: 'B' },
  ]);
});

describe('an error', () => {
  it.each([
    ['wrong', 'BACKEND_REJECTED', /top_p must be/],
    ['unknown model', 'MODEL_NOT_FOUND', /does not exist/],
    ['dead', 'BACKEND_ERROR', /EngineCore/],
  ])('%s is %s', async (name, code, message) => {
    const error = await reading(name, (call) => failure(call(CHAT)));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
