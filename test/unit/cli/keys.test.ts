import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { createKey, limitKey, listKeys, revokeKey } from '../../../cli/keys.js';
import { issueKey } from '../../../gateway/access/index.js';
import { changeKeys, readKeys } from '../../../workers/keys/index.js';
import { readSettings } from '../../../workers/settings.js';

const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'keys.json');
const settings = readSettings({ MILLRACE_KEYS: file });
const plain = { tenant: 'acme', name: '', permissions: ['run', 'read'] };

const out = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
const err = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
afterEach(() => out.mockClear());
const printed = () => out.mock.calls.map(([text]) => String(text)).join('');

test('a key is made, listed without its hash, given a last day, and revoked', async () => {
  await createKey(settings, { ...plain, pipelines: ['assistant'], expires: '90d', rate: 2, runs: 7 });
  const secret = printed();
  expect(secret).toMatch(/^millrace_[\w-]{43}\n$/);
  expect(readFileSync(file, 'utf8')).not.toContain(secret.trim());
  out.mockClear();
  const listed = (): Record<string, unknown>[] => {
    out.mockClear();
    listKeys(settings, { json: true });
    return JSON.parse(printed()) as Record<string, unknown>[];
  };
  const [key] = listed();
  expect(key).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{10}$/),
    name: '',
    tenant: 'acme',
    pipelines: ['assistant'],
    permissions: ['run', 'read'],
    createdAt: expect.any(String),
    expiresAt: expect.any(String),
    limits: { rate: { perSecond: 2 }, runs: 7 },
    state: 'active',
  });
  await revokeKey(settings, String(key?.id), { after: '1h' });
  expect(listed()[0]?.state).toBe('active');
  expect(Date.parse(String(listed()[0]?.expiresAt)) - Date.now()).toBeLessThanOrEqual(3_600_000);
  await revokeKey(settings, String(key?.id), {});
  expect(listed()[0]?.state).toBe('revoked');
});

test.each([
  ['tenant', { tenant: 'No Tenant' }],
  ['pipelines', { pipelines: ['assistent'] }],
  ['permissions', { permissions: ['rule'] }],
  ['expires', { expires: 'soon' }],
])('a wrong %s makes no key', async (field, wrong) => {
  const before = readFileSync(file, 'utf8');
  const refused = createKey(settings, { ...plain, ...wrong });
  await expect(refused).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { fields: [{ field }] } });
  expect(readFileSync(file, 'utf8')).toBe(before);
});

test('a key that is in use is given limits, others, and those of its tenant again', async () => {
  await createKey(settings, plain);
  const last = () => {
    out.mockClear();
    listKeys(settings, { json: true });
    return (JSON.parse(printed()) as { id: string; limits?: unknown }[]).at(-1);
  };
  const before = last();
  const id = String(before?.id);
  await limitKey(settings, id, { rate: 5, runs: 20 });
  expect(last()).toEqual({ ...before, limits: { rate: { perSecond: 5 }, runs: 20 } });
  await limitKey(settings, id, { runs: 1 });
  expect(last()).toEqual({ ...before, limits: { runs: 1 } });
  await limitKey(settings, id, {});
  expect(last()).toEqual(before);
  await expect(limitKey(settings, 'nothing', { runs: 1 })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
});

test.each([
  ['has expired', { expiresAt: '2000-01-02T00:00:00Z' }, 'expired'],
  ['is revoked', { revokedAt: '2000-01-02T00:00:00Z' }, 'revoked'],
  ['ends earlier', { expiresAt: new Date(Date.now() + 60_000).toISOString() }, 'active'],
])('revoking later leaves a key that %s as it is, and says so', async (_, end, state) => {
  const { key } = issueKey({ name: '', tenant: 'acme', permissions: ['read'], ...end });
  await changeKeys(file, (keys) => [...keys, key], { create: true });
  err.mockClear();
  await revokeKey(settings, key.id, { after: '1d' });
  expect(readKeys(file).at(-1)).toEqual(key);
  const said = err.mock.calls.map(([text]) => String(text)).join('');
  expect(said).toContain('stays as it is');
  expect(said).not.toContain('gateways apply it');
  out.mockClear();
  listKeys(settings, { json: true });
  expect((JSON.parse(printed()) as { state: string }[]).at(-1)?.state).toBe(state);
});

test('there is a file to name, and a key to revoke', async () => {
  await expect(createKey(readSettings({}), plain)).rejects.toMatchObject({ code: 'INVALID_SETTING' });
  await expect(revokeKey(settings, 'nothing', {})).rejects.toMatchObject({ code: 'INVALID_INPUT' });
});
