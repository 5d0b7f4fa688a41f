import { describe, expect, it } from 'vitest';
import { MillraceClient } from '../../client/index.js';
import { address } from '../support/runs.js';
import { LATE_ONCE } from '../support/soonest.js';

const QUESTION = { question: 'Tell me about an owl who cannot sleep at night.' };
const client = new MillraceClient({ baseUrl: address('GATEWAY_URL') });
const urlOf = (id: string, rest: string) => `${address('GATEWAY_URL')}/v1/runs/${id}/${rest}`;
const HEADER = 44;

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

/** Reads until `most` bytes have come, then hangs up. */
async function readSome(url: string, from: number, most: number): Promise<Buffer> {
  const leaving = new AbortController();
  const response = await fetch(url, {
    signal: leaving.signal,
    ...(from > 0 && { headers: { range: `bytes=${from}-` } }),
  });
  expect(response.status).toBe(from > 0 ? 206 : 200);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    length += part.length;
    if (length >= most) break;
  }
  leaving.abort();
  return Buffer.concat(parts).subarray(0, most);
}

describe('audio of a run that is under way', () => {
  it('comes as it is made, and is the artifact that the run ends with', LATE_ONCE, async () => {
    const { id } = await client.start('narrator', QUESTION);
    const live = await fetch(urlOf(id, 'artifacts/speech'));
    expect(live.status).toBe(200);
    expect(live.headers.get('content-type')).toBe('audio/wav');
    const reader = (live.body as ReadableStream<Uint8Array>).getReader();
    const first = (await reader.read()).value as Uint8Array;
    expect((await client.get(id)).status).toBe('running');
    const parts = [first];
    for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
    const heard = Buffer.concat(parts);
    expect((await client.wait(id)).status).toBe('succeeded');
    const whole = await bytesOf(await fetch(urlOf(id, 'artifacts/speech')));
    expect(heard.subarray(HEADER).equals(whole.subarray(HEADER))).toBe(true);
    expect(heard.subarray(0, 4).toString()).toBe('RIFF');
  });

  it('goes on at any byte: a client that disconnects 20 times gets the same', async () => {
    const { id } = await client.start('narrator', QUESTION);
    const url = urlOf(id, 'artifacts/speech');
    let heard = Buffer.alloc(0);
    for (let i = 0; i < 20; i++) heard = Buffer.concat([heard, await readSome(url, heard.length, 8_001)]);
    await client.wait(id);
    const whole = await bytesOf(await fetch(url));
    expect(heard.length).toBe(20 * 8_001);
    expect(heard.subarray(HEADER).equals(whole.subarray(HEADER, heard.length))).toBe(true);
  });

  it.each(['pcm', 'mp3', 'opus', 'flac'])(
    'comes as %s as it is made, and goes on at any byte, also when the run has ended',
    async (format) => {
      const { id } = await client.start('narrator', QUESTION);
      const url = urlOf(id, `artifacts/speech?format=${format}`);
      let heard = Buffer.alloc(0);
      for (let i = 0; i < 5; i++) heard = Buffer.concat([heard, await readSome(url, heard.length, 3_001)]);
      const rest = await bytesOf(await fetch(url, { headers: { range: `bytes=${heard.length}-` } }));
      expect((await client.wait(id)).status).toBe('succeeded');
      const whole = await bytesOf(await fetch(url));
      expect(whole.equals(Buffer.concat([heard, rest]))).toBe(true);
      expect((await fetch(urlOf(id, 'artifacts/speech?format=tape'))).status).toBe(422);
    },
  );

  it('comes in events too, sentence by sentence with its text', async () => {
    const { id } = await client.start('narrator', QUESTION);
    const pieces: { number: number; text: string; at: number; data: Buffer }[] = [];
    let reply = '';
    for await (const event of client.events(id)) {
      if (event.type === 'stage.audio') pieces.push({ ...event, data: Buffer.from(event.data ?? '', 'base64') });
      if (event.type === 'run') reply = String((event.run.output as { reply?: string } | undefined)?.reply);
    }
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.map(({ number }) => number)).toEqual(pieces.map((_, i) => i));
    expect(pieces.map(({ text }) => text).join('')).toBe(reply.trimEnd());
    for (const { at, text } of pieces) expect(reply.slice(at, at + text.length)).toBe(text);
    const whole = await bytesOf(await fetch(urlOf(id, 'artifacts/speech')));
    const samples = Buffer.concat(pieces.map(({ data }) => data.subarray(HEADER)));
    expect(samples.equals(whole.subarray(HEADER))).toBe(true);
    const byReference = await (await fetch(urlOf(id, 'events?audio=ref'))).text();
    expect(byReference).toContain('event: stage.audio');
    expect(byReference).not.toContain('"data"');
    expect((await fetch(urlOf(id, 'events?audio=loud'))).status).toBe(422);
  });
});
