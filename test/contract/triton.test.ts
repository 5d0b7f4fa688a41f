import { describe, expect, it, vi } from 'vitest';
import type { Call, CallContext } from '../../activities/connectors/connector.js';
import { TritonClient, tritonConnector } from '../../activities/connectors/triton/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { loadTestModel } from '../support/triton-models.js';
import { connectorContract, invoke } from './connector-contract.js';

const endpoint = process.env.TEST_TRITON_URL ?? '';
const connector = tritonConnector();
const limit = () => AbortSignal.timeout(60_000);

/** Artifacts of one test file, in memory: samples by address, read back at any rate by the nearest sample. */
const stored = new Map<string, { samples: Int16Array; sampleRate: number }>();
const audio: CallContext['audio'] = {
  async *read({ uri }, { sampleRate }) {
    const { samples, sampleRate: own } = stored.get(uri) ?? { samples: new Int16Array(0), sampleRate };
    const length = Math.floor((samples.length * sampleRate) / own);
    for (let start = 0; start < length; start += sampleRate) {
      const chunk = Math.min(sampleRate, length - start);
      yield Float32Array.from(
        { length: chunk },
        (_, i) => (samples[Math.round(((start + i) * own) / sampleRate)] ?? 0) / 32_768,
      );
    }
  },
  async write(samples, { sampleRate }) {
    const sha256 = String(stored.size).padStart(64, '0');
    const uri = `artifact://test/${sha256}`;
    stored.set(uri, { samples, sampleRate });
    return { uri, sha256, mime: 'audio/wav', bytes: samples.length * 2 };
  },
};

const artifactOf = (output: Record<string, unknown>) => output.audio as Artifact;
const speak = async (text: string) => {
  const backend = connector.connect(endpoint);
  const { output } = await invoke(backend, { kind: 'synthesize', model: 'tts', with: {}, input: { text } }, audio);
  backend.close();
  return artifactOf(output);
};

const SENTENCE = 'The capital of France is Paris.';
const spoken = await speak(SENTENCE);
const long =
  `${'She sells sea shells by the sea shore, and the shells she sells are sea shells for sure. '.repeat(3)}`.repeat(20);

connectorContract({
  connector,
  endpoint,
  deadEndpoint: '127.0.0.1:9',
  audio,
  calls: {
    transcribe: {
      call: { model: 'whisper', with: {}, input: { audio: { ...spoken } } },
      check({ output, usage }, chunks) {
        expect(output.text).toBe(SENTENCE);
        expect(chunks).toEqual([SENTENCE]);
        expect(usage?.audioSeconds).toBeGreaterThan(1);
      },
    },
    embed: {
      call: { model: 'minilm', with: {}, input: { text: SENTENCE } },
      check({ output }) {
        const vector = output.embedding as number[];
        expect(vector).toHaveLength(384);
        expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
      },
    },
    synthesize: {
      call: { model: 'tts', with: {}, input: { text: SENTENCE } },
      check({ output, usage }, chunks) {
        const { samples, sampleRate } = stored.get(artifactOf(output).uri) ?? { samples: [], sampleRate: 0 };
        expect(sampleRate).toBe(24_000);
        expect(Math.max(...samples)).toBeGreaterThan(3_000);
        expect(usage?.audioSeconds).toBeCloseTo(samples.length / 24_000);
        expect(chunks).toEqual([samples.length]);
      },
    },
    classify: {
      call: { model: 'moderation', with: { labels: ['safe', 'unsafe'] }, input: { text: 'I will kill you tonight.' } },
      check({ output }) {
        expect(output.label).toBe('unsafe');
        const { safe = 0, unsafe = 0 } = output.scores as Record<string, number>;
        expect(safe + unsafe).toBeCloseTo(1, 5);
        expect(output.score).toBe(unsafe);
      },
    },
    rerank: {
      call: {
        model: 'rerank',
        with: { top: 2 },
        input: {
          query: 'Does the hotel allow dogs?',
          passages: [
            { id: 'walks', text: 'A young dog should not run beside a bicycle.' },
            { id: 'bread', text: 'Heat the oven to 230 degrees.' },
            { id: 'pets', text: 'Check-in is from three. Pets are welcome for a fee of fifteen euros a night.' },
          ],
        },
      },
      check({ output }) {
        const [first, second] = output.passages as { id: string; score: number }[];
        expect(first?.id).toBe('pets');
        expect(second?.id).toBe('walks');
        expect(first?.score).toBeGreaterThan(second?.score ?? 1);
      },
    },
    infer: {
      call: {
        model: 'echo',
        with: {
          inputs: { TEXT: { dtype: 'BYTES', shape: [-1, 1] } },
          outputs: { OUT: { dtype: 'BYTES', shape: [-1, 1] } },
        },
        input: { TEXT: { dtype: 'BYTES', shape: [2, 1], data: ['Grüße', ''] } },
      },
      check({ output }) {
        expect(output).toEqual({ OUT: { dtype: 'BYTES', shape: [2, 1], data: ['Grüße', ''] } });
      },
    },
  },
  refused: {
    // Models of these kinds are in triton-maps.test.ts and triton-streamed-maps.test.ts.
    chat: { call: { model: 'none', with: {}, input: { prompt: 'x' } }, code: 'MODEL_NOT_FOUND' },
    detect: { call: { model: 'none', with: {}, input: { image: { ...spoken } } }, code: 'MODEL_NOT_FOUND' },
  },
  longCall: { kind: 'synthesize', model: 'tts', with: {}, input: { text: long } },
  badCall: { kind: 'embed', model: 'whisper', with: {}, input: { text: 'whisper takes AUDIO' } },
});

describe('triton: what only its models show', () => {
  const backend = connector.connect(endpoint);

  it('makes one inference a call, and no retries behind it', async () => {
    const client = new TritonClient(endpoint);
    // Its own: files that run at the same time call those of the stack.
    await loadTestModel(client, 'every-type', 'counted');
    const successes = async () => {
      const [statistics] = await client.statistics('counted', limit());
      return statistics?.succeeded ?? 0;
    };
    const format = { dtype: 'INT8', shape: [1, 1] } as const;
    const once: Call = {
      kind: 'infer',
      model: 'counted',
      with: { inputs: { INT8: format }, outputs: { INT8_OUT: format } },
      input: { INT8: { ...format, data: [7] } },
    };
    expect((await invoke(backend, once)).output).toEqual({ INT8_OUT: { ...format, data: [7] } });
    // Triton counts a call shortly after it has answered.
    await vi.waitFor(async () => expect(await successes()).toBeGreaterThan(0), 30_000);
    expect(await successes()).toBe(1);
    await client.unload('counted', limit());
    client.close();
  });

  it('embeds a text the same alone and in a batch of 32, near what means the same', async () => {
    const embed = async (text: string) => {
      const { output } = await invoke(backend, { kind: 'embed', model: 'minilm', with: {}, input: { text } });
      return output.embedding as number[];
    };
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
    const alone = await embed('What is the capital of France?');
    const texts = ['What is the capital of France?', 'Tell me the capital city of France', 'How do I bake bread?'];
    const batch = await Promise.all(Array.from({ length: 32 }, (_, i) => embed(texts[i % 3] ?? '')));
    const [same = [], near = [], far = []] = batch;
    expect(dot(alone, same)).toBeGreaterThan(0.98);
    expect(dot(alone, near)).toBeGreaterThan(0.8);
    expect(dot(alone, far)).toBeLessThan(0.4);
  });

  it('hears speech longer than a window whole, and the rest of it when resumed', async () => {
    const text = [
      'It was a bright cold day in April, and the clocks were striking one.',
      'A gentleman walked slowly down the hill with his old dog.',
      'He was thinking about the letter that had come in the morning.',
      'His sister wanted to sell the house near the river.',
      'They had both been born there many years ago.',
      'The garden was full of apple trees and roses.',
      'Nobody had lived in it since the war.',
      'He stopped at the corner and bought a newspaper.',
      'A young woman asked him the way to the station.',
      'He pointed with his stick and smiled at her.',
      'The train to London leaves at half past four, he said.',
      'She thanked him and hurried away across the bridge.',
    ].join(' ');
    const words = (of: string) =>
      of
        .toLowerCase()
        .replace(/[^a-z ]/g, '')
        .split(' ');
    const input = { audio: { ...(await speak(text)) } };
    const checkpoints: { sample: number; text: string }[] = [];
    const call = { kind: 'transcribe' as const, model: 'whisper', with: {}, input };
    const context = {
      signal: limit(),
      audio,
      emit: () => undefined,
      checkpoint: (progress: unknown) => checkpoints.push(progress as never),
    };
    const whole = await backend.invoke(call, context);
    const recognised = words(whole.output.text as string);
    expect(words(text).filter((word) => !recognised.includes(word)).length).toBeLessThan(5);
    expect(Math.abs(recognised.length - words(text).length)).toBeLessThan(4);
    expect(checkpoints.length).toBeGreaterThan(1);
    const [first] = checkpoints;
    const resumed = await backend.invoke(call, { ...context, ...(first && { resumeFrom: { ...first } }) });
    expect(resumed.output).toEqual(whole.output);
    expect(resumed.usage?.audioSeconds).toBeLessThan((whole.usage?.audioSeconds ?? 0) - 20);
  });

  it('hears nothing in silence', async () => {
    const silence = await audio.write(new Int16Array(16_000), { sampleRate: 16_000 });
    const call = { kind: 'transcribe' as const, model: 'whisper', with: {}, input: { audio: { ...silence } } };
    expect((await invoke(backend, call, audio)).output).toEqual({ text: '' });
  });

  it('answers again right after a heal', async () => {
    const client = new TritonClient(endpoint);
    // Its own: a model of the stack would be away for files that run at the same time.
    await loadTestModel(client, 'scaler', 'healed');
    await backend.heal?.('healed', limit());
    await expect(backend.heal?.('no-such-model', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    const index = await client.index(limit());
    expect(index.find(({ name }) => name === 'healed')?.state).toBe('READY');
    await client.unload('healed', limit());
    client.close();
  });

  it('takes the fingerprint from the model’s configuration', async () => {
    const client = new TritonClient(endpoint);
    const config = await client.config('minilm', limit());
    expect(await backend.fingerprint('minilm', limit())).toBe(config?.parameters.fingerprint?.string_value);
    client.close();
  });
});
