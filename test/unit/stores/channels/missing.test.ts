import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChannelWriter, readChannel } from '../../../../stores/channels/index.js';
import { AwayLog } from '../../../support/away-log.js';

const name = { run: 'r', path: 'speak', of: 'chunks' };
const options = { signal: new AbortController().signal, ttlMs: 60_000 };

/** Reads a channel in the background. */
function reading(log: AwayLog) {
  const found = { values: [] as unknown[], ended: undefined as unknown };
  const read = async () => {
    for await (const { value } of readChannel(log, name, { signal: options.signal })) found.values.push(value);
    return 'done';
  };
  read().then(
    (end) => {
      found.ended = end;
    },
    ({ code }: { code: string }) => {
      found.ended = code;
    },
  );
  return found;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a reader whose store is away', () => {
  it('goes on when it is back, within a minute, and its writer stores again what the store has lost', async () => {
    const log = new AwayLog();
    const writer = await ChannelWriter.open(log, name, options);
    writer.add('one', 'two');
    await writer.settled();
    const found = reading(log);
    await vi.advanceTimersByTimeAsync(10);
    expect(found.values).toEqual(['one', 'two']);
    writer.add('three');
    log.leaveFor(50_000);
    await vi.advanceTimersByTimeAsync(49_900);
    // It comes back without the last entry: the time without that counts from now on.
    await log.lose(name, 1);
    await vi.advanceTimersByTimeAsync(3_000);
    await writer.end({ as: 'done' }, 'four');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(found).toEqual({ values: ['one', 'two', 'three', 'four'], ended: 'done' });
  });

  it('counts the time without the store and that without entries apart', async () => {
    const log = new AwayLog();
    const writer = await ChannelWriter.open(log, name, options);
    writer.add('one');
    await writer.settled();
    writer.close();
    const found = reading(log);
    await vi.advanceTimersByTimeAsync(10);
    log.leaveFor(14_000);
    await log.lose(name, 0);
    await vi.advanceTimersByTimeAsync(28_000);
    expect(found).toEqual({ values: ['one'], ended: undefined });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(found.ended).toBe('STREAM_LOST');
  });

  it.each([
    ['a minute if the channel was there', true, 60_000],
    ['15 s if it was not', false, 15_000],
  ])('waits for it %s', async (_, there, ms) => {
    const log = new AwayLog();
    const writer = there ? await ChannelWriter.open(log, name, options) : undefined;
    log.away = !there;
    const found = reading(log);
    await vi.advanceTimersByTimeAsync(10);
    log.away = true;
    await vi.advanceTimersByTimeAsync(ms - 1_000);
    expect(found.ended).toBeUndefined();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(found.ended).toBe('STREAM_LOST');
    writer?.close();
  });

  it('does not wait for a stream that its producer may have given up meanwhile', async () => {
    const log = new AwayLog();
    log.leaveFor(4_000);
    const found = reading(log);
    await vi.advanceTimersByTimeAsync(18_000);
    expect(found.ended).toBeUndefined();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(found.ended).toBe('STREAM_LOST');
  });

  it('waits for one that has not begun, as long as it may, after a single read that failed', async () => {
    const log = new AwayLog();
    log.leaveFor(300);
    const found = reading(log);
    await vi.advanceTimersByTimeAsync(100_000);
    expect(found.ended).toBeUndefined();
    const writer = await ChannelWriter.open(log, name, options);
    await writer.end({ as: 'done' }, 'one');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(found).toEqual({ values: ['one'], ended: 'done' });
  });
});

describe('a writer whose store is away', () => {
  it('is opened within two seconds, or not at all', async () => {
    const log = new AwayLog();
    log.away = true;
    const opening = expect(ChannelWriter.open(log, name, options)).rejects.toMatchObject({ code: 'STREAM_LOST' });
    await vi.advanceTimersByTimeAsync(2_200);
    await opening;
  });

  it('waits as long as its attempt if an earlier one may have committed entries', async () => {
    const log = new AwayLog();
    const first = await ChannelWriter.open(log, name, options);
    first.add('one');
    await first.settled();
    first.close();
    log.leaveFor(100_000);
    const opening = ChannelWriter.open(log, name, { ...options, patient: true });
    await vi.advanceTimersByTimeAsync(101_000);
    const second = await opening;
    expect(second.before.values).toEqual(['one']);
    second.close();
    log.away = true;
    const attempt = new AbortController();
    const waits = ChannelWriter.open(log, name, { ...options, signal: attempt.signal, patient: true });
    const ended = expect(waits).rejects.toThrow('too late');
    await vi.advanceTimersByTimeAsync(5_000);
    attempt.abort(new Error('too late'));
    await vi.advanceTimersByTimeAsync(200);
    await ended;
  });
});
