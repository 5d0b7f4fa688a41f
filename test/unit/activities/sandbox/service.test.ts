import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Program } from '../../../../activities/sandbox/sandbox.js';
import { SandboxService } from '../../../../activities/sandbox/service.js';

type Answers = (request: IncomingMessage, response: ServerResponse) => void;
const received: { headers: IncomingMessage['headers']; body: unknown }[] = [];
let answers: Answers;
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  received.push({ headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
  answers(request, response);
});
const json =
  (value: unknown, status = 200): Answers =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

const announced =
  (bytes: number): Answers =>
  (_, response) =>
    void response.writeHead(200, { 'content-length': bytes }).end(Buffer.alloc(bytes, ' '));

let url = '';
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/run`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  received.length = 0;
});

const LIMITS = { timeMs: 5_000, memoryBytes: 1_000_000, outputCharacters: 1_000, fileBytes: 1_000 };
const program = (more: Partial<Program> = {}): Program => ({
  language: 'python',
  code: 'print(1)',
  files: [{ name: 'a.bin', bytes: Uint8Array.of(0, 255) }],
  limits: LIMITS,
  tenant: 'acme',
  idempotencyKey: 'run/answer/turn-1/run_code',
  signal: new AbortController().signal,
  ...more,
});
const service = (at = url) =>
  new SandboxService('python', { url: at, headers: { authorization: 'Bearer k3y' }, languages: ['python'] });

describe('a sandbox service', () => {
  it('gets the program with its limits, tenant and key, and its answer is the outcome', async () => {
    answers = json({
      stdout: '1\n',
      stderr: 'a warning',
      result: { n: 1 },
      files: [{ name: 'out.bin', content: 'AP8=' }],
      error: null,
    });
    expect(await service().run(program())).toEqual({
      result: { n: 1 },
      stdout: '1\n\na warning',
      files: [{ name: 'out.bin', bytes: Buffer.from([0, 255]) }],
    });
    expect(received).toEqual([
      {
        headers: expect.objectContaining({
          authorization: 'Bearer k3y',
          'idempotency-key': 'run/answer/turn-1/run_code',
        }),
        body: {
          language: 'python',
          code: 'print(1)',
          files: [{ name: 'a.bin', content: 'AP8=' }],
          limits: LIMITS,
          tenant: 'acme',
        },
      },
    ]);
  });

  it('says what is wrong with the code', async () => {
    answers = json({ stdout: 'so far', error: 'NameError: name "x" is not defined' });
    expect(await service().run(program())).toEqual({
      stdout: 'so far',
      files: [],
      error: 'NameError: name "x" is not defined',
    });
  });

  it.each([
    [429, 'SANDBOX_UNAVAILABLE'],
    [503, 'SANDBOX_UNAVAILABLE'],
    [500, 'SANDBOX_UNAVAILABLE'],
    [400, 'SANDBOX_FAILED'],
    [401, 'SANDBOX_FAILED'],
    [404, 'SANDBOX_FAILED'],
  ])('that answers with %i is %s', async (status, code) => {
    answers = (_, response) => void response.writeHead(status, { 'retry-after': '2' }).end('no room');
    await expect(service().run(program())).rejects.toMatchObject({
      code,
      message: `sandbox "python": HTTP ${status}: no room`,
      details: { retryAfterMs: 2_000 },
    });
  });

  it('leads nowhere else', async () => {
    answers = (_, response) => void response.writeHead(307, { location: url }).end();
    await expect(service().run(program())).rejects.toMatchObject({ code: 'SANDBOX_FAILED' });
    expect(received).toHaveLength(1);
  });

  it.each<[string, Answers, RegExp]>([
    ['no JSON', (_, response) => void response.end('<html>'), /text is not JSON/],
    ['another shape', json({ stdout: 1 }), /stdout/],
    ['files that are no base64', json({ files: [{ name: 'a', content: '%' }] }), /files\.0\.content/],
    [
      'too many files',
      json({ files: Array.from({ length: 17 }, (_, i) => ({ name: `${i}`, content: '' })) }),
      /16 files/,
    ],
    ['too much', json({ stdout: 'x'.repeat(200_000) }), /more than \d+ bytes/],
    ['what says to be much more', announced(70_000_000), /longer than 64 MiB/],
    ['an endless answer', endless, /more than \d+ bytes/],
  ])('is not believed: %s', async (_, answer, message) => {
    answers = answer;
    await expect(service().run(program())).rejects.toMatchObject({
      code: 'SANDBOX_FAILED',
      message: expect.stringMatching(message),
    });
  });

  it('that is away is SANDBOX_UNAVAILABLE', async () => {
    await expect(service('http://127.0.0.1:1/run').run(program())).rejects.toMatchObject({
      code: 'SANDBOX_UNAVAILABLE',
    });
  });

  it('is left at an abort, and sees its connection closed', async () => {
    const controller = new AbortController();
    const reason = new Error('the run was cancelled');
    const left = new Promise<void>((resolve) => {
      answers = (request, response) => {
        response.once('close', resolve);
        if (request.complete) controller.abort(reason);
      };
    });
    await expect(service().run(program({ signal: controller.signal }))).rejects.toBe(reason);
    await left;
  });
});

/** Writes as fast as it is read. */
function endless(_: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const more = () => {
    while (!response.destroyed && response.write(' '.repeat(64 * 1024)));
  };
  response.on('drain', more).on('error', () => undefined);
  more();
}
