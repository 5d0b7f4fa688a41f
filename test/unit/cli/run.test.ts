import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { resumeRun, runPipeline } from '../../../cli/run.js';
import { testSettings } from '../../support/settings.js';

const artifactOf = (name: string) => {
  const sha256 = name.repeat(64);
  return { uri: `artifact://default/${sha256}`, sha256, mime: 'audio/wav', bytes: 4, href: `/v1/artifacts/${name}` };
};
const ended = {
  id: 'speak-1',
  status: 'succeeded',
  links: { ui: 'http://temporal/speak-1' },
  output: { reply: 'Paris', lost: artifactOf('a'), speech: artifactOf('b') },
};

/** A gateway whose run has ended, and that cannot read the first of its artifacts. */
const requests: string[] = [];
const gateway = createServer((request, response) => {
  const { method, url = '' } = request;
  requests.push(`${method} ${url}`);
  request.resume();
  if (url.endsWith('/b')) return void response.end('RIFF');
  const [status, body] = url.endsWith('/a')
    ? ([404, { code: 'ARTIFACT_NOT_FOUND', detail: 'it is gone' }] as const)
    : ([method === 'POST' ? 202 : 200, ended] as const);
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
});
beforeAll(async () => {
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
});
afterAll(() => {
  gateway.close();
  gateway.closeAllConnections();
});

let printed = '';
beforeEach(() => {
  printed = '';
  requests.length = 0;
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-run-'));
const settings = () =>
  testSettings({ MILLRACE_GATEWAY_URL: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` });
const COMMANDS = [
  ['run', (out: string) => runPipeline(settings(), 'speak', { input: {}, out, json: true })],
  ['resume', (out: string) => resumeRun(settings(), 'speak-0', { out, json: true })],
] as const;

describe.each(COMMANDS)('millrace %s', (name, command) => {
  it('prints a run some of whose media cannot be saved, saves the others, and exits with 1', async () => {
    const out = path.join(folder, name);
    await command(out);
    const file = path.join(out, 'speak-1-speech.wav');
    expect(JSON.parse(printed)).toMatchObject({ output: { reply: 'Paris' }, files: { speech: file } });
    expect(readFileSync(file, 'utf8')).toBe('RIFF');
    expect(process.exitCode).toBe(1);
  });

  it('starts nothing where the folder for media cannot be written to', async () => {
    const file = path.join(folder, `${name}-file`);
    writeFileSync(file, '');
    for (const out of [file, path.join(file, 'below')]) {
      await expect(command(out)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        details: { fields: [{ field: '--out', message: expect.stringContaining(`cannot write to ${out}`) }] },
      });
    }
    expect(requests).toEqual([]);
    expect(existsSync(path.join(file, 'below'))).toBe(false);
  });
});
