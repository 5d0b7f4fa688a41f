import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  clearState,
  readState,
  type StackState,
  statePath,
  writeState,
} from '../../../../../deploy/local/stack/stack-state.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'state-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const process1 = { pid: 4242, startTicks: 77, program: '/usr/bin/node', command: 'node x' };
const state: StackState = {
  format: 1,
  supervisor: process1,
  startedAt: '2026-11-24T00:00:00.000Z',
  ready: false,
  parts: [
    {
      name: 'redis',
      state: 'backoff',
      starts: 3,
      failures: 2,
      address: 'redis://127.0.0.1:1',
      ports: [1],
      log: '/x.log',
      lastExit: { code: null, signal: 'SIGKILL', at: '2026-11-24T00:00:01.000Z', uptimeMs: 12 },
    },
  ],
};

describe('the state file', () => {
  it('comes back as it was written, readable by its owner only and without a draft beside it', () => {
    writeState(home, state);
    expect(readState(home)).toEqual(state);
    expect(statSync(statePath(home)).mode & 0o777).toBe(0o600);
    expect(readdirSync(path.dirname(statePath(home)))).toEqual(['state.json']);
  });

  it('counts as absent when it is cut off, of another format or not there', () => {
    expect(readState(home)).toBeUndefined();
    writeState(home, state);
    const text = readFileSync(statePath(home), 'utf8');
    writeFileSync(statePath(home), text.slice(0, text.length / 2));
    expect(readState(home)).toBeUndefined();
    writeFileSync(statePath(home), text.replace('"format": 1', '"format": 2'));
    expect(readState(home)).toBeUndefined();
  });

  it('is gone after it was cleared', () => {
    writeState(home, state);
    clearState(home);
    expect(readState(home)).toBeUndefined();
  });
});
