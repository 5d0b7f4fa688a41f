import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeLock } from '../../../deploy/local/stack/locks.js';
import { runFolder } from '../../../deploy/local/stack/stack-state.js';
import { withLock } from '../../../runtime/file-lock.js';
import { writeJson } from '../../../runtime/json-file.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'lock-'));
});
afterEach(() => rmSync(home, { recursive: true }));

describe('the lock of a home', () => {
  it('lets one at a time in, tells the other whom it waits for, and is free after a failure', async () => {
    const events: string[] = [];
    const waited: number[] = [];
    const job = (name: string) => async () => {
      events.push(`${name} in`);
      await sleep(150);
      events.push(`${name} out`);
      throw new Error(name);
    };
    const note = (pid: number) => waited.push(pid);
    const first = withLock(homeLock(home), note, job('a'));
    const second = withLock(homeLock(home), note, job('b'));
    await expect(first).rejects.toThrow('a');
    await expect(second).rejects.toThrow('b');
    expect(events).toEqual(['a in', 'a out', 'b in', 'b out']);
    expect(waited).toEqual([process.pid]);
    expect(readdirSync(runFolder(home))).toEqual([]);
  });

  it('is taken over from a process that has died', async () => {
    const dead = { pid: process.pid, startTicks: 1, program: process.execPath, command: 'an earlier one of this pid' };
    writeJson(homeLock(home), dead);
    const waited: number[] = [];
    expect(
      await withLock(
        homeLock(home),
        (pid) => waited.push(pid),
        async () => 'done',
      ),
    ).toBe('done');
    expect(waited).toEqual([]);
  });

  it('is taken over when it cannot be understood, as one of another release', async () => {
    writeJson(homeLock(home), { process: 1 });
    const done = withLock(
      homeLock(home),
      () => undefined,
      async () => 'done',
    );
    expect(await done).toBe('done');
  });
});
