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
