import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { endLeftovers } from '../../../../../deploy/local/stack/leftovers.js';
import { STACK_MARK } from '../../../../../deploy/local/stack/marks.js';
import { type PartRecord, readState, writeState } from '../../../../../deploy/local/stack/stack-state.js';
import { identify, type ProcessIdentity } from '../../../../../runtime/process-identity.js';

const home = mkdtempSync(path.join(tmpdir(), 'leftovers-'));
const children: ChildProcess[] = [];

/** A process in a group of its own, as the supervisor starts its parts. */
async function start(env: NodeJS.ProcessEnv = {}, command = 'sleep', args = ['60']): Promise<ProcessIdentity> {
  const child = spawn(command, args, { stdio: 'ignore', detached: true, env: { ...process.env, ...env } });
  children.push(child);
  await once(child, 'spawn');
  const identity = identify(child.pid ?? 0);
  if (!identity) throw new Error('no process');
  return identity;
}

const record = (name: PartRecord['name'], process: ProcessIdentity): PartRecord => ({
  name,
  state: 'ready',
  process,
  starts: 1,
  failures: 0,
  address: '',
  ports: [],
  log: '',
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

describe('what a killed supervisor leaves behind', () => {
  it('is ended: recorded parts and marked strays; a reused pid and an unmarked process are not touched', async () => {
    const part = await start();
    const stray = await start({ [STACK_MARK]: home });
    const innocent = await start();
    const reused = { ...innocent, startTicks: innocent.startTicks - 100 };
    writeState(home, {
      format: 1,
      supervisor: { pid: 999_999_999, startTicks: 1, program: '/gone', command: 'gone' },
      startedAt: '',
      ready: true,
      parts: [record('redis', part), record('llm', reused)],
    });

    const ended = await endLeftovers(home);

    expect(ended.map(({ pid }) => pid).sort()).toEqual([part.pid, stray.pid].sort());
    expect(identify(part.pid)).toBeUndefined();
    expect(identify(stray.pid)).toBeUndefined();
    expect(identify(innocent.pid)).toEqual(innocent);
    expect(readState(home)).toBeUndefined();
  });

  it('is ended in the order of the supervisor: a worker has its servers until it has ended', async () => {
    const files = mkdtempSync(path.join(tmpdir(), 'leftovers-order-'));
    const [trapped, served] = [path.join(files, 'trapped'), path.join(files, 'served')];
    const redis = await start();
    const finish = `sleep 0.3; kill -0 ${redis.pid} && touch ${served}; exit 0`;
    const wait = `touch ${trapped}; while :; do sleep 0.05; done`;
    const worker = await start({}, 'sh', ['-c', `trap '${finish}' TERM; ${wait}`]);
    while (!existsSync(trapped)) await sleep(10);
    writeState(home, {
      format: 1,
      supervisor: { pid: 999_999_999, startTicks: 1, program: '/gone', command: 'gone' },
      startedAt: '',
      ready: true,
      parts: [record('redis', redis), record('worker', worker)],
    });
    const ended = await endLeftovers(home);
    expect(ended.map(({ pid }) => pid)).toEqual([worker.pid, redis.pid]);
    expect(existsSync(served)).toBe(true);
  });
});
