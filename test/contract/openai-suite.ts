import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { CallContext } from '../../activities/connectors/connector.js';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import { withinContext } from '../../activities/stage/overflow.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { chat as chatStage } from '../../pipelines/index.js';
import { freePort } from '../support/free-port.js';
import { LATE_ONCE } from '../support/soonest.js';
import { connectorContract, invoke, noAudio } from './connector-contract.js';

const DEAD = `http://127.0.0.1:${await freePort()}/v1`;

/** A real server of OpenAI's API, with SmolLM2-135M-Instruct as `assistant` in a context of 4,096 tokens. */
export interface OpenAiServer {
  /** As the tests name it. */
  readonly name: string;
  readonly endpoint: string;
  /** `none` where it asks for none. */
  readonly apiKey: string;
  /** Whether a tool that has to be called is called, with arguments that fit; else the model may answer as it likes. */
  readonly bindsToolChoice: boolean;
  /** Requests that it decodes at once; more of them wait. */
  readonly parallel: number;
  /** Requests that it works on, by its own count; minutes of work, were they not stopped. */
  readonly working: () => Promise<number>;
}

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

/** Options of a `chat` stage as a plan holds them. */
const planned = (options: Parameters<typeof chatStage>[0]) => chatStage(options).with;

const CITY = z.object({
  city: z.string(),
  inhabitants: z.int(),
  continent: z.enum(['Africa', 'America', 'Asia', 'Europe']),
});
const BOUND = {
  kind: 'chat' as const,
  model: 'assistant',
  with: planned({ model: 'assistant', output: CITY, maxTokens: 128 }),
  input: { prompt: 'Tell me of the capital of France.' },
};
const WEATHER = { name: 'weather', description: 'The weather in a city', input: z.object({ city: z.string() }) };
const tone: Artifact = {
  uri: `artifact://test/${'0'.repeat(64)}`,
  sha256: '0'.repeat(64),
  mime: 'audio/wav',
  bytes: 44,
};
/** A second of silence, whatever is asked for. */
const silence: CallContext['audio'] = {
  ...noAudio,
  async *read(_, { sampleRate }) {
    yield new Float32Array(sampleRate);
  },
};

/** What the connector is held to at every server of OpenAI's API; what differs from server to server is in `server`. */
export function openAiContract(server: OpenAiServer): void {
  const connector = openAiConnector();

  connectorContract({
    connector,
    endpoint: server.endpoint,
    key: server.apiKey,
    deadEndpoint: DEAD,
    audio: silence,
    working: server.working,
    calls: {
      chat: {
        call: chat('What is the capital of France?', 32),
        check({ output, usage }) {
          expect(output.text).toContain('Paris');
          expect(usage?.inputTokens).toBeGreaterThan(10);
          expect(usage?.outputTokens).toBeGreaterThan(2);
          expect(usage?.outputTokens).toBeLessThanOrEqual(32);
          expect(output.finish).toBe('stop');
        },
      },
      classify: {
        call: { model: 'assistant', with: { labels: ['question', 'order'] }, input: { text: 'Where is my parcel?' } },
        check({ output, usage }, chunks) {
          const { label, scores } = output as { label: string; scores: object };
          expect(['question', 'order']).toContain(label);
          expect(output.score).toBe(1);
          expect(Object.entries(scores).sort()).toEqual([
            ['order', Number(label === 'order')],
            ['question', Number(label === 'question')],
          ]);
          expect(usage?.outputTokens).toBeLessThan(32);
          expect(new Set(chunks)).toEqual(new Set(['']));
        },
      },
    },
    // A chat server refuses the others, each with its own body: 501, and 404 for a route that it does not have.
    refused: {
      embed: { call: { model: 'assistant', with: {}, input: { text: 'x' } }, code: 'BACKEND_REJECTED' },
      rerank: {
        call: { model: 'assistant', with: {}, input: { query: 'x', passages: [{ id: '1', text: 'x' }] } },
        code: 'BACKEND_REJECTED',
      },
      transcribe: { call: { model: 'assistant', with: {}, input: { audio: { ...tone } } }, code: 'BACKEND_REJECTED' },
      synthesize: { call: { model: 'assistant', with: {}, input: { text: 'Hello.' } }, code: 'BACKEND_REJECTED' },
      generate: {
        call: { model: 'assistant', with: { makes: 'image' }, input: { prompt: 'A mill' } },
        code: 'BACKEND_REJECTED',
        canary: false,
      },
    },
    beyond: {
      'structured-output': {
        call: BOUND,
        check({ output }) {
          expect(CITY.safeParse(output.data).error).toBeUndefined();
          expect(JSON.parse(output.text as string)).toEqual(output.data);
        },
      },
      // This model is too small to choose a tool by itself: the offer is understood, and the reply has the form of one.
      tools: {
        call: { ...BOUND, with: planned({ model: 'assistant', tools: [WEATHER], maxTokens: 24 }) },
        check({ output }) {
          expect(Array.isArray(output.toolCalls)).toBe(true);
          expect(['stop', 'length', 'tools']).toContain(output.finish);
        },
      },
    },
    longCall: STORY,
    badCall: { kind: 'chat', ...chat('Hello.', 1), with: { maxTokens: 1, extra: { temperature: 'hot' } } },
    overflow: { kind: 'chat', ...chat('hello '.repeat(9_000), 1) },
  });

  describe(`openai with ${server.name}: beyond the shared suite`, () => {
    const backend = connector.connect(server.endpoint, server.apiKey);

    it('stops at the most tokens asked for', async () => {
      const { usage } = await invoke(backend, { ...STORY, with: { maxTokens: 5, temperature: 0 } });
      expect(usage?.outputTokens).toBe(5);
    });

    it('gives the same answer to the same question at temperature 0', async () => {
      const call = { kind: 'chat' as const, ...chat('Name a colour.', 12) };
      expect((await invoke(backend, call)).output).toEqual((await invoke(backend, call)).output);
    });

    it('says that a reply was cut', async () => {
      expect((await invoke(backend, { ...STORY, with: { maxTokens: 5 } })).output.finish).toBe('length');
    });

    it('a structured reply that is cut is LENGTH', async () => {
      const call = { ...BOUND, with: { ...BOUND.with, maxTokens: 12 } };
      await expect(invoke(backend, call)).rejects.toMatchObject({
        code: 'LENGTH',
        message: expect.stringContaining('cut off at its token limit'),
      });
    });

    it('a schema that cannot be read is refused before the call is paid for', async () => {
      const call = { ...BOUND, with: { maxTokens: 5, schema: { type: 'bogus' } } };
      await expect(invoke(backend, call)).rejects.toMatchObject({ code: 'INVALID_PIPELINE' });
    });

    it.each([
      ['one of the choices', { choice: ['perhaps', 'quite so'] }, /^(perhaps|quite so)$/],
      ['a text of the grammar', { grammar: 'root ::= "x" [0-9] [0-9] "y"' }, /^x\d\dy$/],
    ] as const)('a constrained reply is %s', async (_, constrain, form) => {
      const offer = planned({ model: 'assistant', constrain, maxTokens: 16 });
      const { output } = await invoke(backend, { ...BOUND, with: offer });
      expect(output.text).toMatch(form);
    });

    it('reports the probabilities of tokens', async () => {
      const asked = planned({ model: 'assistant', logprobs: 2, topK: 5, minP: 0.01, maxTokens: 4 });
      const { output } = await invoke(backend, { ...STORY, with: asked });
      const tokens = output.logprobs as unknown as { token: string; logprob: number; top: object[] }[];
      expect(tokens.map(({ token }) => token).join('')).toContain((output.text as string).trim());
      expect(tokens.every(({ logprob, top }) => logprob <= 0 && top.length === 2)).toBe(true);
    });

    it('reports them alone, as the call asks, and takes the names of speakers', async () => {
      const history = [{ role: 'user', content: 'Name a colour.', name: 'Ada' }];
      const asked = { kind: 'chat' as const, model: 'assistant', with: { maxTokens: 4, temperature: 0 } };
      const { output } = await invoke(backend, { ...asked, input: { history, logprobs: 0 } });
      const tokens = output.logprobs as unknown as { logprob: number; top: object[] }[];
      expect(tokens.length).toBeGreaterThan(0);
      expect(tokens.every(({ logprob, top }) => logprob <= 0 && top.length === 0)).toBe(true);
    });

    it('takes members of its own from the stage, which replace the pool’s', async () => {
      const pool = connector.connect(server.endpoint, server.apiKey, { extra: { max_tokens: 9, min_tokens: 1 } });
      const asked = { ...STORY, with: planned({ model: 'assistant', maxTokens: 20 }) };
      expect((await invoke(pool, asked)).usage?.outputTokens).toBe(9);
      const own = { ...STORY, with: planned({ model: 'assistant', maxTokens: 20, extra: { max_tokens: 3 } }) };
      expect((await invoke(pool, own)).usage?.outputTokens).toBe(3);
    });

    it('answers a conversation that is too long without its oldest turns', async () => {
      const history = Array.from({ length: 60 }, (_, i) => [
        { role: 'user', content: `Question ${i}: ${'why '.repeat(50)}` },
        { role: 'assistant', content: `Answer ${i}: ${'so '.repeat(50)}` },
      ]).flat();
      let calls = 0;
      const left: string[] = [];
      // Room for a long reply leaves an eighth of the context, which is read in seconds.
      const { with: options, input } = chat('What is the capital of France?', 3_500);
      const stop = ['.', '\n'];
      const reply = await withinContext(
        { with: { ...options, stop, onOverflow: 'drop-oldest' }, input: { ...input, history } },
        {
          send: (conversation) => {
            calls += 1;
            return invoke(backend, { kind: 'chat', model: 'assistant', ...conversation });
          },
          summarize: () => Promise.reject(new Error('nothing is to be summarized')),
          onShortened: (what) => left.push(what),
        },
      );
      expect(reply.output.text).not.toBe('');
      expect(calls).toBeLessThanOrEqual(3);
      expect(left).toHaveLength(1);
    });

    it('ends a reply at a stop text', async () => {
      const call = { kind: 'chat' as const, ...chat('What is the capital of France?', 32) };
      const { output } = await invoke(backend, { ...call, with: { ...call.with, stop: ['Paris'] } });
      expect(output.text).not.toContain('Paris');
      expect(output.finish).toBe('stop');
    });

    it('knows the turns before the prompt', async () => {
      const call = { kind: 'chat' as const, ...chat('And of Italy?', 32) };
      const history = [
        { role: 'user', content: 'What is the capital of France?' },
        { role: 'assistant', content: 'The capital of France is Paris.' },
      ];
      const { output, usage } = await invoke(backend, { ...call, input: { ...call.input, history } });
      const alone = await invoke(backend, call);
      expect(output.text).toContain('Rome');
      expect(usage?.inputTokens).toBeGreaterThan((alone.usage?.inputTokens ?? 0) + 10);
    });

    it('knows the calls that it made, and their results', async () => {
      const call = { kind: 'chat' as const, ...chat('So, is it sunny?', 32) };
      const history = [
        { role: 'user', content: 'What is the weather in Paris?' },
        {
          role: 'assistant',
          content: '',
          toolCalls: [{ id: 'call_1', name: 'weather', arguments: { city: 'Paris' } }],
        },
        { role: 'tool', toolCallId: 'call_1', content: '{"sky":"rain"}' },
      ];
      const { output, usage } = await invoke(backend, { ...call, input: { ...call.input, history } });
      const alone = await invoke(backend, call);
      expect(output.text).not.toBe('');
      expect(usage?.inputTokens).toBeGreaterThan((alone.usage?.inputTokens ?? 0) + 10);
    });

    it.each(['required', { name: 'weather' }])('%j: a tool that has to be called', async (toolChoice) => {
      const offer = planned({ model: 'assistant', tools: [WEATHER], maxTokens: 64, temperature: 0 });
      const call = invoke(backend, {
        ...BOUND,
        with: offer,
        input: { prompt: 'How is the weather in Paris?', toolChoice },
      });
      if (server.bindsToolChoice) {
        const city = expect.any(String);
        const toolCalls = [{ id: expect.any(String), name: 'weather', arguments: { city } }];
        expect((await call).output).toEqual({ text: '', finish: 'tools', toolCalls });
      } else {
        await expect(call).rejects.toMatchObject({
          code: 'INVALID_OUTPUT',
          message: expect.stringContaining('no tool'),
        });
      }
    });

    it('a reply that has to be JSON is, as far as it goes', async () => {
      const call = { kind: 'chat' as const, ...chat('Tell me of Paris.', 24) };
      const { output } = await invoke(backend, { ...call, input: { ...call.input, output: 'json' } });
      expect(output.text).toMatch(/^\s*\{\s*"/);
      // This model seldom finds the end of an object.
      expect(output.data === undefined).toBe(output.finish === 'length');
    });

    it('an image for a model that cannot see is BACKEND_REJECTED', async () => {
      const image = { uri: `artifact://test/${'1'.repeat(64)}`, sha256: '1'.repeat(64), mime: 'image/png', bytes: 2 };
      const call = backend.invoke(
        { kind: 'chat', ...chat('What is this?', 8), input: { prompt: 'What is this?', images: [image] } },
        {
          signal: AbortSignal.timeout(60_000),
          audio: noAudio,
          bytes: async () => new Uint8Array([0x89, 0x50]),
          checkpoint: () => undefined,
          emit: () => undefined,
        },
      );
      await expect(call).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    });

    it('sends text before the reply is complete', LATE_ONCE, async () => {
      const started = performance.now();
      let first = 0;
      await invoke(backend, { ...STORY, with: { maxTokens: 100, temperature: 0 } }, noAudio, () => {
        first ||= performance.now() - started;
      });
      expect(first).toBeGreaterThan(0);
      expect(first).toBeLessThan((performance.now() - started) / 2);
    });

    it('makes calls one behind the other, each on a connection that holds', async () => {
      const call = { kind: 'chat' as const, ...chat('Name a colour.', 1) };
      for (let i = 0; i < 60; i++) {
        await invoke(backend, call);
        await backend.fingerprint('assistant', AbortSignal.timeout(60_000));
      }
    });

    it('answers more calls at once than the server decodes', async () => {
      const call = { kind: 'chat' as const, ...chat('What is the capital of France?', 16) };
      const replies = await Promise.all(Array.from({ length: 3 * server.parallel }, () => invoke(backend, call)));
      for (const { output } of replies) expect(output.text).toContain('Paris');
    });

    if (server.apiKey !== 'none') {
      it('a wrong key is BACKEND_UNAUTHORIZED, and is told to nobody', async () => {
        const wrong = openAiConnector().connect(server.endpoint, 'a-key-of-somebody-else');
        const call = invoke(wrong, { kind: 'chat', ...chat('Name a colour.', 1) });
        await expect(call).rejects.toMatchObject({
          code: 'BACKEND_UNAUTHORIZED',
          message: expect.not.stringContaining('somebody'),
        });
      });
    }

    it('frees every slot when calls are cancelled at once', async () => {
      const controller = new AbortController();
      const calls = Array.from({ length: server.parallel }, () =>
        backend
          .invoke(STORY, {
            signal: controller.signal,
            audio: noAudio,
            checkpoint: () => undefined,
            emit: () => undefined,
          })
          .catch(() => undefined),
      );
      try {
        await expect.poll(server.working, { timeout: 60_000 }).toBe(server.parallel);
      } finally {
        controller.abort();
      }
      await Promise.all(calls);
      await expect.poll(server.working, { timeout: 60_000, interval: 20 }).toBe(0);
    });
  });
}
