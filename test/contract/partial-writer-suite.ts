import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { Json } from '../../pipelines/json.js';
import { type ChannelLog, type ChannelName, ChannelWriter, readChannel } from '../../stores/channels/index.js';
import { type ChannelStore, losingReply } from './channel-fixtures.js';

const TTL_MS = 60_000;

/** The contract of a channel log for writers that read the last entries alone. */
export function partialWriterContract(called: string, storeOf: () => ChannelStore): void {
  describe(`writers of a part of a channel in ${called}`, () => {
    const ending = new Set<AbortController>();
    afterEach(() => {
      for (const each of ending) each.abort(new Error('the test is over'));
      ending.clear();
    });
    const signal = () => {
      const own = new AbortController();
      ending.add(own);
      return own.signal;
    };
    const named = (): ChannelName => ({ run: `run-${randomUUID()}`, path: 'made', of: 'entries' });
    const open = (log: ChannelLog, name: ChannelName, first?: number) =>
      ChannelWriter.open(log, name, { signal: signal(), ttlMs: TTL_MS, ...(first !== undefined && { first }) });
    /** A channel with these entries, whose writer writes no more. */
    const written = async (log: ChannelLog, ...values: Json[]): Promise<ChannelName> => {
      const name = named();
      const writer = await open(log, name);
      writer.add(...values);
      await writer.settled();
      writer.close();
      return name;
    };
    const read = async (log: ChannelLog, name: ChannelName): Promise<Json[]> => {
      const values: Json[] = [];
      for await (const { value } of readChannel(log, name, { signal: signal() })) values.push(value);
      return values;
    };

    it.each([
      [0, ['a', 'b', 'c']],
      [2, ['c']],
      [3, []],
      [9, []],
    ])('from %d on have what is there from then on, and write behind all of it', async (first, values) => {
      const log = storeOf().log();
      const name = await written(log, 'a', 'b', 'c');
      const writer = await open(log, name, first);
      expect([writer.before.values, writer.count]).toEqual([values, 3]);
      writer.add('d');
      await writer.end({ as: 'done' });
      expect(await read(log, name)).toEqual(['a', 'b', 'c', 'd']);
    });

    it('have what is kept of what readers have passed', async () => {
      const log = storeOf().log(120);
      const name = await written(log, 'a', 'b');
      await log.passed(name, 'reader', 2);
      const writer = await open(log, name, 2);
      // There is room for it only without the first ones.
      writer.add('c'.repeat(20), 'd');
      await writer.settled();
      const next = await open(log, name, 1);
      expect([next.before.values, next.count]).toEqual([['c'.repeat(20), 'd'], 4]);
    });

    it('go on where only a reply was lost', async () => {
      const log = storeOf().log();
      const name = await written(log, 'a', 'b', 'c');
      const writer = await open(losingReply(log), name, 3);
      writer.add('d');
      await writer.settled();
      await writer.end({ as: 'done' }, 'e');
      expect(await read(log, name)).toEqual(['a', 'b', 'c', 'd', 'e']);
    });

    it.each([0, 1])('store nothing again where the store has lost all but %d entries meanwhile', async (kept) => {
      const store = storeOf();
      const log = store.log();
      const name = await written(log, 'a', 'b', 'c');
      const writer = await open(log, name, 3);
      await store.lose(name, kept);
      const settled = (async () => {
        writer.add('d');
        await writer.settled();
      })();
      await expect(settled).rejects.toMatchObject({ code: 'STREAM_LOST' });
      expect(((await log.read(name, 0, 9))?.entries ?? []).map(({ text }) => text)).toEqual(['"a"'].slice(0, kept));
      // What has all of them does.
      const next = await open(log, name, 3);
      expect(next.count).toBe(kept);
      const whole = await open(log, name);
      whole.add(...['a', 'b', 'c', 'd'].slice(kept));
      await whole.end({ as: 'done' });
      expect(await read(log, name)).toEqual(['a', 'b', 'c', 'd']);
    });
  });
}
