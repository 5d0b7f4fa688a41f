import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { partSpec } from '../../../../../deploy/local/stack/parts.js';
import { specsPath } from '../../../../../deploy/local/stack/stack-state.js';
import { gracesOf, stopTimeMs } from '../../../../../deploy/local/stack/stop-times.js';
import { writeJson } from '../../../../../runtime/json-file.js';
import { testSettings } from '../../../../support/settings.js';

/** A home whose worker was started with this grace for its stages, and whose other parts have 8 s each. */
function homeOf(graceMs: number): string {
  const home = mkdtempSync(path.join(tmpdir(), 'stop-times-'));
  const settings = testSettings({ MILLRACE_HOME: home, MILLRACE_SHUTDOWN_GRACE_MS: String(graceMs) });
  const worker = partSpec('worker', settings, {});
  const others = ['temporal', 'redis', 'redis-index', 'redis-cache', 'triton', 'llm', 'gateway'];
  writeJson(specsPath(home), [worker, ...others.map((name) => ({ name, stopGraceMs: 8_000 }))]);
  return home;
}

it('give a worker the grace that it was started with, and a supervisor those of all parts in turn', () => {
  const long = homeOf(120_000);
  expect([gracesOf(long)('worker'), gracesOf(long)('gateway')]).toEqual([130_000, 8_000]);
  expect(stopTimeMs(long)).toBe(8_000 + 130_000 + 8_000 + 10_000);
  expect(stopTimeMs(homeOf(1_000))).toBe(45_000);
});

it('are long enough for the defaults where nothing says how the parts were started', () => {
  const home = mkdtempSync(path.join(tmpdir(), 'stop-times-'));
  expect(gracesOf(home)('worker')).toBe(20_000);
  expect(stopTimeMs(home)).toBeGreaterThan(45_000);
});
