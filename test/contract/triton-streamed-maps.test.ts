import { describe, expect, it, vi } from 'vitest';
import type { CallContext } from '../../activities/connectors/connector.js';
import { createConnectors } from '../../activities/connectors/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { caught } from '../support/caught.js';
import { noAudio } from './connector-contract.js';
import { artifact, context, limit, mappedModels } from './mapped-models.js';

const { endpoint, opened, pool } = mappedModels(['streaming-voice', 'streaming-ears', 'chapters', 'text-generator']);

describe('a decoupled voice', () => {
  const tensors = {
    inputs: { sentence: { from: 'text' }, speaker: { from: 'voice', optional: true } },
    outputs: { waveform: { to: 'audio', sampleRate: 24_000 } },
  };
  const speak = async (voice?: string) => {
    const chunks: (string | number)[] = [];
    const written: { samples: Int16Array; sampleRate: number }[] = [];
    const audio: CallContext['audio'] = {
      read: noAudio.read,
      async write(samples, { sampleRate }) {
        written.push({ samples, sampleRate });
        return artifact;
      },
    };
    const text = 'The capital of France is Paris.';
    const { usage } = await pool('synthesize', tensors).invoke(
      {
        kind: 'synthesize',
        model: 'streaming-voice',
        with: { ...(voice !== undefined && { voice }) },
        input: { text },
      },
      context({ audio, emit: (chunk) => void chunks.push(chunk) }),
    );
    return { chunks, written, usage };
  };

  it('is heard piece by piece, and whole', async () => {
    const { chunks, written, usage } = await speak();
    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks[0]).toBe(6_000);
    const [{ samples, sampleRate } = { samples: new Int16Array(), sampleRate: 0 }] = written;
    expect(sampleRate).toBe(24_000);
    expect(samples.length).toBe(chunks.reduce((sum: number, part) => sum + Number(part), 0));
    expect(usage?.audioSeconds).toBeCloseTo(samples.length / 24_000);
    const loud = await speak('loud');
    const peak = (of: Int16Array) => of.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    expect(peak(loud.written[0]?.samples ?? new Int16Array())).toBeGreaterThan(1.5 * peak(samples));
  });
});

describe('a decoupled recogniser', () => {
  /** Seconds of sound, each of one loudness. */
  const audioOf = (levels: readonly number[]): CallContext['audio'] => ({
    async *read(_, { sampleRate }) {
      for (const level of levels) yield new Float32Array(sampleRate).fill(level);
    },
    write: noAudio.write,
  });
  const samples = { from: 'audio', sampleRate: 8_000, seconds: 6 };
  const whole = { inputs: { samples }, outputs: { partial: { to: 'text', responses: 'whole' } } };
  const delta = { inputs: { samples, stable: { value: true } }, outputs: { partial: { to: 'text' } } };
  const call = { kind: 'transcribe', model: 'streaming-ears', with: {}, input: { audio: artifact } };

  it.each([
    ['all so far', whole],
    ['what is new', delta],
  ])('tells what it hears while it listens, with responses of %s', async (_, tensors) => {
    const levels = [0.8, 0.2, 0, 0.8];
    // Where this process stands still, the first word comes with the last.
    await caught('the first word before the last', async () => {
      const told: { text: string | number; at: number }[] = [];
      const emit = (text: string | number) => void told.push({ text, at: performance.now() });
      const { output } = await pool('transcribe', tensors).invoke(call, context({ audio: audioOf(levels), emit }));
      const end = performance.now();
      expect(told.map(({ text }) => text)).toEqual(['loud', ' quiet', ' silent', ' loud']);
      expect(output).toEqual({ text: 'loud quiet silent loud' });
      // Three more seconds are listened to after the first word, 50 ms each.
      const before = end - (told[0]?.at ?? end);
      return before > 100 ? before : undefined;
    });
  });

  it('goes on from window to window as one text, and answers its canary', async () => {
    const told: (string | number)[] = [];
    const emit = (text: string | number) => void told.push(text);
    const backend = pool('transcribe', whole);
    const { output } = await backend.invoke(call, context({ audio: audioOf(new Array(14).fill(0.8)), emit }));
    expect(told.join('')).toBe(output.text);
    expect(String(output.text).split(' ').length).toBeGreaterThanOrEqual(14);
    await backend.probe('streaming-ears', 'transcribe', limit());
  });

  it('stops within a second when its run is cancelled', async () => {
    const stop = new AbortController();
    const audio = audioOf(new Array(6).fill(0.8));
    const slow = pool('transcribe', whole).invoke(
      call,
      context({ audio, signal: stop.signal, emit: () => stop.abort(new Error('enough')) }),
    );
    await expect(slow).rejects.toThrow('enough');
  });
});

describe('a model with text_input and text_output, which stands for the vLLM and TensorRT-LLM backends', () => {
  const backend = () => {
    const found = createConnectors().get('triton')?.connect(endpoint, { kind: 'chat' });
    if (!found) throw new Error('no connector');
    opened.push(found);
    return found;
  };
  const say = async (input: JsonObject, options: JsonObject = {}, parts: Partial<CallContext> = {}) => {
    const deltas: (string | number)[] = [];
    const call = { kind: 'chat', model: 'text-generator', with: { maxTokens: 16, temperature: 0, ...options }, input };
    const { output } = await backend().invoke(call, context({ emit: (delta) => void deltas.push(delta), ...parts }));
    return { text: output.text, finish: output.finish, deltas };
  };

  it('streams its words, without the prompt, by its sampling parameters', async () => {
    expect(await say({ prompt: 'one two three' })).toEqual({
      text: 'three two one',
      finish: 'stop',
      deltas: ['three', ' two', ' one'],
    });
    expect((await say({ prompt: 'one two three' }, { maxTokens: 2 })).text).toBe('three two');
    expect((await say({ prompt: 'one two three' }, { stop: ['one'] })).text).toBe('three two');
  });

  it('gets a conversation as one text', async () => {
    const history = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ];
    const { text } = await say({ prompt: 'c', history }, { system: 'be kind' });
    expect(text).toBe('Assistant: c User: b Assistant: a User: kind be');
  });

  it('stops to generate when the run is cancelled', async () => {
    const cancelled = async () => Number((await say({ prompt: 'cancelled?' })).text);
    const before = await cancelled();
    const stop = new AbortController();
    const words = Array.from({ length: 16 }, (_, i) => `w${i}`).join(' ');
    // Sixteen seconds: it must not be over when this process sees the first word.
    const slow = say(
      { prompt: words },
      { seed: 1_000 },
      { signal: stop.signal, emit: () => stop.abort(new Error('enough')) },
    );
    await expect(slow).rejects.toThrow('enough');
    await vi.waitFor(async () => expect(await cancelled()).toBe(before + 1), 60_000);
  });

  it('answers its canary, and refuses what text alone cannot carry', async () => {
    await backend().probe('text-generator', 'chat', limit());
    const tools = [{ name: 'f', description: '', schema: {} }];
    await expect(say({ prompt: 'x' }, { tools })).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
    await expect(say({ prompt: 'x', images: [artifact] })).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
    // Ignored, these would let a reply through that the caller does not expect.
    for (const options of [{ constrain: { choice: ['yes', 'no'] } }, { logprobs: 1 }]) {
      await expect(say({ prompt: 'x' }, options)).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
    }
  });
});

describe('a recogniser that keeps a sequence', () => {
  it('gets the windows of a call in one sequence: the first starts it, the last ends it', async () => {
    const backend = pool('transcribe', {
      inputs: { pcm: { from: 'audio', sampleRate: 8_000, seconds: 6 } },
      outputs: { hypothesis: { to: 'text' } },
    });
    const audio: CallContext['audio'] = {
      async *read(_, { sampleRate }) {
        for (let second = 0; second < 15; second++) yield new Float32Array(sampleRate).fill(0.1);
      },
      write: noAudio.write,
    };
    const call = { kind: 'transcribe', model: 'chapters', with: {}, input: { audio: artifact } };
    const heard = () => backend.invoke(call, context({ audio })).then(({ output }) => output.text);
    // Two calls at once are two sequences.
    for (const text of await Promise.all([heard(), heard()])) {
      expect(text).toMatch(/^seconds 1 to \d+ seconds \d+ to \d+ seconds \d+ to 15, the end of 15$/);
    }
    await backend.probe('chapters', 'transcribe', limit());
  });
});
