import { chmodSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WatchedFile, watchedFilesGauge } from '../../../runtime/watched-file.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A watched file with a number, which cannot be read if its owner may not. */
function watchedNumber() {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'number');
  writeFileSync(file, '1');
  const read = (name: string) => {
    const value = Number(readFileSync(name, 'utf8'));
    // Root may read everything.
    if (Number.isNaN(value) || (statSync(name).mode & 0o400) === 0) throw new Error('no number');
    return value;
  };
  return { file, watched: new WatchedFile(file, 'numbers', read, pino({ level: 'silent' })) };
}

it('is shown as stale as long as it cannot be read', async () => {
  const registry = new Registry();
  watchedFilesGauge(registry);
  const shown = async () => /^millrace_file_stale\{what="numbers"\} (\d)$/m.exec(await registry.metrics())?.[1];
  const { file, watched } = watchedNumber();
  expect([watched.current, await shown()]).toEqual([1, '0']);
  writeFileSync(file, 'none');
  vi.advanceTimersByTime(1_000);
  expect([watched.current, await shown()]).toEqual([1, '1']);
  writeFileSync(file, '23');
  vi.advanceTimersByTime(1_000);
  expect([watched.current, await shown()]).toEqual([23, '0']);
  watched.close();
  expect(await shown()).toBeUndefined();
});

it('is read again when only its mode has changed', () => {
  const { file, watched } = watchedNumber();
  // Two changes within a tick of the kernel's clock have the same time.
  const change = (mode: number) => {
    const { ctimeMs } = statSync(file);
    while (statSync(file).ctimeMs === ctimeMs) chmodSync(file, mode);
    vi.advanceTimersByTime(1_000);
  };
  change(0o200);
  expect(watched.stale).toBe(true);
  change(0o600);
  expect([watched.stale, watched.current]).toEqual([false, 1]);
  watched.close();
});

it('is read again after a failure that passes without a change of the file, which is logged once', () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'text');
  writeFileSync(file, 'old');
  let failure: string | undefined;
  const read = (name: string) => {
    if (failure !== undefined) throw new Error(failure);
    return readFileSync(name, 'utf8');
  };
  const logged: string[] = [];
  const logger = pino({}, { write: (line) => void logged.push((JSON.parse(line) as { error: string }).error) });
  const watched = new WatchedFile(file, 'texts', read, logger);
  failure = 'EMFILE';
  writeFileSync(file, 'newer');
  vi.advanceTimersByTime(3_000);
  expect([watched.current, watched.stale, logged]).toEqual(['old', true, ['EMFILE']]);
  failure = 'EIO';
  vi.advanceTimersByTime(2_000);
  expect(logged).toEqual(['EMFILE', 'EIO']);
  failure = undefined;
  vi.advanceTimersByTime(3_000);
  expect([watched.current, watched.stale, logged.length]).toEqual(['newer', false, 2]);
  watched.close();
});

it('is read again after pauses that double up to a minute, and at once when it changes', () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'text');
  writeFileSync(file, 'valid');
  let seconds = 0;
  const readAt: number[] = [];
  const read = (name: string) => {
    readAt.push(seconds);
    if (readFileSync(name, 'utf8') !== 'valid') throw new Error('not valid');
  };
  const watched = new WatchedFile(file, 'texts', read, pino({ level: 'silent' }));
  const pass = (polls: number) => {
    for (let i = 0; i < polls; i++) {
      seconds += 1;
      vi.advanceTimersByTime(1_000);
    }
  };
  writeFileSync(file, 'no longer valid');
  pass(190);
  expect(readAt).toEqual([0, 1, 2, 4, 8, 16, 32, 64, 124, 184]);
  writeFileSync(file, 'not valid, again');
  pass(4);
  expect(readAt.slice(-3)).toEqual([191, 192, 194]);
  watched.close();
});
