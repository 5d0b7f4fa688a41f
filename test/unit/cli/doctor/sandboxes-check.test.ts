import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { carryOut } from '../../../../cli/doctor/examine.js';
import { exitCodeOf } from '../../../../cli/doctor/index.js';
import { sandboxChecks } from '../../../../cli/doctor/sandboxes-check.js';
import { readSettings } from '../../../../workers/settings.js';
import { freePort } from '../../../support/free-port.js';

let folder: string;
let file: string;
const closes: (() => void)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-doctor-'));
  file = path.join(folder, 'sandboxes.json');
});
afterEach(async () => {
  for (const close of closes.splice(0)) close();
  await rm(folder, { recursive: true });
});

/** A sandbox service that gives this answer, and what it was sent. */
async function service(answers: RequestListener) {
  const sent: { authorization: string | undefined; body: Record<string, unknown> }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    sent.push({
      authorization: request.headers.authorization,
      body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
    });
    answers(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closes.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/run`, sent };
}
const json =
  (value: unknown, status = 200): RequestListener =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

/** What doctor finds of the sandboxes of a file. */
async function found(config: unknown) {
  await writeFile(file, typeof config === 'string' ? config : JSON.stringify(config));
  return await carryOut(await sandboxChecks(readSettings({ MILLRACE_SANDBOXES: file })));
}
const python = (url: string) => ({
  url,
  headers: { authorization: 'Bearer k3y-of-the-service' },
  languages: ['python'],
});

describe('the sandboxes that doctor looks at', () => {
  it('are none without a file', async () => {
    expect(await sandboxChecks(readSettings({}))).toEqual([]);
  });

  it('are called as a worker calls them, in each of their languages', async () => {
    const { url, sent } = await service(json({ result: 1 }));
    const findings = await found({ python: { ...python(url), languages: ['python', 'bash'] } });
    expect(findings).toMatchObject([
      { id: 'sandbox.reachable', state: 'ok', about: `python at ${url}`, detail: 'it runs python' },
      { id: 'sandbox.reachable', state: 'ok', about: `python at ${url}`, detail: 'it runs bash' },
    ]);
    expect(sent.map(({ body }) => body.language).sort()).toEqual(['bash', 'python']);
    expect(sent[0]).toMatchObject({
      authorization: 'Bearer k3y-of-the-service',
      body: { code: '1', files: [], tenant: 'default', limits: { fileBytes: 0 } },
    });
  });

  it('may find the code wrong: they have answered', async () => {
    const { url } = await service(json({ error: '1: command not found\nline 1' }));
    expect(await found({ shell: { url, languages: ['bash'] } })).toMatchObject([
      { id: 'sandbox.reachable', state: 'ok', detail: 'it answers to bash: 1: command not found' },
    ]);
  });

  it('are named where they are away, and what to do', async () => {
    const url = `http://127.0.0.1:${await freePort()}/run`;
    const findings = await found({ python: python(url) });
    expect(findings).toEqual([
      {
        id: 'sandbox.reachable',
        about: `python at ${url}`,
        state: 'fail',
        detail: expect.stringMatching(/^python: SANDBOX_UNAVAILABLE: .*ECONNREFUSED/),
        remedy: `start the service, or correct its url in ${file}`,
      },
    ]);
    expect(exitCodeOf(findings)).toBe(3);
  });

  it('that refuse the call are there, and their headers are not shown', async () => {
    const { url } = await service(json({ error: 'the key k3y-of-the-service is unknown' }, 401));
    const findings = await found({ python: python(url) });
    expect(findings).toMatchObject([
      { id: 'sandbox.reachable', state: 'ok' },
      { id: 'sandbox.call', state: 'fail', detail: expect.stringContaining('HTTP 401') },
    ]);
    expect(JSON.stringify(findings)).not.toContain('k3y-of-the-service');
    expect(exitCodeOf(findings.filter(({ state }) => state === 'fail'))).toBe(1);
  });

  it('that answer something else fail', async () => {
    const { url } = await service(json({ stdout: 7 }));
    expect(await found({ python: python(url) })).toMatchObject([
      { id: 'sandbox.reachable', state: 'ok' },
      { id: 'sandbox.call', state: 'fail', detail: expect.stringContaining('stdout') },
    ]);
  });

  it('are warned of where their headers leave this machine in plain text', async () => {
    const findings = await found({ python: python('http://sandbox.invalid/run') });
    expect(findings).toMatchObject([
      { id: 'sandbox.key', state: 'warn', about: 'python at http://sandbox.invalid/run' },
      { id: 'sandbox.reachable', state: 'fail' },
    ]);
  });

  it('run in the worker too', async () => {
    expect(await found({ scripts: { engine: 'quickjs' } })).toMatchObject([
      { id: 'sandbox.reachable', state: 'ok', about: 'scripts', detail: 'it runs javascript' },
    ]);
  });

  it.each([
    ['is no JSON', '{', /cannot read/],
    ['does not fit', { python: { url: 'https://a.test/run' } }, /languages/],
  ])('fail together where the file %s', async (_, config, why) => {
    expect(await found(config)).toMatchObject([
      { id: 'settings.sandboxes', state: 'fail', about: file, detail: expect.stringMatching(why) },
    ]);
  });
});
