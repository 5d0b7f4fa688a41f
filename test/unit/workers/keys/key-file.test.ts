import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { issueKey } from '../../../../gateway/index.js';
import { changeKeys, openAccess, readKeys } from '../../../../workers/keys/index.js';
import { WatchedKeys } from '../../../../workers/keys/watched-keys.js';
import { readSettings } from '../../../../workers/settings.js';
import { unlessStill } from '../../../support/unless-still.js';

const newFile = () => path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'keys.json');
const issue = () => issueKey({ name: '', tenant: 'acme', permissions: ['read'] });
const logger = pino({ level: 'silent' });

test('keys are kept as hashes, for their owner’s eyes, and writers do not overwrite each other', async () => {
  const file = newFile();
  const issued = Array.from({ length: 8 }, issue);
  await Promise.all(issued.map(({ key }) => changeKeys(file, (keys) => [...keys, key], { create: true })));
  expect(
    readKeys(file)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(issued.map(({ key }) => key.id).sort());
  const text = readFileSync(file, 'utf8');
  for (const { secret } of issued) expect(text).not.toContain(secret);
  expect(statSync(file).mode & 0o077).toBe(0);
});

test.each([
  ['a missing file', undefined],
  ['no JSON, which is not quoted', '{"keys": [{"sha256": millrace_secret'],
  ['another shape', '{"keys": [{"id": "a"}]}'],
  ['an unknown field', '{"keys": [], "more": 1}'],
])('%s is refused', (_, text) => {
  const file = newFile();
  if (text !== undefined) writeFileSync(file, text);
  const read = () => readKeys(file);
  expect(read).toThrow(expect.objectContaining({ code: 'INVALID_SETTING' }));
  expect(read).not.toThrow(/millrace_secret/);
});

test('the same id twice is refused', () => {
  const file = newFile();
  const { key } = issue();
  writeFileSync(file, JSON.stringify({ keys: [key, key] }));
  expect(() => readKeys(file)).toThrow(/keys\.1\.id: .* appears twice/);
});

test(
  'a gateway takes up a new key and drops a revoked one within seconds, and bears with a broken file',
  {
    timeout: 120_000,
  },
  () =>
    unlessStill(async () => {
      const file = newFile();
      const [first, second] = [issue(), issue()];
      await changeKeys(file, () => [first.key], { create: true });
      const lines: string[] = [];
      const keys = new WatchedKeys(file, pino({}, { write: (line: string) => void lines.push(line) }));
      try {
        expect(keys.find(first.secret)?.id).toBe(first.key.id);
        const revokedAt = new Date().toISOString();
        await changeKeys(file, () => [{ ...first.key, revokedAt }, second.key], { create: false });
        await expect.poll(() => keys.find(second.secret)?.id, { timeout: 6_000 }).toBe(second.key.id);
        expect(keys.find(first.secret)).toBeUndefined();
        writeFileSync(file, 'broken');
        await expect.poll(() => lines.join(''), { timeout: 6_000 }).toContain('cannot be read');
        expect(keys.find(second.secret)?.id).toBe(second.key.id);
      } finally {
        keys.close();
      }
    }),
);

test('a gateway that others can reach needs keys, or a proxy that shows a secret', async () => {
  const open = (MILLRACE_GATEWAY_HOST: string, more: Record<string, string> = {}) =>
    openAccess(readSettings({ MILLRACE_GATEWAY_HOST, ...more }), logger);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'gateway.example', '127.example'])
    await expect(open(host)).rejects.toMatchObject({ code: 'INVALID_SETTING' });
  for (const host of ['127.0.0.1', '::1', 'localhost']) await open(host);
  const proxy = { MILLRACE_PROXY_AUTHENTICATES: 'yes' };
  await open('127.0.0.1', proxy);
  const fields = [expect.objectContaining({ field: 'MILLRACE_PROXY_SECRET' })];
  const refused = { code: 'INVALID_SETTING', details: { fields } };
  await expect(open('0.0.0.0', proxy)).rejects.toMatchObject(refused);
  const short = async () => open('0.0.0.0', { ...proxy, MILLRACE_PROXY_SECRET: 'short' });
  await expect(short()).rejects.toThrow('MILLRACE_PROXY_SECRET');
  await open('0.0.0.0', { ...proxy, MILLRACE_PROXY_SECRET: 'x'.repeat(32) });
});

test('keys and a proxy exclude each other', async () => {
  const file = newFile();
  await changeKeys(file, () => [], { create: true });
  const both = { MILLRACE_KEYS: file, MILLRACE_PROXY_AUTHENTICATES: 'yes', MILLRACE_PROXY_SECRET: 'x'.repeat(32) };
  const fields = [expect.objectContaining({ field: 'MILLRACE_KEYS' })];
  const refused = { code: 'INVALID_SETTING', details: { fields } };
  await expect(openAccess(readSettings(both), logger)).rejects.toMatchObject(refused);
});
