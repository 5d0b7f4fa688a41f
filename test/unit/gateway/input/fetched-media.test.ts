import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { fetchedMedia } from '../../../../gateway/input/fetched-media.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { image, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { readSettings } from '../../../../workers/settings.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const looks = pipeline('looks', { input: z.object({ images: z.array(image()) }) }, ({ input }) => ({
  first: input.images,
}));

const asked: { path: string; headers: NodeJS.Dict<string | string[]> }[] = [];
const ANSWERS: Record<string, (response: ServerResponse) => void> = {
  '/a.png': (response) => response.end(PNG),
  '/moved': (response) => response.writeHead(302, { location: '/a.png' }).end(),
  '/away': (response) => response.writeHead(302, { location: `${origins.other}/a.png` }).end(),
  '/nowhere': (response) => response.writeHead(302).end(),
  '/loop': (response) => response.writeHead(307, { location: '/loop' }).end(),
  '/large': (response) => response.end(Buffer.alloc(300_000, PNG)),
  '/endless': (response) => {
    const write = (): void => void (response.destroyed || response.write(Buffer.alloc(65_536, PNG), write));
    write();
  },
  '/cut': (response) => {
    response.writeHead(200, { 'content-length': '1000' }).write(PNG);
    setTimeout(() => response.destroy(), 20);
  },
  '/slow': (response) => response.write(PNG),
  '/text': (response) => response.end('no image'),
};

const serve = async (): Promise<Server> => {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/\?.*/, '');
    asked.push({ path, headers: request.headers });
    const answer = ANSWERS[path];
    if (answer) answer(response);
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
};
const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

let servers: readonly [Server, Server];
let gateway: TestGateway;
const origins = { own: '', other: '' };

beforeAll(async () => {
  servers = [await serve(), await serve()];
  origins.own = originOf(servers[0]);
  origins.other = originOf(servers[1]);
  const pipelines = [chatModel, looks] as unknown as Pipeline[];
  gateway = await testGateway({ mediaOrigins: [origins.own] }, { pipelines, placementOf: () => ({}) });
  gateway.temporal.onStart = (run) => run.end({ output: { text: 'So.' }, stages: [] });
});
afterAll(async () => {
  await gateway.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const run = (...uris: string[]) =>
  gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/looks/runs',
    payload: { images: uris.map((uri) => ({ uri })) },
  });
const chat = (url: string) =>
  gateway.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    payload: {
      model: 'chat',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url } },
          ],
        },
      ],
    },
  });
const inputGiven = (): JsonObject => gateway.temporal.only().options.args[0];
const problem = (response: { json(): unknown }) => response.json() as { code: string; detail: string };

describe('media of an origin that the operator names', () => {
  test.each(['/a.png', '/moved', '/a.png?signature=x'])('are fetched into the store: %s', async (path) => {
    gateway.temporal.runs.clear();
    asked.length = 0;
    const response = await run(`${origins.own}${path}`);
    expect(response.statusCode).toBe(202);
    expect(inputGiven()).toEqual({
      images: [
        expect.objectContaining({ uri: expect.stringMatching(/^artifact:/), mime: 'image/png', bytes: PNG.length }),
      ],
    });
    for (const { headers } of asked) expect(headers).not.toHaveProperty('authorization');
  });

  test('are fetched for the clients of other doors', async () => {
    gateway.temporal.runs.clear();
    expect((await chat(`${origins.own}/a.png`)).statusCode).toBe(200);
    expect(inputGiven()).toMatchObject({ prompt: 'What is it?', images: [{ mime: 'image/png' }] });
    expect(JSON.stringify(inputGiven())).not.toContain('http:');
  });

  test.each([
    ['/missing', /answered 404/],
    ['/away', /redirected: http:\S+ is none of the origins/],
    ['/nowhere', /redirected to nowhere/],
    ['/loop', /redirected more than 3 times/],
    ['/cut', /cannot be fetched/],
    ['/text', /./],
  ])('that cannot be fetched are named: %s', async (path, why) => {
    gateway.temporal.runs.clear();
    const { code, detail } = problem(await run(`${origins.own}${path}?signature=secret`));
    expect(code).toBe('INVALID_MEDIA');
    expect(detail).toMatch(why);
    expect(detail).toContain('images.0');
    expect(detail).not.toContain('secret');
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test.each(['/large', '/endless'])('are taken up to the limit of media: %s', async (path) => {
    expect(problem(await run(`${origins.own}${path}`)).code).toBe('BODY_TOO_LARGE');
    expect(await gateway.incoming()).toEqual([]);
  });

  test('are waited for as long as a request may take', async () => {
    const fetching = { origins: [origins.own], maxBytes: 1_000, within: AbortSignal.timeout(100) };
    const pieces: Uint8Array[] = [];
    const fetched = (async () => {
      for await (const piece of fetchedMedia(`${origins.own}/slow`, fetching)) pieces.push(piece);
    })();
    await expect(fetched).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
      message: expect.stringMatching(/\/slow cannot be fetched: .* not complete within 60 s for all media$/),
    });
    expect(Buffer.concat(pieces).length).toBeLessThanOrEqual(PNG.length);
  });

  test('are at most twenty a request', async () => {
    gateway.temporal.runs.clear();
    asked.length = 0;
    const { code, detail } = problem(await run(...Array<string>(21).fill(`${origins.own}/a.png`)));
    expect([code, detail]).toEqual(['INVALID_INPUT', expect.stringContaining('limit of 20 media')]);
    expect(asked.length).toBeLessThanOrEqual(20);
  });
});

describe('nothing else is fetched:', () => {
  test.each([
    () => `${origins.other}/a.png`,
    () => origins.own.replace('127.0.0.1', 'localhost'),
    () => origins.own.replace('http:', 'https:'),
    () => `${origins.own.replace('//', '//user:pass@')}/a.png`,
    () => `${origins.own}.evil.example/a.png`,
    () => 'http://169.254.169.254/latest/meta-data',
    () => 'HTTP://[::1]:80/',
    () => 'file:///etc/passwd',
  ])('%s', async (address) => {
    gateway.temporal.runs.clear();
    asked.length = 0;
    const { code, detail } = problem(await run(address()));
    expect(code).toBe('INVALID_INPUT');
    expect(detail).toContain('images.0.uri');
    expect((await chat(address())).json()).toMatchObject({ error: { param: 'messages[0]', code: 'INVALID_INPUT' } });
    expect(asked).toEqual([]);
    expect(gateway.temporal.runs.size).toBe(0);
  });
});

test('the setting takes origins alone', () => {
  const { MILLRACE_MEDIA_ORIGINS: read } = readSettings({ MILLRACE_MEDIA_ORIGINS: 'https://a.example, http://b:9000' });
  expect(read).toEqual(['https://a.example', 'http://b:9000']);
  for (const value of ['*', 'https://*.example', 'https://a.example/images', 'a.example'])
    expect(() => readSettings({ MILLRACE_MEDIA_ORIGINS: value })).toThrow(/MILLRACE_MEDIA_ORIGINS: must be origins/);
});
