import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { bodyOf } from '../../../client/values.js';
import { ERRORS } from '../../../pipelines/errors.js';
import { MOST_BYTES } from '../../../pipelines/json-limits.js';
import { ARTIFACT_URI } from '../../../pipelines/tenant.js';
import { type ChannelName, hashAfter, MOST_BYTES as MOST_HELD, startHash } from '../../../stores/channels/channel.js';
import { append, open, passed, read, restore } from '../../../stores/channels/scripts.js';
import { readSettings } from '../../../workers/settings.js';

/** What both languages state for themselves must be the same. */

const source = (file: string) =>
  readFileSync(fileURLToPath(new URL(`../../../python/src/millrace/${file}`, import.meta.url)), 'utf8');

it('the codes that Python never retries are those of the error table', () => {
  const [, block = ''] = /NEVER_RETRIED = frozenset\(\s*\{([^}]*)\}/.exec(source('errors.py')) ?? [];
  const never = Object.entries(ERRORS).filter(([, { retry }]) => retry === 'never');
  expect([...block.matchAll(/"(\w+)"/g)].map(([, code]) => code)).toEqual(never.map(([code]) => code).sort());
});

it('settings that Python reads have the same defaults', () => {
  const [, block = ''] = /DEFAULTS = \{([^}]*)\}/.exec(source('_settings.py')) ?? [];
  const stated = [...block.matchAll(/"(\w+)": "([^"]*)"/g)].map(([, name = '', value]) => [name, value ?? ''] as const);
  const settings = readSettings({}) as unknown as Record<string, unknown>;
  expect(stated.length).toBeGreaterThan(4);
  for (const [name, value] of stated)
    expect(String(settings[name]), name).toBe(name === 'MILLRACE_HOME' ? path.resolve(value) : value);
  const [, offset] = /_TEMPORAL_PORT_OFFSET = (\d+)/.exec(source('_settings.py')) ?? [];
  const { MILLRACE_TEMPORAL_PORT, MILLRACE_REDIS_PORT, MILLRACE_PORT_BASE } = readSettings({});
  expect(Number(offset)).toBe(MILLRACE_TEMPORAL_PORT - MILLRACE_PORT_BASE);
  const [, redis] = /_REDIS_PORT_OFFSET = (\d+)/.exec(source('_settings.py')) ?? [];
  expect(Number(redis)).toBe(MILLRACE_REDIS_PORT - MILLRACE_PORT_BASE);
  const [, share] = /_WORKERS_SHARE_OF_RESERVE = (\d+)/.exec(source('_settings.py')) ?? [];
  const compose = readFileSync(fileURLToPath(new URL('../../../workers/compose.ts', import.meta.url)), 'utf8');
  expect(compose).toContain(`const WORKERS_SHARE_OF_RESERVE = ${share};`);
});

it('the largest result and the address of an artifact are the same', () => {
  const [, most = ''] = /MOST_BYTES = ([\d_]+)/.exec(source('_json.py')) ?? [];
  expect(Number(most.replaceAll('_', ''))).toBe(MOST_BYTES);
  const python = source('artifact.py');
  const [, tenant = ''] = /_TENANT = "([^"]+)"/.exec(python) ?? [];
  const [, uri = ''] = /re\.compile\(f"([^"]+)"\)/.exec(python) ?? [];
  const filled = uri.replaceAll('{{', '\0').replaceAll('}}', '\x01').replace('{_TENANT}', tenant);
  expect(`^${filled.replaceAll('\0', '{').replaceAll('\x01', '}')}$`).toBe(ARTIFACT_URI.source.replaceAll('\\/', '/'));
});

const SCRIPTS = { append, open, passed, read, restore };

it.each(['append', 'open', 'passed', 'read', 'restore'] as const)(
  'the script "%s" of channels is the same',
  async (name) => {
    // To make it again: delete the file and run this test.
    const file = fileURLToPath(new URL(`../../../python/src/millrace/_lua/${name}.lua`, import.meta.url));
    await expect(`${SCRIPTS[name].lua.trim()}\n`).toMatchFileSnapshot(file);
  },
);

it('the type of the part with the fields of an input is the same', () => {
  const [, type] = /_INPUT_TYPE = "([^"]+)"/.exec(source('_body.py')) ?? [];
  const { body } = bodyOf({ speech: new Blob(['RIFF']), language: 'en' });
  expect(((body as FormData).get('input') as File).type).toBe(type);
});

it('channels hold as much, and their hashes are the same', () => {
  const [, most = ''] = /MOST_BYTES = ([\d_]+)/.exec(source('_channel.py')) ?? [];
  expect(Number(most.replaceAll('_', ''))).toBe(MOST_HELD);
  // python/tests/test_channel.py has the same values.
  const name: ChannelName = { run: 'run-ü', path: 'each[2]/count', of: 'entries' };
  const before = startHash(name);
  expect([before, hashAfter({ before, text: '{"value":"ä"}' })]).toEqual([
    '2319978abdd7305af0bd34e70874629b',
    '18428d81c6dd990a407055a1d53ba952',
  ]);
});
