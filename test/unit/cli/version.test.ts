import { Command } from 'commander';
import { afterEach, expect, it, vi } from 'vitest';
import { asksForRelease } from '../../../cli/arguments.js';
import { serverCommands } from '../../../cli/commands/servers.js';
import { releaseOf } from '../../../workers/release.js';

afterEach(() => vi.restoreAllMocks());

it('is asked for by --version alone: "runs" has an option of that name, for the version of a plan', () => {
  expect(asksForRelease(['node', 'millrace', '--version'])).toBe(true);
  for (const more of [[], ['--help'], ['runs', '--version', 'a1b2c3'], ['--version', 'a1b2c3'], ['version']])
    expect(asksForRelease(['node', 'millrace', ...more]), more.join(' ')).toBe(false);
});

it('is printed alone, without reading a setting', async () => {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const cli = new Command('millrace');
  serverCommands(cli, () => Promise.reject(new Error('settings were read')));
  await cli.parseAsync(['version'], { from: 'user' });
  expect(out).toBe(`${releaseOf()}\n`);
});
