import { Counter, Registry } from 'prom-client';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CodeWatch } from '../../../workers/code-served.js';

/** Longer than any wait of the watch, in milliseconds. */
const LONG_MS = 60_000;

function watched() {
  const lookups: { resolve(names: readonly string[]): void; reject(error: Error): void; signal: AbortSignal }[] = [];
  const registry = new Registry();
  new Counter({ name: 'others', help: 'Another metric', registers: [registry] }).inc(7);
  const watch = new CodeWatch(
    (signal) => new Promise((resolve, reject) => lookups.push({ resolve, reject, signal })),
    registry,
  );
  return { lookups, registry, watch };
}

afterEach(() => void vi.useRealTimers());

describe('the metric of missing code', () => {
  it('holds up no scrape while Temporal does not answer, and keeps what it knew', async () => {
    vi.useFakeTimers();
    const { lookups, registry } = watched();
    const first = registry.metrics();
    await vi.advanceTimersByTimeAsync(0);
    lookups[0]?.resolve(['refund@2']);
    expect(await first).toContain('millrace_code_missing{code="refund@2"} 1');
    await vi.advanceTimersByTimeAsync(LONG_MS);
    const texts: string[] = [];
    void registry.metrics().then((text) => texts.push(text));
    await vi.advanceTimersByTimeAsync(LONG_MS);
    expect(texts[0]).toContain('others 7');
    expect(texts[0]).toContain('millrace_code_missing{code="refund@2"} 1');
    expect(lookups[1]?.signal.aborted).toBe(true);
  });

  it('is looked up once for all who ask meanwhile, and again after a failure', async () => {
    vi.useFakeTimers();
    const { lookups, registry, watch } = watched();
    const checks = [watch.check(), watch.check(), watch.check()].map((check) => check.catch((error: unknown) => error));
    void registry.metrics();
    await vi.advanceTimersByTimeAsync(0);
    expect(lookups).toHaveLength(1);
    lookups[0]?.reject(new Error('Temporal is away'));
    expect(await Promise.all(checks)).toEqual(Array(3).fill(expect.objectContaining({ message: 'Temporal is away' })));
    await vi.advanceTimersByTimeAsync(LONG_MS);
    const check = watch.check();
    await vi.advanceTimersByTimeAsync(0);
    lookups[1]?.resolve([]);
    await check;
  });
});
