import { beforeAll, describe, expect, it } from 'vitest';
import type { Call, CallContext, PoolOptions } from '../../activities/connectors/connector.js';
import type { Artifact } from '../../pipelines/artifact.js';
import type { JsonObject } from '../../pipelines/json.js';
import { REASONING_EFFORTS } from '../../pipelines/stages/chat.js';
import { chat as chatStage } from '../../pipelines/stages/index.js';
import { invoke, SimulatedServer } from '../unit/activities/connectors/openai-server.js';
import { PYTHON_MS, printedBy } from './python.js';

/*
 * Requests as they leave the connector, read by vLLM's own request classes (test/fixtures/vllm/read-requests.py). These allow any
 * member and ignore what they do not know, so a member with a wrong name would have no effect at the server, and no error.
 */

const file = (mime: string, n: number): Artifact => {
  const sha256 = String(n).repeat(64);
  return { uri: `artifact://t/${sha256}`, sha256, mime, bytes: 70 };
};
/** A PNG of one pixel: vLLM decodes it. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);
const MEDIA = {
  image: file('image/png', 1) as unknown as JsonObject,
  audio: file('audio/mpeg', 2) as unknown as JsonObject,
  video: file('video/mp4', 3) as unknown as JsonObject,
};
const CALLER = { tenant: 'acme', priority: 'interactive' } as const;
const OF_CALLER = { priority: -1, cache_salt: expect.stringMatching(/^[\w-]{43}$/) };

interface Asked {
  readonly call: Partial<Call> & Pick<Call, 'kind'>;
  readonly pool?: PoolOptions;
  readonly context?: Partial<CallContext>;
  /** What vLLM's class must have understood. */
  readonly understood?: object;
  /** Of a chat: what the engine must be told. */
  readonly sampling?: object;
  /** The parts that vLLM's parser must find. */
  readonly media?: readonly object[];
  readonly class: string;
}

const chat = (options: Partial<Parameters<typeof chatStage>[0]>, input: JsonObject = {}): Asked['call'] => ({
  kind: 'chat',
  with: chatStage({ model: 'm', maxTokens: 20, ...options }).with,
  input: { prompt: 'Well?', ...input },
});
const CHAT = 'ChatCompletionRequest';
const WEATHER = {
  name: 'weather',
  description: 'Weather of a city',
  schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const CITY = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };

const ASKED: Readonly<Record<string, Asked>> = {
  'a chat with every number that samples': {
    class: CHAT,
    call: chat(
      { system: 'Be brief.', temperature: 0.3, topP: 0.8, topK: 7, minP: 0.1, stop: ['\n'], logprobs: 2 },
      { seed: 5, presencePenalty: 0.5, frequencyPenalty: -0.5 },
    ),
    sampling: {
      ...{ temperature: 0.3, top_p: 0.8, top_k: 7, min_p: 0.1, stop: ['\n'], logprobs: 2, seed: 5, max_tokens: 20 },
      ...{ presence_penalty: 0.5, frequency_penalty: -0.5 },
    },
  },
  'the caller of a chat': {
    class: CHAT,
    call: chat({}),
    pool: { priority: true },
    context: CALLER,
    understood: OF_CALLER,
  },
  'a LoRA adapter, by its name': {
    class: CHAT,
    call: { ...chat({}), model: 'adapted' },
    understood: { model: 'adapted' },
  },
  'members of the stage and of the pool': {
    class: CHAT,
    call: chat({
      extra: { repetition_penalty: 1.2, truncate_prompt_tokens: 100, chat_template_kwargs: { b: 2 }, min_tokens: 1 },
    }),
    pool: { extra: { chat_template_kwargs: { a: 1 }, ignore_eos: false, vllm_xargs: { c: 3 } } },
    understood: {
      truncate_prompt_tokens: 100,
      chat_template_kwargs: { a: 1, b: 2 },
      vllm_xargs: { c: 3 },
      min_tokens: 1,
    },
    sampling: { repetition_penalty: 1.2 },
  },
  ...Object.fromEntries(
    REASONING_EFFORTS.map((reasoningEffort): [string, Asked] => [
      `reasoning: ${reasoningEffort}`,
      {
        class: CHAT,
        call: chat({ reasoningEffort, thinkingTokens: 64 }),
        understood: {
          reasoning_effort: reasoningEffort,
          max_tokens: 84,
          ...(reasoningEffort === 'none' && { chat_template_kwargs: { enable_thinking: false } }),
        },
        sampling: { thinking_token_budget: 64 },
      },
    ]),
  ),
  'a choice': {
    class: CHAT,
    call: chat({ constrain: { choice: ['a', 'b'] } }),
    sampling: { constraint: { choice: ['a', 'b'] } },
  },
  'a regular expression': {
    class: CHAT,
    call: chat({ constrain: { regex: 'a|b' } }),
    sampling: { constraint: { regex: 'a|b' } },
  },
  'a grammar': {
    class: CHAT,
    call: chat({ constrain: { grammar: 'root ::= "a"' } }),
    sampling: { constraint: { grammar: 'root ::= "a"' } },
  },
  'a schema': {
    class: CHAT,
    call: { kind: 'chat', with: { schema: CITY }, input: { prompt: 'Which?' } },
    sampling: { constraint: { json: { ...CITY, additionalProperties: false } } },
  },
  'any JSON': {
    class: CHAT,
    call: chat({}, { output: 'json' }),
    sampling: { constraint: { json_object: true } },
  },
  'tools, one of them by name': {
    class: CHAT,
    call: chat({}, { tools: [WEATHER], toolChoice: { name: 'weather' }, parallelToolCalls: false }),
    understood: {
      tool_choice: { function: { name: 'weather' } },
      parallel_tool_calls: false,
      tools: [{ function: { name: 'weather', strict: true } }],
    },
  },
  'a conversation with calls, names and reasoning': {
    class: CHAT,
    pool: { reasoningInHistory: 'reasoning' },
    call: chat(
      {},
      {
        history: [
          { role: 'user', content: 'Rain?', name: 'Ada' },
          {
            role: 'assistant',
            content: '',
            reasoning: 'I have a tool.',
            toolCalls: [{ id: 'c1', name: 'weather', arguments: { city: 'Paris' } }],
          },
          { role: 'tool', toolCallId: 'c1', content: '{"sky":"rain"}' },
          { role: 'assistant', content: 'Yes.' },
        ],
      },
    ),
    understood: {
      messages: [
        { role: 'user', name: 'Ada' },
        { role: 'assistant', reasoning: 'I have a tool.', tool_calls: [{ id: 'c1', function: { name: 'weather' } }] },
        { role: 'tool', tool_call_id: 'c1' },
        { role: 'assistant', content: 'Yes.' },
        { role: 'user', content: 'Well?' },
      ],
    },
  },
  'the reasoning of a conversation by its older name': {
    class: CHAT,
    pool: { reasoningInHistory: 'reasoning_content' },
    call: chat({}, { history: [{ role: 'assistant', content: 'Yes.', reasoning: 'It rains.' }] }),
  },
  'the rest of an answer that is begun': {
    class: CHAT,
    call: chat({}),
    context: { continued: { text: 'It is', continues: () => undefined } },
    understood: {
      continue_final_message: true,
      add_generation_prompt: false,
      messages: [{ role: 'user' }, { role: 'assistant', content: 'It is' }],
    },
  },
  'media in prompt and conversation': {
    class: CHAT,
    call: chat(
      {},
      {
        images: [MEDIA.image],
        parts: [
          { type: 'audio', audio: MEDIA.audio },
          { type: 'video', video: MEDIA.video },
        ],
        history: [
          { role: 'user', content: 'And this?', parts: [{ type: 'image', image: MEDIA.image, detail: 'low' }] },
        ],
      },
    ),
    media: [
      { type: 'text' },
      { type: 'image_url', size: [1, 1] },
      { type: 'text' },
      { type: 'image_url', size: [1, 1] },
      { type: 'input_audio' },
      { type: 'video_url' },
    ],
  },
  'a classification': {
    class: CHAT,
    call: { kind: 'classify', with: { labels: ['a', 'b'] }, input: { text: 'x' } },
    pool: { priority: true },
    context: CALLER,
    understood: OF_CALLER,
    sampling: { temperature: 0, constraint: { json: { properties: { label: { enum: ['a', 'b'] } } } } },
  },
  'embeddings of texts': {
    class: 'EmbeddingCompletionRequest',
    call: { kind: 'embed', with: { as: 'passage' }, input: { texts: ['x', 'y'] } },
    pool: { priority: true, as: { passage: { prefix: 'p: ', extra: { dimensions: 64, truncate_prompt_tokens: -1 } } } },
    context: CALLER,
    understood: {
      ...OF_CALLER,
      input: ['p: x', 'p: y'],
      dimensions: 64,
      truncate_prompt_tokens: -1,
      encoding_format: 'float',
    },
  },
  'embeddings of tokens': {
    class: 'EmbeddingCompletionRequest',
    call: { kind: 'embed', with: {}, input: { tokens: [[1, 2], [3]] } },
    understood: { input: [[1, 2], [3]] },
  },
  'an embedding of an image, with what belongs around it': {
    class: 'EmbeddingChatRequest',
    call: { kind: 'embed', with: {}, input: { image: MEDIA.image } },
    pool: {
      embedBy: 'messages',
      priority: true,
      conversation: { system: 'Represent it.', mediaText: 'What?', open: true },
    },
    context: CALLER,
    understood: { ...OF_CALLER, continue_final_message: true, add_special_tokens: true },
    media: [{ type: 'text' }, { type: 'image_url', size: [1, 1] }, { type: 'text' }, { type: 'text' }],
  },
  'an embedding of a sound': {
    class: 'EmbeddingChatRequest',
    call: { kind: 'embed', with: {}, input: { audio: MEDIA.audio } },
    pool: { embedBy: 'messages' },
    media: [{ type: 'input_audio' }],
  },
  'an embedding of a video': {
    class: 'EmbeddingChatRequest',
    call: { kind: 'embed', with: {}, input: { video: MEDIA.video } },
    pool: { embedBy: 'messages' },
    media: [{ type: 'video_url' }],
  },
  'passages in order of a query': {
    class: 'RerankRequest',
    call: { kind: 'rerank', with: { top: 1 }, input: { query: 'q', passages: [{ text: 'a' }, { text: 'b' }] } },
    pool: { priority: true, extra: { truncate_prompt_tokens: 10 } },
    context: CALLER,
    understood: { ...OF_CALLER, query: 'q', documents: ['a', 'b'], top_n: 1, truncate_prompt_tokens: 10 },
  },
  'scores of a query': {
    class: 'ScoreTextRequest',
    call: { kind: 'rerank', with: {}, input: { query: 'q', passages: [{ text: 'a' }] } },
    pool: { rerankBy: 'score', priority: true },
    context: CALLER,
    understood: { ...OF_CALLER, text_1: 'q', text_2: ['a'] },
  },
  'scores of pairs': {
    class: 'ScoreTextRequest',
    call: { kind: 'rerank', with: {}, input: { pairs: [{ query: 'q', text: 'a' }] } },
    pool: { rerankBy: 'score' },
    understood: { text_1: ['q'], text_2: ['a'] },
  },
  'a transcription': {
    class: 'TranscriptionRequest',
    call: { kind: 'transcribe', with: { language: 'en' }, input: { audio: MEDIA.audio } },
    pool: { extra: { temperature: 0.2, hotwords: 'mill' } },
    understood: { model: 'm', language: 'en', response_format: 'json', temperature: 0.2, hotwords: 'mill' },
  },
  'a transcription in segments': {
    class: 'TranscriptionRequest',
    call: { kind: 'transcribe', with: { segments: 'segments' }, input: { audio: MEDIA.audio } },
    understood: { response_format: 'verbose_json', 'timestamp_granularities[]': ['segment'] },
  },
  'a transcription by speaker, which vLLM does not stream': {
    class: 'TranscriptionRequest',
    call: { kind: 'transcribe', with: { segments: 'segments' }, input: { audio: MEDIA.audio } },
    pool: { segmentsBy: 'diarized_json', streamTranscripts: true },
    understood: { response_format: 'diarized_json' },
  },
  'a transcription that is streamed': {
    class: 'TranscriptionRequest',
    call: { kind: 'transcribe', with: {}, input: { audio: MEDIA.audio } },
    pool: { streamTranscripts: true },
    understood: { stream: true, response_format: 'json' },
  },
};

/** What must be found: that nothing is, would prove nothing. */
const WRONG: Readonly<
  Record<string, Omit<Asked, 'class'> & { readonly ignored?: string[]; readonly refused?: RegExp }>
> = {
  'a member that vLLM does not have': { call: chat({ extra: { top_q: 1 } }), ignored: ['top_q'] },
  'a member of a member': {
    call: chat({
      extra: { response_format: { type: 'json_schema', json_schema: { name: 'r', schema: {}, strictness: 1 } } },
    }),
    ignored: ['response_format.json_schema.strictness'],
  },
  'a salt that is empty': { call: chat({ extra: { cache_salt: '' } }), refused: /cache_salt/ },
  'a number that is none': { call: chat({ extra: { temperature: 'hot' } }), refused: /temperature/ },
  'a member of a form': {
    call: { kind: 'transcribe', with: {}, input: { audio: MEDIA.audio } },
    pool: { extra: { chunking_strategy: 'auto' } },
    ignored: ['chunking_strategy'],
  },
  'a format of transcripts that there is not': {
    call: { kind: 'transcribe', with: {}, input: { audio: MEDIA.audio } },
    pool: { extra: { response_format: 'xml' } },
    refused: /response_format/,
  },
};

interface Read {
  readonly class?: string;
  readonly ignored?: readonly string[];
  readonly refused?: string;
  readonly understood?: object;
  readonly sampling?: object;
  readonly media?: readonly object[];
}
const read = new Map<string, Read>();

/** The request of a call, as it came over the socket. */
async function requestOf({ call, pool, context }: Pick<Asked, 'call' | 'pool' | 'context'>) {
  const server = await SimulatedServer.start();
  server.models = { status: 200, body: { data: [{ id: 'm', owned_by: 'vllm' }] } };
  try {
    await invoke(server.connect(pool), call, {
      bytes: async () => PIXEL,
      audio: {
        async *read() {
          yield new Float32Array(1_600);
        },
        write: () => Promise.reject(new Error('writes nothing')),
      },
      ...context,
    }).catch(() => undefined); // it answers nothing
    const { url = '', headers, bytes = Buffer.alloc(0) } = server.received.at(-1) ?? {};
    return { path: url, type: headers?.['content-type'] ?? '', body: bytes.toString('base64') };
  } finally {
    await server.stop();
  }
}

beforeAll(async () => {
  const names = [...Object.keys(ASKED), ...Object.keys(WRONG)];
  const requests = await Promise.all([...Object.values(ASKED), ...Object.values(WRONG)].map(requestOf));
  const told = printedBy<Read[]>('read-requests.py', [], requests);
  for (const [i, name] of names.entries()) read.set(name, told[i] ?? {});
}, PYTHON_MS);

describe('vLLM’s own classes know every member of', () => {
  it.each(Object.entries(ASKED))('%s', (name, wanted) => {
    const { refused, ignored, understood, sampling, media, class: its } = read.get(name) ?? {};
    expect(refused).toBeUndefined();
    expect(ignored).toEqual([]);
    expect(its).toBe(wanted.class);
    if (wanted.understood) expect(understood).toMatchObject(wanted.understood);
    if (wanted.sampling) expect(sampling).toMatchObject(wanted.sampling);
    if (wanted.media) expect(media).toEqual(wanted.media);
  });
});

describe('what vLLM would ignore or refuse is found', () => {
  it.each(Object.entries(WRONG))('%s', (name, { ignored, refused }) => {
    const told = read.get(name) ?? {};
    if (ignored) expect(told.ignored).toEqual(ignored);
    if (refused) expect(told.refused).toMatch(refused);
  });
});
