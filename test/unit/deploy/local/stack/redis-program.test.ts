import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { chooseRedis, chosenRedis } from '../../../../../deploy/local/stack/redis-program.js';
import { script } from './fake-programs.js';

const newHome = () => mkdtempSync(path.join(tmpdir(), 'redis-program-'));

/** A part has begun its data. */
const begun = (home: string, line: string) => mkdirSync(path.join(home, 'redis', line), { recursive: true });

/** A machine with these servers; `changes` is what it reports of changes. */
function machine(home: string) {
  const versions = new Map<string, string>();
  const changes: string[] = [];
  const install = (name: string, version: string) => {
    const server = script(path.join(home, name), 'redis-server', 'true');
    versions.set(server, version);
    return { server, version };
  };
  const choose = (onPath: { server: string; version: string } | undefined, installed = install('venv', '8.2.3')) =>
    chooseRedis({
      home,
      onPath: async () => onPath,
      installed: async () => installed,
      versionOf: async (server) => versions.get(server),
      onChange: (what) => changes.push(what),
    });
  return { install, choose, changes, versions };
}

it('a server that appears on PATH does not take the place of the one that has the data', async () => {
  const home = newHome();
  const { install, choose, changes } = machine(home);
  const first = await choose(undefined);
  expect(first).toMatchObject({ version: '8.2.3', line: '8.2', why: expect.stringContaining('installed package') });
  const second = await choose(install('system', '8.0.0'));
  expect(second).toMatchObject({
    server: first.server,
    version: '8.2.3',
    line: '8.2',
    why: expect.stringMatching(/as the last time/),
  });
  expect(changes).toEqual([]);
});

it('one that is gone, or is another version by now, is replaced aloud, and the data stays where it is', async () => {
  const home = newHome();
  const { install, choose, changes, versions } = machine(home);
  const system = install('system', '8.0.0');
  expect(await choose(system)).toMatchObject({ line: '8.0', why: expect.stringContaining('PATH') });
  begun(home, '8.0');
  versions.set(system.server, '8.1.0');
  expect(await choose({ ...system, version: '8.1.0' })).toMatchObject({ version: '8.1.0', line: '8.0' });
  expect(changes.pop()).toMatch(/changed from 8\.0\.0 to 8\.1\.0.*8\.1\.0.*redis\/8\.0/);
  rmSync(system.server);
  expect(await choose(undefined)).toMatchObject({ version: '8.2.3', line: '8.0' });
  expect(changes.pop()).toMatch(/no longer exists.*8\.2\.3.*redis\/8\.0/);
  expect(chosenRedis(home)).toMatchObject({ version: '8.2.3', line: '8.0' });
});

it('data from before a server was recorded stays in use: by a server that can read it, not by the first on PATH', async () => {
  const home = newHome();
  for (const line of ['7.4', '8.2']) begun(home, line);
  const { install, choose, changes } = machine(home);
  expect(await choose(install('system', '8.0.0'))).toMatchObject({
    version: '8.2.3',
    line: '8.2',
    why: expect.stringContaining('8.0.0 on PATH is older than the data'),
  });
  expect(changes.shift()).toMatch(/data of Redis 7\.4 exists as well/);
  expect(changes.shift()).toMatch(/redis\/8\.2/);
});

it('a server that cannot read the data is not started beside it', async () => {
  const home = newHome();
  const { install, choose, versions } = machine(home);
  const system = install('system', '8.4.1');
  expect(await choose(system)).toMatchObject({ version: '8.4.1', line: '8.4' });
  begun(home, '8.4');
  versions.set(system.server, '8.0.0');
  await expect(choose({ ...system, version: '8.0.0' })).rejects.toMatchObject({
    code: 'STACK_START_FAILED',
    message: expect.stringMatching(/written by Redis 8\.4.*only 8\.0\.0 and 8\.2\.3/),
  });
  expect(chosenRedis(home), 'nothing is switched').toMatchObject({ version: '8.4.1', line: '8.4' });
});

it('what was used before and is installed again is no change', async () => {
  const home = newHome();
  const { choose, changes, install } = machine(home);
  const { server } = await choose(undefined);
  begun(home, '8.2');
  rmSync(server);
  expect(await choose(undefined, install('venv', '8.2.3'))).toMatchObject({ server, line: '8.2' });
  expect(changes).toEqual([]);
});
