import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { STACK_MARK } from '../../../deploy/local/stack/marks.js';
import { identify, isAlive, markedProcesses } from '../../../runtime/process-identity.js';

const children: ChildProcess[] = [];
const folder = mkdtempSync(path.join(tmpdir(), 'identity-'));

async function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
  children.push(child);
  await once(child, 'spawn');
  return child.pid ?? 0;
}

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

describe('process identity', () => {
  it('knows the process again, and tells it from another with the same pid', async () => {
    const found = identify(await run('sleep', ['60']));
    if (!found) throw new Error('not found');
    expect(found.command).toBe('sleep 60');
    expect(isAlive(found)).toBe(true);
    expect(isAlive({ ...found, startTicks: found.startTicks - 1 })).toBe(false);
    expect(isAlive({ ...found, program: '/usr/bin/other' })).toBe(false);
  });

  it('ends with the process', async () => {
    const found = identify(await run('sleep', ['60']));
    if (!found) throw new Error('not found');
    const [child] = children;
    child?.kill('SIGKILL');
    if (child) await once(child, 'exit');
    expect(isAlive(found)).toBe(false);
    expect(identify(found.pid)).toBeUndefined();
  });

  it('reads the start time past a program name that holds parentheses and spaces', async () => {
    const odd = path.join(folder, 'a) S 1 (b');
    copyFileSync('/bin/sleep', odd);
    const plain = identify(await run('sleep', ['60']));
    const strange = identify(await run(odd, ['60']));
    expect(strange?.startTicks).toBeGreaterThanOrEqual(plain?.startTicks ?? Number.POSITIVE_INFINITY);
    rmSync(folder, { recursive: true });
  });

  it('outlives a change of the command line, which Redis makes', async () => {
    const script =
      "setTimeout(() => { process.title = 'renamed'; console.log('done') }, 50); setTimeout(() => {}, 60000)";
    const found = identify(await run(process.execPath, ['-e', script]));
    if (!found) throw new Error('not found');
    const [child] = children;
    if (child?.stdout) await once(child.stdout, 'data');
    expect(identify(found.pid)?.command).toContain('renamed');
    expect(isAlive(found)).toBe(true);
  });
});

describe('the mark of a stack', () => {
  it('finds the processes of this home only', async () => {
    // Another run of the tests on this machine has processes of the same marks, but for the folder.
    const home = path.join(tmpdir(), 'home-a');
    const ours = await run('sleep', ['60'], { [STACK_MARK]: home });
    await run('sleep', ['60'], { [STACK_MARK]: `${home}b` });
    expect(markedProcesses(STACK_MARK, home).map(({ pid }) => pid)).toEqual([ours]);
  });
});
