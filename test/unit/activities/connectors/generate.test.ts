import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend, CallContext } from '../../../../activities/connectors/connector.js';
import { generatedFiles } from '../../../../activities/connectors/http/generated-files.js';
import { httpConnector } from '../../../../activities/connectors/http/index.js';
import { openAiConnector } from '../../../../activities/connectors/openai/index.js';
import { optionsOf } from '../../../../activities/connectors/pool-options.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { STAGE_KINDS } from '../../../../pipelines/stages/index.js';
import { freePort } from '../../../support/free-port.js';
import { blocksOf } from '../../../support/pages.js';
import { loopbackServer } from './loopback-server.js';
import { invoke, SimulatedServer } from './openai-server.js';

/* Models of images, music and video do not run here: every server of this file is a fixture. */

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const MP4 = Buffer.concat([Buffer.from('\0\0\0\x20ftypisom', 'latin1'), Buffer.alloc(64)]);
const FLAC = Buffer.concat([
  Buffer.from('fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0', 'latin1'),
  Buffer.alloc(64),
]);

/** What a call writes, as the store of a run keeps it. */
const written: Buffer[] = [];
const artifacts: CallContext['artifacts'] = {
  read: () => Promise.reject(new Error('nothing is read')),
  async write(bytes, { type }) {
    written.push(Buffer.from(bytes));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { uri: `artifact://t/${sha256}`, sha256, mime: type, bytes: bytes.length };
  },
};
beforeEach(() => {
  written.length = 0;
});

/** The options of a pool in a page of the reference, asked for quickly. */
function poolOf(page: string, name: string): JsonObject {
  const pools = blocksOf(page, 'json').map(({ text }) => JSON.parse(text) as Record<string, { options: JsonObject }>);
  const { options } = pools.find((each) => each[name])?.[name] ?? { options: {} };
  return options.job ? { ...options, job: { ...(options.job as JsonObject), everyMs: 10 } } : options;
}

const json = { 'content-type': 'application/json' };

describe('a job of a described API (a fixture)', () => {
  const server = loopbackServer();
  const files = loopbackServer();
  const http = httpConnector();

  /** OpenAI's API of videos, as the page describes it. */
  const api = poolOf('docs/reference/servers/http.md', 'film');

  const open = (options: JsonObject, key?: string): Backend =>
    http.connect(`${server.url}/v1`, key, optionsOf(http, { kind: 'generate', options }, 'options'));

  interface Asked {
    readonly options?: JsonObject;
    readonly makes?: string;
    readonly with?: JsonObject;
    readonly input?: JsonObject;
    readonly context?: Partial<CallContext>;
    readonly key?: string;
  }
  const call = ({ options = api, makes = 'video', with: own = {}, input = {}, context = {}, key }: Asked = {}) =>
    invoke(
      open(options, key),
      { kind: 'generate', model: 'sora', with: { makes, ...own }, input: { prompt: 'a mill', ...input } },
      { artifacts, ...context },
    );

  /** A job that has come so far at each question, and is done when there is no more; its file is `content`. */
  const jobs = (progress: readonly number[], content: Uint8Array = MP4) => {
    const left = [...progress];
    server.answer = (response, { method, url }) => {
      if (method === 'POST') return void response.writeHead(200, json).end('{"id":"v1","status":"queued"}');
      if (url.endsWith('/content')) return void response.writeHead(200, { 'content-type': 'text/html' }).end(content);
      const at = left.shift();
      const state = at === undefined ? { status: 'completed', progress: 100 } : { status: 'in_progress', progress: at };
      response.writeHead(200, json).end(JSON.stringify({ id: 'v1', ...state }));
    };
  };
  const lines = () => server.received.map(({ method, url }) => `${method} ${url}`);

  it('is submitted with the options of the schema, tells its progress, and gives the file', async () => {
    jobs([0, 40, 90]);
    const told: number[] = [];
    const { output } = await call({
      options: { ...api, headers: { 'x-team': 'mills' } },
      with: { options: { size: '640x480' } },
      input: { options: { size: '1280x720' } },
      context: { progress: (share) => void told.push(share), idempotencyKey: 'run/film' },
      key: 'secret-key',
    });
    expect(output).toMatchObject({ video: { mime: 'video/mp4', bytes: MP4.length } });
    expect(STAGE_KINDS.generate.output.safeParse(output).error).toBeUndefined();
    expect(written).toEqual([MP4]);
    expect(told).toEqual([0, 0.4, 0.9, 1]);
    const [first, ...others] = server.received;
    expect(JSON.parse(first?.body ?? '')).toEqual({ model: 'sora', prompt: 'a mill', seconds: '4', size: '1280x720' });
    expect(others.at(-1)).toMatchObject({
      url: '/v1/videos/v1/content',
      headers: { authorization: 'Bearer secret-key' },
    });
    expect(others.every(({ headers }) => headers['idempotency-key'] === undefined)).toBe(true);
    expect(server.received.every(({ headers }) => headers['x-team'] === 'mills')).toBe(true);
  });

  it('is gone on with by the next attempt: nothing is generated twice', async () => {
    jobs([50]);
    const kept: Json[] = [];
    await call({ context: { checkpoint: (progress) => void kept.push(progress) } });
    server.received = [];
    jobs([50]);
    const { output } = await call({ context: { resumeFrom: kept[0] as Json } });
    expect(output).toHaveProperty('video');
    expect(lines().filter((line) => line.startsWith('POST'))).toEqual([]);
  });

  it('is cancelled with its call', async () => {
    jobs(new Array(1_000).fill(1));
    const leaving = new AbortController();
    const told = new Promise<void>((resolve) => {
      const { answer } = server;
      server.answer = (response, request) => {
        if (request.method === 'DELETE') resolve();
        answer(response, request);
      };
    });
    const reason = new Error('enough');
    const context = { signal: leaving.signal, progress: () => leaving.abort(reason) };
    await expect(call({ context })).rejects.toBe(reason);
    await told;
    expect(written).toEqual([]);
  });

  it.each<[string, Asked, string]>([
    ['an option that the schema does not have', { with: { options: { lora: 'x' } } }, 'options.lora'],
    ['a value that it does not allow', { input: { options: { seconds: '3600' } } }, 'options.seconds'],
    ['several videos', { with: { count: 2 } }, 'count'],
    ['several videos by the input', { options: { ...api, accepts: {} }, input: { count: 3 } }, 'count'],
  ])('is not submitted with %s', async (_, asked, field) => {
    jobs([]);
    await expect(call(asked)).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { fields: [{ field }] } });
    expect(server.received).toEqual([]);
  });

  it('of a pool without a schema takes no options', async () => {
    jobs([]);
    const { accepts: _, ...bare } = api;
    const request = { path: '/videos', json: { prompt: '$/input/prompt' } };
    await expect(call({ options: { ...bare, request }, input: { options: { a: 1 } } })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: 'options.a', message: expect.stringContaining('accepts') }] },
    });
    expect((await call({ options: { ...bare, request } })).output).toHaveProperty('video');
  });

  it.each<[string, Uint8Array]>([
    ['a page', Buffer.from('<html>Sign in</html>')],
    ['a picture', PNG],
    ['nothing', Buffer.alloc(0)],
    ['a playlist', Buffer.from('#EXTM3U\nhttp://169.254.169.254/')],
  ])('whose file is %s is INVALID_OUTPUT, whatever the server calls it', async (_, content) => {
    jobs([], content);
    await expect(call()).rejects.toMatchObject({ code: 'INVALID_OUTPUT', message: expect.stringMatching(/no video/) });
    expect(written).toEqual([]);
  });

  const elsewhere = (url: string, more: JsonObject = {}): JsonObject => ({
    ...api,
    response: { output: { files: [{ url }] }, ...more },
  });

  it('whose file is at another origin is fetched there only if the pool says so, without the key', async () => {
    jobs([]);
    files.gives(200, MP4);
    const at = `${files.url}/a.mp4`;
    await expect(call({ options: elsewhere(at), key: 'secret-key' })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('fileOrigins'),
    });
    expect(files.received).toEqual([]);
    const { output } = await call({ options: elsewhere(at, { fileOrigins: [files.url] }), key: 'secret-key' });
    expect(output).toHaveProperty('video');
    expect(files.received[0]?.headers.authorization).toBeUndefined();
    // Nor where that one redirects to.
    files.gives(302, '', { location: 'http://169.254.169.254/latest/meta-data' });
    await expect(call({ options: elsewhere(at, { fileOrigins: [files.url] }) })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
    });
  });

  /** How the origin of a file may fail; the job has been done and paid for. */
  const failing: Readonly<Record<string, () => void>> = {
    'does not have it': () => files.gives(404, 'no such file'),
    'is full': () => files.gives(503, 'the server is not ready', { 'retry-after': '3' }),
    'is broken': () => files.gives(500, 'broken'),
    'wants a key': () => files.gives(403, 'the link has expired'),
    'breaks off': () => {
      files.answer = (response) => {
        response.writeHead(200, { 'content-length': '1000' }).write('ftyp');
        setTimeout(() => response.destroy(), 20);
      };
    },
  };
  it.each(Object.keys(failing))('whose file cannot be fetched, as its origin %s, has failed', async (how) => {
    jobs([]);
    failing[how]?.();
    const options = elsewhere(`${files.url}/a.mp4`, { fileOrigins: [files.url] });
    const error = (await call({ options }).catch((thrown: unknown) => thrown)) as MillraceError;
    expect(error).toMatchObject({ code: 'BACKEND_ERROR', message: expect.stringContaining(files.url) });
    expect(error.details).toEqual({ endpoint: `${server.url}/v1`, ...(how === 'is full' && { retryAfterMs: 3_000 }) });
  });

  it('whose file is at an origin that is down is not taken for a call that was never sent', async () => {
    jobs([]);
    const down = `http://127.0.0.1:${await freePort()}`;
    const options = elsewhere(`${down}/a.mp4`, { fileOrigins: [down] });
    const error = (await call({ options }).catch((thrown: unknown) => thrown)) as MillraceError;
    expect(error).toMatchObject({ code: 'BACKEND_ERROR', message: expect.stringContaining('ECONNREFUSED') });
    expect(error.details.unsent).toBeUndefined();
  });

  it('whose file needs a token that cannot be had is not taken for a call that was never sent', async () => {
    const unsent = new MillraceError('BACKEND_UNAVAILABLE', 'the token server is away', { unsent: true });
    const described = {
      api: { response: {} },
      call: { kind: 'generate', model: 'm', with: { makes: 'video' }, input: { prompt: 'a mill' } },
      scope: {},
      sender: { base: 'http://gpu/v1', origins: new Set(['http://gpu']), headers: {}, fixed: {} },
      transport: () => Promise.reject(unsent),
      context: { signal: new AbortController().signal, artifacts },
    } as unknown as Parameters<typeof generatedFiles>[1];
    const made = generatedFiles({ files: [{ url: 'http://gpu/v1/a.mp4' }] }, described);
    const error = (await made.catch((thrown: unknown) => thrown)) as MillraceError;
    expect(error).toMatchObject({ code: 'BACKEND_ERROR', message: expect.stringContaining('token server') });
    expect(error.details.unsent).toBeUndefined();
  });

  it.each(['file:///etc/passwd', 'data:video/mp4;base64,AAAA', 'http://'])(
    'whose file is at %s is refused',
    async (url) => {
      jobs([]);
      await expect(call({ options: elsewhere(url) })).rejects.toMatchObject({
        code: expect.stringMatching(/^(INVALID_OUTPUT|BACKEND_REJECTED)$/),
      });
    },
  );

  it('may answer at once: with bytes, or with events that tell the progress', async () => {
    server.gives(200, FLAC, { 'content-type': 'audio/flac' });
    const request = { path: '/music', json: { prompt: '$/input/prompt' } };
    const music = await call({ options: { request, response: { as: 'bytes' } }, makes: 'audio' });
    expect(music.output).toMatchObject({ audio: { mime: 'audio/flac' } });
    const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
    server.gives(200, `${event({ done: 0.5 })}${event({ end: true, file: PNG.toString('base64') })}`, {
      'content-type': 'text/event-stream',
    });
    const stream = { as: 'sse', progress: { at: '/body/done' }, end: { at: '/body/end', exists: true } };
    const told: number[] = [];
    const image = await call({
      options: { request, response: { stream, output: { files: [{ base64: '$/body/file' }] } } },
      makes: 'image',
      context: { progress: (share) => void told.push(share) },
    });
    expect(image.output).toMatchObject({ image: { mime: 'image/png' }, images: [{ mime: 'image/png' }] });
    expect(told).toEqual([0.5]);
  });

  it.each<[JsonObject, string]>([
    [{ ...api, accepts: { properties: { a: { pattern: '(a+)+\\1' } } } }, 'options.accepts'],
    [elsewhere('x', { fileOrigins: ['https://a.example/path'] }), 'options.response.fileOrigins.0'],
    [{ ...api, job: { ...(api.job as JsonObject), progress: { at: '/body/p', of: 0 } } }, 'options.job.progress.of'],
  ])('is described in a way that can be checked: %#', (options, field) => {
    expect(() => open(options)).toThrow(
      expect.objectContaining({ details: { fields: [expect.objectContaining({ field })] } }),
    );
  });
});

describe('POST /v1/images/generations (a fixture)', () => {
  let server: SimulatedServer;
  beforeEach(async () => {
    server = await SimulatedServer.start();
  });
  afterEach(() => server.stop());

  const b64_json = PNG.toString('base64');
  const paint = (input: JsonObject = {}, own: JsonObject = {}, options: JsonObject = {}) => {
    const openai = openAiConnector();
    return invoke(
      server.connect(optionsOf(openai, { kind: 'generate', options }, 'options')),
      { kind: 'generate', with: { makes: 'image', ...own }, input: { prompt: 'a mill', ...input } },
      { artifacts },
    );
  };

  it('makes the images that were asked for, with the options that OpenAI has', async () => {
    server.json(200, {
      data: [{ b64_json }, { b64_json: `data:image/png;base64,${b64_json}` }],
      usage: { input_tokens: 3, output_tokens: 9 },
    });
    const { output, usage } = await paint({ count: 2, options: { size: '512x512' } }, { options: { seed: 7 } });
    expect(output).toMatchObject({ image: { mime: 'image/png', bytes: PNG.length }, images: [{}, {}] });
    expect(STAGE_KINDS.generate.output.safeParse(output).error).toBeUndefined();
    expect(usage).toEqual({ inputTokens: 3, outputTokens: 9 });
    expect(server.received[0]).toMatchObject({ url: '/v1/images/generations' });
    expect(server.received[0]?.body).toEqual({
      model: 'm',
      prompt: 'a mill',
      n: 2,
      response_format: 'b64_json',
      size: '512x512',
      seed: 7,
    });
  });

  it('takes a pool’s own schema, and leaves the format to servers that know one only', async () => {
    server.json(200, { data: [{ b64_json }] });
    await paint({ options: { lora: 'mills' } }, {}, poolOf('docs/reference/servers/openai-compatible.md', 'painter'));
    expect(server.received.pop()?.body).toMatchObject({ size: '1024x1024', lora: 'mills' });
    const accepts = { type: 'object', properties: { steps: { type: 'integer', maximum: 50, default: 20 } } };
    await paint({}, {}, { accepts, imagesAs: 'server', extra: { lora: 'mills' } });
    expect(server.received[0]?.body).toEqual({ model: 'm', prompt: 'a mill', steps: 20, lora: 'mills' });
    await expect(paint({ options: { steps: 51 } }, {}, { accepts })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(paint({ options: { n: 9 } }, {}, { accepts: {} })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: 'options.n' }] },
    });
  });

  it.each<[string, unknown, string]>([
    ['no list', { data: null }, 'INVALID_OUTPUT'],
    ['none', { data: [] }, 'INVALID_OUTPUT'],
    ['an address', { data: [{ url: 'http://169.254.169.254/' }] }, 'INVALID_OUTPUT'],
    ['too many', { data: [{ b64_json }, { b64_json }] }, 'INVALID_OUTPUT'],
    ['text', { data: [{ b64_json: Buffer.from('no image').toString('base64') }] }, 'INVALID_OUTPUT'],
    ['no base64', { data: [{ b64_json: '%%%' }] }, 'INVALID_OUTPUT'],
  ])('an answer with %s is %s', async (_, body, code) => {
    server.json(200, body);
    await expect(paint()).rejects.toMatchObject({ code });
  });

  it.each<[string, JsonObject, JsonObject, string]>([
    ['a video', {}, { makes: 'video' }, 'CAPABILITY_MISSING'],
    ['an image to start from', { images: [{ uri: 'artifact://t/a' }] }, {}, 'CAPABILITY_MISSING'],
    ['an option that OpenAI has not', { options: { steps: 3 } }, {}, 'INVALID_INPUT'],
    ['a size that is none', { options: { size: '99999x1' } }, {}, 'INVALID_INPUT'],
  ])('%s is refused before a request', async (_, input, own, code) => {
    await expect(paint(input, own)).rejects.toMatchObject({ code });
    expect(server.received).toEqual([]);
  });

  it('is probed without generating anything', async () => {
    server.models = { status: 200, body: { data: [{ id: 'm' }] } };
    await server
      .connect(optionsOf(openAiConnector(), { kind: 'generate', options: {} }, 'options'))
      .probe('m', 'generate', AbortSignal.timeout(110_000));
    expect(server.received).toEqual([]);
  });
});
