import { mkdirSync, mkdtempSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterEach, expect, test, vi } from 'vitest';
import { pruneStore } from '../../../cli/artifacts.js';
import { storeCommands } from '../../../cli/commands/stores.js';
import { readSettings } from '../../../workers/settings.js';

const home = mkdtempSync(path.join(tmpdir(), 'millrace-'));
const MONTH_MS = 30 * 86_400_000;
const settings = readSettings({ MILLRACE_HOME: home });
const out = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
afterEach(() => out.mockClear());

test('a folder that has no artifact store is refused: it would be said that there is nothing to free', async () => {
  await expect(pruneStore(settings, { olderThan: MONTH_MS })).rejects.toMatchObject({
    code: 'INVALID_SETTING',
    details: { fields: [{ field: 'MILLRACE_HOME', message: expect.stringContaining(home) }] },
  });
});

test('a time without its unit is a mistake in the option, with an example', async () => {
  const cli = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  storeCommands(cli, async () => settings);
  const words = ['artifacts', 'prune', '--older-than', '30'];
  await expect(cli.parseAsync(words, { from: 'user' })).rejects.toMatchObject({
    code: 'commander.invalidArgument',
    message: expect.stringMatching(/--older-than.*'30'.*30d/),
  });
});

test('what would be removed is counted, with the folder', async () => {
  const sha256 = 'ab'.repeat(32);
  const folder = path.join(home, 'artifacts', 'acme', 'ab');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, sha256), 'x'.repeat(2 ** 20));
  const monthsAgo = new Date(Date.now() - 90 * 86_400_000);
  utimesSync(path.join(folder, sha256), monthsAgo, monthsAgo);
  await pruneStore(settings, { olderThan: MONTH_MS, dryRun: true });
  const printed = out.mock.calls
    .map(([text]) => String(text))
    .join('')
    .replaceAll(/\s+/g, ' ');
  expect(printed).toContain(`${path.join(home, 'artifacts')}: 1 artifacts (1.0 MiB) would be removed`);
});

test('a folder that cannot be read is an error', async () => {
  // Root may read all folders, but not a link to itself.
  symlinkSync('looping', path.join(home, 'artifacts', 'looping'));
  await expect(pruneStore(settings, { olderThan: MONTH_MS })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});
