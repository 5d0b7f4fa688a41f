import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import type { AudioPort } from '../../../../media/index.js';
import { WavReader } from '../../../../media/wav.js';
import { writeWav } from '../../../../media/write-wav.js';
import type { Json } from '../../../../pipelines/json.js';
import { failure, fixture, invoke, type Received, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
let backend: Backend;

beforeEach(async () => {
  server = await SimulatedServer.start();
  backend = server.connect();
});
afterEach(() => server.stop());

const ARTIFACT = { uri: `artifact://t/${'a'.repeat(64)}`, sha256: 'a'.repeat(64), mime: 'audio/wav', bytes: 44 };
const unused = (): never => {
  throw new Error('not used here');
};

/** The fields of a multipart body, and the WAV in it. */
function form({ bytes, headers }: Received): { fields: Record<string, string>; samples: number[]; rate: number } {
  const [, boundary = ''] = /boundary=(.*)$/.exec(headers['content-type'] ?? '') ?? [];
  const fields: Record<string, string> = {};
  let wav = Buffer.alloc(0);
  for (const part of bytes.toString('latin1').split(`--${boundary}`).slice(1, -1)) {
    const at = part.indexOf('\r\n\r\n');
    const [, name = ''] = /name="([^"]+)"/.exec(part.slice(0, at)) ?? [];
    const value = part.slice(at + 4, -2);
    if (name === 'file') wav = Buffer.from(value, 'latin1');
    else fields[name] = value;
  }
  const reader = new WavReader();
  const data = Buffer.concat([...reader.push(wav)]);
  const { format } = reader.end();
  expect(format).toMatchObject({ encoding: 's16', channels: 1 });
  return {
    fields,
    samples: Array.from({ length: data.length / 2 }, (_, i) => data.readInt16LE(2 * i)),
    rate: format.sampleRate,
  };
}

describe('transcribe', () => {
  /** Audio of so many seconds at 16 kHz whose samples are all `level`. */
  const audioOf = (seconds: number, level = 0.25): AudioPort => ({
    async *read(_, { sampleRate }) {
      for (let i = 0; i < seconds; i++) {
        yield new Float32Array(sampleRate).fill(level);
        // As reading a file does: connections need their turn, too.
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    write: unused,
  });
  const transcribe = (audio: AudioPort, context: { resumeFrom?: Json; checkpoint?(progress: Json): void } = {}) =>
    invoke(
      backend,
      { kind: 'transcribe', input: { audio: ARTIFACT } },
      { audio, signal: AbortSignal.timeout(110_000), ...context },
    );

  it.each(['openai-transcription.handwritten', 'vllm-transcription.handwritten'])(
    'sends 16-bit WAV at 16 kHz, and reads %s',
    async (name) => {
      server.replay(fixture(name));
      const { output, usage } = await transcribe(audioOf(2));
      expect(output).toEqual({ text: 'What is the capital of France?' });
      expect(usage).toEqual({ audioSeconds: 2 });
      expect(server.received).toHaveLength(1);
      const [request] = server.received;
      expect(request?.url).toBe('/v1/audio/transcriptions');
      const { fields, samples, rate } = form(request as Received);
      expect(fields).toEqual({ model: 'm', response_format: 'json' });
      expect(rate).toBe(16_000);
      expect(samples).toHaveLength(32_000);
      expect(new Set(samples)).toEqual(new Set([8_192]));
    },
  );

  it('sends long audio in parts of at most ten minutes, all of it, and goes on behind the last one', async () => {
    let part = 0;
    server.answer = (response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end(`{"text":" part ${++part}"}`);
    const checkpoints: Json[] = [];
    const { output, usage } = await transcribe(audioOf(700), {
      checkpoint: (progress) => void checkpoints.push(progress),
    });
    expect(output.text).toBe('part 1 part 2');
    expect(usage?.audioSeconds).toBe(700);
    const lengths = server.received.map((request) => form(request).samples.length);
    expect(lengths.reduce((a, b) => a + b)).toBe(700 * 16_000);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(600 * 16_000);
    expect(checkpoints).toEqual([
      { sample: lengths[0], text: 'part 1' },
      { sample: 700 * 16_000, text: 'part 1 part 2' },
    ]);
    const resumed = await transcribe(audioOf(700), { resumeFrom: checkpoints[0] as Json });
    expect(resumed.output.text).toBe('part 1 part 3');
    expect(server.received).toHaveLength(3);
    expect(resumed.usage?.audioSeconds).toBe(700 - (lengths[0] as number) / 16_000);
  }, 120_000);

  it('says in which language, and what to expect, as the call asks', async () => {
    server.replay(fixture('openai-transcription.handwritten'));
    const input = { audio: ARTIFACT, language: 'de', prompt: 'Ada Lovelace' };
    const call = { kind: 'transcribe', with: { language: 'en' }, input } as const;
    await invoke(backend, call, { audio: audioOf(1), signal: AbortSignal.timeout(110_000) });
    const asked = { language: 'de', prompt: 'Ada Lovelace' };
    expect(form(server.received[0] as Received).fields).toEqual({ model: 'm', response_format: 'json', ...asked });
  });

  it('reads no further when it is aborted', async () => {
    const stop = new AbortController();
    let read = 0;
    const audio: AudioPort = {
      async *read(_, { sampleRate }) {
        for (; read < 1_000; read++) {
          if (read === 3) stop.abort(new Error('stop'));
          yield new Float32Array(sampleRate);
        }
      },
      write: unused,
    };
    await expect(
      invoke(backend, { kind: 'transcribe', input: { audio: ARTIFACT } }, { audio, signal: stop.signal }),
    ).rejects.toThrow('stop');
    expect(read).toBe(3);
    expect(server.received).toHaveLength(0);
  });

  it('of no audio asks nobody', async () => {
    expect((await transcribe(audioOf(0))).output).toEqual({ text: '' });
    expect(server.received).toHaveLength(0);
  });

  it.each([{}, { text: null }, 'text'])('a simulated answer %j is INVALID_OUTPUT', async (body) => {
    server.json(200, body);
    expect((await failure(transcribe(audioOf(1)))).code).toBe('INVALID_OUTPUT');
  });

  it('has a canary of silence', async () => {
    server.replay(fixture('vllm-transcription.handwritten'));
    await backend.probe('m', 'transcribe', AbortSignal.timeout(110_000));
    expect(new Set(form(server.received[0] as Received).samples)).toEqual(new Set([0]));
  });
});

describe('synthesize', () => {
  const SAMPLES = Int16Array.from({ length: 6_000 }, (_, i) => ((i * 7) % 65_536) - 32_768);
  const PCM = Buffer.from(SAMPLES.buffer);
  const wav = (samples = SAMPLES, sampleRate = 22_050) => Buffer.concat([...writeWav(samples, { sampleRate })]);
  const send = (bytes: Buffer, type: string) => (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': type });
    // Pieces of odd sizes: samples are cut in two.
    response.write(bytes.subarray(0, 1_001), () => response.end(bytes.subarray(1_001)));
  };
  let stored: { samples: Int16Array; sampleRate: number } | undefined;
  const audio: AudioPort = {
    read: unused,
    async write(samples, { sampleRate }) {
      stored = { samples, sampleRate };
      return ARTIFACT;
    },
  };
  const synthesize = (text: string | string[] = 'Hello there.', options = {}) =>
    invoke(backend, { kind: 'synthesize', with: options, input: { text } }, { audio });

  it.each([
    ['WAV', wav(), 'audio/wav', 22_050],
    ['WAV that says nothing of its type', wav(), 'application/octet-stream', 22_050],
    ['PCM', PCM, 'audio/pcm', 24_000],
    ['PCM that tells its rate', PCM, 'audio/pcm; rate=16000', 16_000],
  ])('reads %s, sample by sample', async (_, bytes, type, rate) => {
    server.answer = send(bytes, type);
    const { output, usage, chunks } = await synthesize();
    expect(output).toEqual({ audio: ARTIFACT });
    expect(stored?.sampleRate).toBe(rate);
    expect(stored?.samples).toEqual(SAMPLES);
    expect(usage).toEqual({ audioSeconds: 6_000 / rate });
    expect((chunks as number[]).reduce((a, b) => a + b)).toBe(6_000);
    expect(server.received[0]).toMatchObject({ url: '/v1/audio/speech' });
    expect(server.received[0]?.body).toEqual({ model: 'm', input: 'Hello there.', response_format: 'wav' });
  });

  it('sends the members that the pool adds, in every call and in the probe', async () => {
    server.answer = send(wav(), 'audio/wav');
    backend = server.connect({ extra: { voice: 'alloy', instructions: 'Speak slowly.' } });
    await synthesize('Hello there.', { voice: 'own' });
    await backend.probe('m', 'synthesize', AbortSignal.timeout(110_000));
    expect(server.received.map(({ body }) => body)).toEqual([
      { model: 'm', input: 'Hello there.', response_format: 'wav', voice: 'alloy', instructions: 'Speak slowly.' },
      { model: 'm', input: 'ok', response_format: 'wav', voice: 'alloy', instructions: 'Speak slowly.' },
    ]);
  });

  it('reads WAV whose writer did not know its length', async () => {
    const bytes = wav();
    bytes.writeUInt32LE(0xffffffff, 4);
    bytes.writeUInt32LE(0xffffffff, 40);
    server.answer = send(bytes, 'audio/wav');
    await synthesize();
    expect(stored?.samples).toEqual(SAMPLES);
  });

  it('names a voice where the stage does', async () => {
    server.answer = send(wav(), 'audio/wav');
    await synthesize('Hello.', { voice: 'alloy' });
    expect(server.received[0]?.body).toMatchObject({ voice: 'alloy' });
  });

  it('speaks as the call asks, in place of the stage', async () => {
    server.answer = send(wav(), 'audio/wav');
    const manner = { voice: 'nova', speed: 1.5, instructions: 'Whisper.' };
    const call = { kind: 'synthesize', with: { voice: 'alloy' }, input: { text: 'Hello.', ...manner } } as const;
    await invoke(backend, call, { audio });
    expect(server.received[0]?.body).toEqual({ model: 'm', input: 'Hello.', response_format: 'wav', ...manner });
  });

  it('speaks long text in several calls, and sentences as they are', async () => {
    server.answer = send(wav(), 'audio/wav');
    await synthesize(['One sentence.', `${'And many more words. '.repeat(30)}`]);
    const texts = server.received.map(({ body }) => body.input as string);
    expect(texts.length).toBeGreaterThan(1);
    expect(texts.join(' ')).toBe(`One sentence. ${'And many more words. '.repeat(30).trim()}`);
    expect(stored?.samples).toHaveLength(6_000 * texts.length);
  });

  it('of nothing is INVALID_INPUT, unasked', async () => {
    expect((await failure(synthesize(' \n'))).code).toBe('INVALID_INPUT');
    expect(server.received).toHaveLength(0);
  });

  it.each<[string, Buffer, string]>([
    ['MP3', Buffer.from('ID3\x04fake'), 'audio/mpeg'],
    ['no bytes', Buffer.alloc(0), 'audio/wav'],
    ['a header alone', wav().subarray(0, 44), 'audio/wav'],
    ['a truncated WAV', wav().subarray(0, 5_000), 'audio/wav'],
    ['JSON', Buffer.from('{"url":"…"}'), 'application/json'],
    ['PCM of no rate', PCM, 'audio/pcm; rate=0'],
    ['PCM of a rate beyond any', PCM, 'audio/pcm; rate=99999999999999999999'],
  ])('%s is INVALID_OUTPUT', async (_, bytes, type) => {
    server.answer = send(bytes, type);
    const error = await failure(synthesize());
    expect(error.code, error.message).toBe('INVALID_OUTPUT');
    expect(error.details.endpoint).toBe(backend.endpoint);
  });

  it('at another rate in the middle is INVALID_OUTPUT', async () => {
    server.answer = (response) => send(wav(SAMPLES, 8_000 * (server.received.length + 1)), 'audio/wav')(response);
    expect((await failure(synthesize('And many more words. '.repeat(30)))).message).toContain('24000 Hz after 16000');
  });

  it('has a canary that stores nothing', async () => {
    stored = undefined;
    server.answer = send(wav(), 'audio/wav');
    await backend.probe('m', 'synthesize', AbortSignal.timeout(110_000));
    expect(stored).toBeUndefined();
  });
});
