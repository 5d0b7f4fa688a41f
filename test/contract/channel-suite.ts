import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Json } from '../../pipelines/json.js';
import {
  type ChannelEnd,
  type ChannelLog,
  type ChannelName,
  ChannelWriter,
  readChannel,
} from '../../stores/channels/index.js';

const TTL_MS = 60_000;

const until = (holds: () => boolean, timeout = 30_000) =>
  vi.waitFor(() => expect(holds()).toBe(true), { timeout, interval: 10 });

/** What a test of a log needs of its store. */
export interface ChannelStore {
  /** @param mostBytes bound of a channel; default: that of a process */
  log(mostBytes?: number): ChannelLog;
  /** Loses the channel, or all but its first `kept` entries, as a failover does. */
  lose(name: ChannelName, kept: number): Promise<void>;
}

/** The contract of a channel log: every store of channels passes it. */
export function channelContract(called: string, storeOf: () => ChannelStore): void {
  describe(`channels in ${called}`, () => {
    const ending: AbortController[] = [];
    afterEach(() => {
      for (const each of ending.splice(0)) each.abort(new Error('the test is over'));
    });
    const signal = () => {
      const own = new AbortController();
      ending.push(own);
      return own.signal;
    };
    const named = (): ChannelName => ({ run: `run-${randomUUID()}`, path: 'each[0]/answer', of: 'sentences' });
    const open = (log: ChannelLog, name: ChannelName) =>
      ChannelWriter.open(log, name, { signal: signal(), ttlMs: TTL_MS });

    /** Reads in the background. */
    const reading = (log: ChannelLog, name: ChannelName, options: Partial<Parameters<typeof readChannel>[2]> = {}) => {
      const values: Json[] = [];
      const entries: { number: number; hash: string }[] = [];
      const run = async (): Promise<ChannelEnd> => {
        const reader = readChannel(log, name, { signal: signal(), ...options });
        for (;;) {
          const next = await reader.next();
          if (next.done) return next.value;
          const { value, ...position } = next.value;
          values.push(value);
          entries.push(position);
        }
      };
      const end = run();
      end.catch(() => undefined);
      return { values, entries, end };
    };

    it('gives readers all entries in order, and the end, whenever they begin', async () => {
      const log = storeOf().log();
      const name = named();
      const early = reading(log, name);
      const writer = await open(log, name);
      writer.add('one', { two: 2 });
      await writer.settled();
      await until(() => early.values.length === 2);
      writer.add('three');
      await writer.end({ as: 'done', outcome: { text: 'all' } });
      expect(await early.end).toEqual({ as: 'done', outcome: { text: 'all' } });
      const late = reading(log, name);
      expect(await late.end).toEqual({ as: 'done', outcome: { text: 'all' } });
      for (const { values } of [early, late]) expect(values).toEqual(['one', { two: 2 }, 'three']);
      expect(late.entries).toEqual(early.entries);
    });

    it('goes on behind a position, and refuses one of another history', async () => {
      const log = storeOf().log();
      const name = named();
      const writer = await open(log, name);
      writer.add('one', 'two', 'three');
      await writer.end({ as: 'done' });
      const all = reading(log, name);
      await all.end;
      const { hash } = all.entries[0] as { hash: string };
      const rest = reading(log, name, { after: { number: 1, hash } });
      await rest.end;
      expect(rest.values).toEqual(['two', 'three']);
      const wrong = reading(log, name, { after: { number: 1, hash: '0'.repeat(32) } });
      await expect(wrong.end).rejects.toMatchObject({ code: 'STREAM_LOST' });
    });

    it('fences off an earlier writer, which learns it; the next one has what was committed', async () => {
      const log = storeOf().log();
      const name = named();
      const first = await open(log, name);
      first.add('one');
      await first.settled();
      const second = await open(log, name);
      expect(second.before).toEqual({ values: ['one'], end: undefined });
      first.add('never');
      await expect(first.settled()).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
      expect(() => first.add('never')).toThrow(expect.objectContaining({ code: 'STREAM_TAKEN' }));
      second.add('two');
      await second.end({ as: 'done' });
      const read = reading(log, name);
      await read.end;
      expect(read.values).toEqual(['one', 'two']);
      const third = await open(log, name);
      expect(third.before).toEqual({ values: ['one', 'two'], end: { as: 'done' } });
    });

    it.each([0, 2])(
      'stores again what a failover has lost, down to %d entries, and readers see nothing',
      async (kept) => {
        const store = storeOf();
        const log = store.log();
        const name = named();
        const writer = await open(log, name);
        writer.add('one', 'two', 'three');
        await writer.settled();
        const read = reading(log, name);
        await until(() => read.values.length === 3);
        await store.lose(name, kept);
        writer.add('four');
        await writer.end({ as: 'done' });
        await read.end;
        expect(read.values).toEqual(['one', 'two', 'three', 'four']);
      },
    );

    it('restores a channel while its writer has nothing to add', async () => {
      const store = storeOf();
      const log = store.log();
      const name = named();
      const writer = await open(log, name);
      writer.add('one');
      await writer.settled();
      await store.lose(name, 0);
      const read = reading(log, name);
      await until(() => read.values.length === 1);
    });

    it('never gives a reader other entries in place of those that it has read', async () => {
      const store = storeOf();
      const log = store.log();
      const name = named();
      const writer = await open(log, name);
      writer.add('one', 'two');
      await writer.settled();
      const read = reading(log, name);
      await until(() => read.values.length === 2);
      writer.close();
      await store.lose(name, 0);
      const other = await open(log, name);
      other.add('another', 'history');
      await other.end({ as: 'done' });
      await expect(read.end).rejects.toMatchObject({ code: 'STREAM_LOST' });
      expect(read.values).toEqual(['one', 'two']);
    });

    it('holds a writer back while readers lag, and drops what all of them have passed', async () => {
      const log = storeOf().log(1_000);
      const name = named();
      const writer = await open(log, name);
      const half = 'x'.repeat(400);
      writer.add(half, half);
      await writer.settled();
      writer.add(half);
      let stored = false;
      const settled = writer.settled().then(() => {
        stored = true;
      });
      await log.passed(name, 'slow', 0);
      await new Promise((resolve) => setTimeout(resolve, 250));
      expect(stored).toBe(false);
      await log.passed(name, 'slow', 1);
      await settled;
      expect(await log.read(name, 0, 10)).toMatchObject({ from: 1, count: 3 });
      const late = reading(log, name);
      await expect(late.end).rejects.toMatchObject({ code: 'STREAM_LOST' });
    });
  });
}
