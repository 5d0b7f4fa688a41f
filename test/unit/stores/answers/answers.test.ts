import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Answers } from '../../../../stores/answers/index.js';
import { answersCheck } from '../../../../workers/answers-check.js';

/** A connection that takes a subscription, or refuses it, as `takes` says. */
class Connection extends EventEmitter {
  status = 'connecting';
  takes = false;
  tries = 0;

  async subscribe(): Promise<number> {
    this.tries += 1;
    if (!this.takes) throw new Error('NOPERM');
    return 1;
  }

  ready(): void {
    this.status = 'ready';
    this.emit('ready');
  }

  lose(): void {
    this.status = 'reconnecting';
    this.emit('close');
  }
}

const setUp = () => {
  const lines: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  const redis = new Connection();
  const answers = new Answers(redis as unknown as Redis, logger);
  const registry = new Registry();
  return { redis, answers, lines, registry, check: answersCheck(answers, registry) };
};

const OFF = 'the fast path and direct answers are off; trying again';
const ON = 'the fast path and direct answers are on again';

describe('answers from workers', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are subscribed to again after a refusal at the start, with one line for the loss and one for the return', async () => {
    const { redis, answers, lines } = setUp();
    redis.ready();
    await vi.waitFor(() => expect(redis.tries).toBeGreaterThan(3), { timeout: 30_000 });
    expect(answers.channel).toBeUndefined();
    expect(lines).toEqual([OFF]);
    redis.takes = true;
    await vi.waitFor(() => expect(answers.channel).toBeDefined(), { timeout: 30_000 });
    expect(lines).toEqual([OFF, ON]);
  });

  it('are told by readiness and a metric while they are off', async () => {
    const { redis, registry, check } = setUp();
    await expect(check.check()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    redis.ready();
    await vi.waitFor(() => expect(redis.tries).toBeGreaterThan(0), 15_000);
    await expect(check.check()).rejects.toThrow('NOPERM');
    expect(await registry.metrics()).toContain('millrace_answers_degraded 1');
    redis.takes = true;
    await vi.waitFor(() => expect(check.check()).resolves.toBeUndefined(), { timeout: 30_000 });
    expect(await registry.metrics()).toContain('millrace_answers_degraded 0');
  });

  it('are lost and come back with the connection, one line each however often it is lost', async () => {
    const { redis, answers, lines } = setUp();
    redis.takes = true;
    redis.ready();
    await vi.waitFor(() => expect(answers.channel).toBeDefined(), 15_000);
    expect(lines).toEqual([]);
    redis.lose();
    redis.lose();
    expect(answers.channel).toBeUndefined();
    redis.ready();
    await vi.waitFor(() => expect(answers.channel).toBeDefined(), 15_000);
    expect(lines).toEqual([OFF, ON]);
  });

  it('are not kept for a client that has left before its run started', async () => {
    const { redis, answers } = setUp();
    const left = answers.expect('r', AbortSignal.abort());
    const there = answers.expect('r', new AbortController().signal);
    redis.emit('message', 'channel', JSON.stringify({ run: 'r', result: null }));
    expect(await there).toBeNull();
    expect(await Promise.race([left, 'not awaited'])).toBe('not awaited');
  });
});
