import { describe, expect, it, vi } from 'vitest';
import type { CallContext } from '../../../../activities/connectors/connector.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { chatServer } from './openai-chat-server.js';
import { chunk, failure, invoke } from './openai-server.js';

const at = chatServer();

describe('images', () => {
  const image = (bytes: number) => ({
    uri: `artifact://t/${'a'.repeat(64)}`,
    sha256: 'a'.repeat(64),
    mime: 'image/png',
    bytes,
  });
  const see = (bytes: number, read?: () => Promise<Uint8Array>) =>
    invoke(
      at.backend,
      { kind: 'chat', input: { prompt: 'What is this?', images: [image(bytes)] } },
      read && { bytes: read },
    );

  it('go by value, behind the prompt', async () => {
    at.server.events([chunk({ content: 'A dot.' }, 'stop')]);
    await see(3, async () => new Uint8Array([1, 2, 3]));
    expect(at.sent().messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AQID' } },
        ],
      },
    ]);
  });

  it('above 20 MiB are not read, nor sent', async () => {
    const read = () => Promise.reject(new Error('was read'));
    expect((await failure(see(20 * 1024 * 1024 + 1, read))).code).toBe('INVALID_INPUT');
    expect(at.server.received).toHaveLength(0);
  });

  const seeAll = (images: object[], read: () => Promise<Uint8Array>) =>
    invoke(at.backend, { kind: 'chat', input: { prompt: 'Compare.', images } as JsonObject }, { bytes: read });
  const numbered = (bytes: number) => (_: unknown, i: number) => ({
    ...image(bytes),
    uri: `artifact://t/${String(i).padStart(64, '0')}`,
  });

  it.each([
    ['of more than 50 MiB in all', Array.from({ length: 3 }, numbered(20 * 1024 * 1024))],
    ['of more than 50 MiB in all, though they are the same', Array(3).fill(image(20 * 1024 * 1024))],
    ['more than a hundred', Array.from({ length: 101 }, numbered(1))],
  ])('%s are not read, nor sent', async (_, images) => {
    const read = vi.fn(() => Promise.reject(new Error('was read')));
    const refused = await failure(seeAll(images, read));
    expect(refused).toMatchObject({ code: 'INVALID_INPUT', details: { fields: [{ field: 'images' }] } });
    expect(read).not.toHaveBeenCalled();
  });

  it('whose sizes are not what the input says are read no further than that', async () => {
    const read = vi.fn(async () => new Uint8Array(20 * 1024 * 1024));
    expect((await failure(seeAll(Array.from({ length: 50 }, numbered(1)), read))).code).toBe('INVALID_INPUT');
    expect(read).toHaveBeenCalledTimes(3);
  });

  it('are read one at a time, one that is named twice once', async () => {
    at.server.events([chunk({ content: 'The same.' }, 'stop')]);
    let reading = 0;
    const read = vi.fn(async () => {
      reading += 1;
      expect(reading).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      reading -= 1;
      return Uint8Array.of(1);
    });
    const images = Array.from({ length: 3 }, numbered(1));
    await seeAll([...images, ...images], read);
    expect(read).toHaveBeenCalledTimes(3);
    expect(at.sent().messages[0].content).toHaveLength(7);
  });

  it('need a host that can read them', async () => {
    expect((await failure(see(3))).message).toContain('cannot read images');
  });
});

describe('parts of messages', () => {
  const file = (mime: string, nth: number, bytes = 3) => ({
    uri: `artifact://t/${String(nth).padStart(64, '0')}`,
    sha256: String(nth).padStart(64, '0'),
    mime,
    bytes,
  });
  const read = async ({ sha256 }: Artifact) => Uint8Array.of(Number(sha256));
  const ask = (input: object, own: Partial<CallContext> = { bytes: read }) =>
    invoke(at.backend, { kind: 'chat', input: input as JsonObject }, own);

  it('go in order, of earlier turns too, each as the protocol names it', async () => {
    at.server.events([chunk({ content: 'So.' }, 'stop')]);
    await ask({
      prompt: 'And here?',
      images: [file('image/png', 1)],
      parts: [
        { type: 'text', text: 'or here:' },
        { type: 'audio', audio: file('audio/mpeg', 2) },
        { type: 'video', video: file('video/mp4', 3) },
        { type: 'file', file: file('application/pdf', 4), name: 'bill.pdf' },
      ],
      history: [
        {
          role: 'user',
          content: '',
          parts: [
            { type: 'image', image: file('image/jpeg', 5), detail: 'low' },
            { type: 'text', text: 'What is this?' },
          ],
        },
        { role: 'assistant', content: 'A dot.' },
        { role: 'user', content: 'And that?', parts: [{ type: 'file', file: file('text/plain', 6) }] },
      ],
    });
    expect(at.sent().messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'data:image/jpeg;base64,BQ==', detail: 'low' } },
          { type: 'text', text: 'What is this?' },
        ],
      },
      { role: 'assistant', content: 'A dot.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'And that?' },
          { type: 'file', file: { filename: 'file.txt', file_data: 'data:text/plain;base64,Bg==' } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'And here?' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AQ==' } },
          { type: 'text', text: 'or here:' },
          { type: 'input_audio', input_audio: { data: 'Ag==', format: 'mp3' } },
          { type: 'video_url', video_url: { url: 'data:video/mp4;base64,Aw==' } },
          { type: 'file', file: { filename: 'bill.pdf', file_data: 'data:application/pdf;base64,BA==' } },
        ],
      },
    ]);
  });

  it('of audio that the protocol has no name for become WAV', async () => {
    at.server.events([chunk({ content: 'So.' }, 'stop')]);
    const spoken = { ...file('audio/ogg', 1), sampleRate: 8_000 };
    const audio: CallContext['audio'] = {
      async *read(_, { sampleRate }) {
        yield Float32Array.of(sampleRate / 16_000, -2);
      },
      write: () => Promise.reject(new Error('was written')),
    };
    await ask({ prompt: 'Hear:', parts: [{ type: 'audio', audio: spoken }] }, { audio });
    const [, { input_audio: heard }] = at.sent().messages[0].content;
    const wav = Buffer.from(heard.data, 'base64');
    expect(heard.format).toBe('wav');
    expect([wav.readUInt32LE(24), wav.readInt16LE(44), wav.readInt16LE(46)]).toEqual([8_000, 16_384, -32_768]);
  });

  const LARGE = 20 * 1024 * 1024;
  const part = (nth: number, bytes: number) => ({ type: 'file', file: file('application/pdf', nth, bytes) });
  it.each([
    ['too large alone', { prompt: '', parts: [part(1, LARGE + 1)] }, 'parts.0'],
    [
      'too large in all, turns together',
      {
        prompt: '',
        parts: [part(1, LARGE)],
        history: [{ role: 'user', content: '', parts: [part(2, LARGE), part(3, LARGE)] }],
      },
      'history.0.parts.0',
    ],
  ])('%s are refused by their field before anything is read', async (_, input, field) => {
    const bytes = vi.fn(() => Promise.reject(new Error('was read')));
    expect(await failure(ask(input, { bytes }))).toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field }] },
    });
    expect(bytes).not.toHaveBeenCalled();
    expect(at.server.received).toHaveLength(0);
  });
});
