import { describe, expect, it } from 'vitest';
import { type ChannelLog, readAhead, readChannel } from '../../stores/channels/index.js';
import { type ChannelStore, channelFixtures, until } from './channel-fixtures.js';
import { channelRestarts } from './channel-restarts.js';

/** The contract of a channel log: every store of channels passes it. */
export function channelContract(called: string, storeOf: () => ChannelStore): void {
  describe(`channels in ${called}`, () => {
    const fixtures = channelFixtures();
    const { signal, named, open, reading } = fixtures;

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

    it('commits everything once though replies are lost, and entries are added while they are made good', async () => {
      const log = storeOf().log();
      const name = named();
      let lost = 0;
      // Each append reaches the store; of two replies one is lost, and what makes that good takes its time.
      const lossy = new Proxy(log, {
        get(target, key) {
          if (key === 'append') {
            return async (...given: Parameters<ChannelLog['append']>) => {
              const standing = await target.append(...given);
              if (given[1].entries.length > 0 && standing === 'held' && lost++ % 2 === 0) throw new Error('no reply');
              return standing;
            };
          }
          if (key === 'read') {
            return async (...given: Parameters<ChannelLog['read']>) => {
              writer.add(`while ${added++} was made good`);
              return await target.read(...given);
            };
          }
          const value = Reflect.get(target, key) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      let added = 0;
      const writer = await open(lossy, name);
      for (const value of ['one', 'two', 'three', 'four']) {
        writer.add(value);
        await writer.settled();
      }
      await writer.end({ as: 'done' });
      const { values, end } = reading(log, name);
      expect(await end).toEqual({ as: 'done' });
      expect(added).toBeGreaterThan(1);
      expect(values).toHaveLength(4 + added);
      expect(new Set(values).size).toBe(values.length);
      expect(values.filter((value) => !String(value).startsWith('while'))).toEqual(['one', 'two', 'three', 'four']);
    });

    it('commits the end at whatever moment of a write it is added', async () => {
      const log = storeOf().log();
      for (let turns = 0; turns < 30; turns++) {
        const name = named();
        const writer = await open(log, name);
        writer.add('one');
        for (let i = 0; i < turns; i++) await undefined;
        await writer.end({ as: 'done' }, 'two');
        expect(await log.read(name, 0, 9)).toMatchObject({ count: 2, end: '{"as":"done"}' });
      }
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
      expect(second.before).toMatchObject({ from: 0, values: ['one'], end: undefined });
      first.add('never');
      await expect(first.settled()).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
      expect(() => first.add('never')).toThrow(expect.objectContaining({ code: 'STREAM_TAKEN' }));
      second.add('two');
      await second.end({ as: 'done' });
      const read = reading(log, name);
      await read.end;
      expect(read.values).toEqual(['one', 'two']);
      const third = await open(log, name);
      expect(third.before).toMatchObject({ from: 0, values: ['one', 'two'], end: { as: 'done' } });
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

    channelRestarts(storeOf, fixtures);

    it('says what is there behind a position without waiting, and whether it is all', async () => {
      const log = storeOf().log(1_000);
      const name = named();
      const writer = await open(log, name);
      writer.add('one', 'two', 'three');
      await writer.settled();
      const first = await readChannel(log, name, { signal: signal() }).next();
      const after = { number: 1, hash: first.done ? '' : first.value.hash };
      const found = await readAhead(log, name, after, 1);
      expect(found).toMatchObject({ entries: [{ number: 1, value: 'two' }] });
      expect(found).not.toHaveProperty('end');
      await writer.end({ as: 'cut' });
      expect(await readAhead(log, name, after, 1)).not.toHaveProperty('end');
      expect(await readAhead(log, name, after, 9)).toMatchObject({
        entries: [{ value: 'two' }, { value: 'three', hash: writer.hash }],
        end: { as: 'cut' },
      });
      expect(await readAhead(log, { ...name, path: 'another' }, after, 9)).toEqual({ entries: [] });
      const other = { number: 1, hash: '0'.repeat(32) };
      await expect(readAhead(log, name, other, 9)).rejects.toMatchObject({ code: 'STREAM_LOST' });
    });

    it('says what the slowest of the other readers needs, which a reader says at its first entry', async () => {
      const log = storeOf().log();
      const name = named();
      expect(await log.needed(name, 'voice')).toBeUndefined();
      const writer = await open(log, name);
      writer.add('one', 'two', 'three');
      await writer.settled();
      await log.passed(name, 'voice', 0);
      expect(await log.needed(name, 'voice')).toBeUndefined();
      await log.passed(name, 'quick', Number.MAX_SAFE_INTEGER);
      expect(await log.needed(name, 'voice')).toBeGreaterThan(1e15);
      const reader = readChannel(log, name, { signal: signal(), reader: 'slow', most: 2 });
      await reader.next();
      await expect.poll(() => log.needed(name, 'voice')).toBe(0);
      await reader.next();
      await reader.next();
      await expect.poll(() => log.needed(name, 'voice')).toBe(2);
      expect(await log.needed(name, 'slow')).toBe(0);
      await reader.return(undefined as never);
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
