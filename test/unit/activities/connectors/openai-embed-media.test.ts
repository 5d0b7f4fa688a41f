import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { failure, invoke, type Received, SimulatedServer } from './openai-server.js';

/* Media at POST /v1/embeddings, by what the servers' documentation says of their extensions: a fixture. */

let server: SimulatedServer;
beforeEach(async () => {
  server = await SimulatedServer.start();
  server.answer = (response, request) => {
    const vectors = vectorsOf(request);
    const data = vectors.map((embedding, index) => ({ index, embedding }));
    const usage = { prompt_tokens: vectors.length };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data, usage }));
  };
});
afterEach(() => server.stop());

/** A vector for each item: its bytes in the first place if it is a medium, its characters in the second if it is a text. */
function vectorsOf({ body }: Received): number[][] {
  if (body.messages) return [vectorOf(body.messages[0].content[0])];
  return [body.input].flat().map(vectorOf);
}
function vectorOf(item: string | Record<string, unknown>): number[] {
  const text = typeof item === 'string' ? item : item.text;
  if (typeof text === 'string' && !text.startsWith('data:')) return [0, text.length];
  return [1, 0];
}

const file = (mime: string, n: number, bytes = 3): Artifact => {
  const sha256 = String(n).repeat(64).slice(0, 64);
  return { uri: `artifact://t/${sha256}`, sha256, mime, bytes };
};
const PNG = file('image/png', 1);
const MP4 = file('video/mp4', 2);
const MP3 = file('audio/mpeg', 3);
const DATA = Buffer.from([1, 2, 3]).toString('base64');

const embed = (input: object, pool: JsonObject = {}, context = {}) =>
  invoke(
    server.connect(pool),
    { kind: 'embed', with: {}, input: input as JsonObject },
    { bytes: async () => new Uint8Array([1, 2, 3]), ...context },
  );
const bodies = () => server.received.map(({ body }) => body);

describe('embedBy: messages', () => {
  const pool = { embedBy: 'messages' };

  it('sends each item as a conversation of its own, texts too, and keeps the order', async () => {
    const items = [{ text: 'a mill' }, { image: PNG }, { video: MP4 }, { audio: MP3 }];
    const { output, usage } = await embed({ items }, pool);
    expect(output.embeddings).toEqual([
      [0, 1],
      [1, 0],
      [1, 0],
      [1, 0],
    ]);
    expect(usage).toEqual({ inputTokens: 4 });
    const sent = bodies().map(({ messages }) => messages[0].content[0]);
    expect(sent).toHaveLength(4);
    expect(sent).toEqual(
      expect.arrayContaining([
        { type: 'text', text: 'a mill' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${DATA}` } },
        { type: 'video_url', video_url: { url: `data:video/mp4;base64,${DATA}` } },
        { type: 'input_audio', input_audio: { data: DATA, format: 'mp3' } },
      ]),
    );
    for (const body of bodies()) {
      expect(body).toMatchObject({ model: 'm', encoding_format: 'float', messages: [{ role: 'user' }] });
      expect(body).not.toHaveProperty('input');
    }
  });

  it('has at most four requests at once, and the first failure ends the others', async () => {
    let open = 0;
    let most = 0;
    server.answer = (response) => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open -= 1;
        if (server.received.length < 6) response.writeHead(200, { 'content-type': 'application/json' });
        else response.writeHead(500, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ data: [{ index: 0, embedding: [1] }] }));
      }, 20);
    };
    const items = Array.from({ length: 40 }, () => ({ image: PNG }));
    expect((await failure(embed({ items }, pool))).code).toBe('BACKEND_ERROR');
    expect(most).toBe(4);
    expect(server.received.length).toBeLessThan(12);
  });

  it('adds the prefix of a query to texts alone', async () => {
    await invoke(
      server.connect({ ...pool, as: { query: { prefix: 'query: ' } } }),
      {
        kind: 'embed',
        with: { as: 'query' },
        input: { items: [{ text: 'x' }, { image: PNG }] } as unknown as JsonObject,
      },
      { bytes: async () => new Uint8Array([1, 2, 3]) },
    );
    expect(bodies().map(({ messages }) => messages[0].content)).toEqual(
      expect.arrayContaining([[{ type: 'text', text: 'query: x' }], [expect.objectContaining({ type: 'image_url' })]]),
    );
  });
});

describe('embedBy: messages, with what the model expects around an item', () => {
  const user = (...content: object[]) => ({ role: 'user', content });
  const text = (said: string) => ({ type: 'text', text: said });
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${DATA}` } };
  const system = { role: 'system', content: [text('Represent it.')] };
  const items = [{ text: 'a mill' }, { image: PNG }];
  const messages = () => bodies().map((body) => body.messages);

  it('has an instruction and an open turn of the assistant', async () => {
    const conversation = { system: 'Represent it.', open: true };
    await embed({ items }, { embedBy: 'messages', conversation });
    const end = { role: 'assistant', content: [text('')] };
    expect(messages()).toEqual(
      expect.arrayContaining([
        [system, user(text('a mill')), end],
        [system, user(picture), end],
      ]),
    );
    for (const body of bodies()) expect(body).toMatchObject({ continue_final_message: true, add_special_tokens: true });
  });

  it('has a text behind media, and none behind a text', async () => {
    await embed({ items }, { embedBy: 'messages', conversation: { mediaText: 'Describe it.' } });
    expect(messages()).toEqual(expect.arrayContaining([[user(text('a mill'))], [user(picture, text('Describe it.'))]]));
    for (const body of bodies()) expect(body).not.toHaveProperty('continue_final_message');
  });

  it('has the instruction of the role in place of the pool’s', async () => {
    const pool = {
      embedBy: 'messages',
      conversation: { system: 'Represent it.' },
      as: { query: { system: 'Find it.' } },
    };
    const input = { items } as unknown as JsonObject;
    const bytes = async () => new Uint8Array([1, 2, 3]);
    await invoke(server.connect(pool), { kind: 'embed', with: { as: 'query' }, input }, { bytes });
    await invoke(server.connect(pool), { kind: 'embed', with: { as: 'passage' }, input }, { bytes });
    const said = messages().map(([first]) => first.content[0].text);
    expect(said.toSorted()).toEqual(['Find it.', 'Find it.', 'Represent it.', 'Represent it.']);
  });

  it.each([
    { conversation: { open: true } },
    { embedBy: 'objects', conversation: { system: 'x' } },
    { embedBy: 'modality', as: { query: { system: 'x' } } },
  ])('is refused where nothing is sent as messages: %j', (pool) => {
    expect(() => server.connect(pool)).toThrow(/must be messages/);
  });
});

describe('embedBy: objects', () => {
  it('sends mixed lists in few requests, media in base64 without a prefix', async () => {
    const items = [{ text: 'a mill' }, { image: PNG }, { audio: MP3 }];
    const { output } = await embed({ items }, { embedBy: 'objects', batch: 2 });
    expect(output.embeddings).toEqual([
      [0, 1],
      [1, 0],
      [1, 0],
    ]);
    expect(bodies().map(({ input }) => input)).toEqual([[{ text: 'a mill' }, { image: DATA }], [{ audio: DATA }]]);
  });

  it('begins a new request where files would be more than one request should have', async () => {
    const large = (n: number) => ({ image: file('image/png', n, 9 * 1024 * 1024) });
    await embed({ items: [large(1), large(2), large(3)] }, { embedBy: 'objects' });
    expect(bodies().map(({ input }) => input.length)).toEqual([2, 1]);
  });

  it('embeds one image', async () => {
    expect((await embed({ image: PNG }, { embedBy: 'objects' })).output).toEqual({ embedding: [1, 0] });
  });
});

it('audio is CAPABILITY_MISSING at SGLang, which would embed a placeholder in its place', async () => {
  const error = await failure(
    embed({ items: [{ text: 'x' }, { audio: MP3 }] }, { embedBy: 'objects', server: 'sglang' }),
  );
  expect(error).toMatchObject({ code: 'CAPABILITY_MISSING', details: { fields: [{ field: 'items.1.audio' }] } });
  expect(error.message).toContain('SGLang');
  expect(server.received).toHaveLength(0);
});

describe('embedBy: modality', () => {
  it('sends data URLs of one kind for each request, and texts as they are', async () => {
    const items = [{ image: PNG }, { text: 'a mill' }, { audio: MP3 }, { image: file('image/webp', 4) }];
    const { output } = await embed({ items }, { embedBy: 'modality' });
    expect(output.embeddings).toEqual([
      [1, 0],
      [0, 1],
      [1, 0],
      [1, 0],
    ]);
    expect(bodies()).toMatchObject([
      { input: [`data:image/png;base64,${DATA}`, `data:image/webp;base64,${DATA}`], modality: 'image' },
      { input: 'a mill' },
      { input: [`data:audio/mpeg;base64,${DATA}`], modality: 'audio' },
    ]);
    expect(bodies()[1]).not.toHaveProperty('modality');
  });
});

describe('media', () => {
  it('of a pool that does not say how its server takes them are CAPABILITY_MISSING, unasked', async () => {
    const error = await failure(embed({ items: [{ text: 'x' }, { image: PNG }] }));
    expect(error.code).toBe('CAPABILITY_MISSING');
    expect(error.message).toContain('embedBy');
    expect(error.details.fields).toMatchObject([{ field: 'items.1.image' }]);
    expect(server.received).toHaveLength(0);
  });

  it('of more than 20 MiB are INVALID_INPUT with their field, and not read', async () => {
    const read: string[] = [];
    const large = file('image/png', 5, 21 * 1024 * 1024);
    const bytes = async ({ uri }: Artifact) => {
      read.push(uri);
      return new Uint8Array([1]);
    };
    const error = await failure(embed({ items: [{ image: large }] }, { embedBy: 'objects' }, { bytes }));
    expect(error).toMatchObject({ code: 'INVALID_INPUT', details: { fields: [{ field: 'items.0.image' }] } });
    expect(read).toEqual([]);
  });

  it('that are audio of another encoding go as WAV', async () => {
    const audio = {
      async *read() {
        yield new Float32Array(160);
      },
      write: () => Promise.reject(new Error('writes nothing')),
    };
    await embed({ audio: file('audio/flac', 6) }, { embedBy: 'modality' }, { audio });
    expect(bodies()[0].input[0]).toMatch(/^data:audio\/wav;base64,UklGR/);
  });

  it('beside texts leave requests of texts alone as they were', async () => {
    await embed({ items: [{ text: 'a' }, { text: 'b' }] });
    expect(bodies()).toEqual([{ model: 'm', input: ['a', 'b'], encoding_format: 'float' }]);
  });
});
