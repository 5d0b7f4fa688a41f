import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Json } from '../../pipelines/json.js';
import {
  type ChannelEnd,
  type ChannelLog,
  type ChannelName,
  ChannelWriter,
  keepChannel,
  readAhead,
  readChannel,
  readStream,
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

    describe('whose producer starts over', () => {
      /** Reads across generations in the background. */
      const followed = (log: ChannelLog, name: ChannelName, kept = () => false) => {
        const seen: string[] = [];
        const run = async (): Promise<ChannelEnd> => {
          const reader = readStream(log, name, { signal: signal(), kept });
          for (;;) {
            const next = await reader.next();
            if (next.done) return next.value;
            seen.push(`${next.value.generation} ${next.value.number} ${String(next.value.value)}`);
          }
        };
        const end = run();
        end.catch(() => undefined);
        return { seen, end };
      };
      /** What the store has of the name in a generation. */
      const at = (name: ChannelName, generation: number): ChannelName => ({ ...name, generation });
      const restarted = async (...writers: readonly ChannelWriter[]) => {
        const after = await ChannelWriter.startOver(writers);
        if (!after) throw new Error('it did not start over');
        return after as readonly [ChannelWriter, ...ChannelWriter[]];
      };

      it('gives readers the next generation, whenever they begin; the writer before is fenced off', async () => {
        const log = storeOf().log();
        const name = named();
        const writer = await open(log, name);
        writer.add('old', 'older');
        await writer.settled();
        const early = followed(log, name);
        await until(() => early.seen.length === 2);
        const [next] = await restarted(writer);
        next.add('new');
        await next.end({ as: 'done', outcome: 'all' });
        expect(await early.end).toEqual({ as: 'done', outcome: 'all' });
        expect(early.seen).toEqual(['0 0 old', '0 1 older', '1 0 new']);
        const late = followed(log, name);
        await late.end;
        expect(late.seen).toEqual(['1 0 new']);
        expect(await log.read(name, 0, 10)).toMatchObject({ entries: [] });
        // Another attempt finds the void channel, then the next one with what it has.
        expect((await open(log, name)).before.end).toEqual({ as: 'void' });
        expect((await open(log, at(name, 1))).before).toEqual({ values: ['new'], end: { as: 'done', outcome: 'all' } });
      });

      it('starts over several times, and all channels of a stage together', async () => {
        const log = storeOf().log();
        const first = named();
        const names = ['sentences', 'tokens'].map((of) => ({ ...first, of }));
        let writers = await Promise.all(names.map((name) => open(log, name)));
        for (let i = 0; i < 3; i++) {
          for (const writer of writers) writer.add(`text ${i}`);
          writers = [...(await restarted(...writers))];
        }
        await Promise.all(writers.map((writer) => writer.end({ as: 'done' }, 'last')));
        for (const name of names) {
          const read = followed(log, name);
          await read.end;
          expect(read.seen).toEqual(['3 0 last']);
        }
      });

      it('does not start over what a reader has kept, nor the channel beside it', async () => {
        const log = storeOf().log();
        const name = named();
        const beside = { ...name, of: 'tokens' };
        const writers = await Promise.all([open(log, name), open(log, beside)]);
        for (const writer of writers) writer.add('old');
        await Promise.all(writers.map((writer) => writer.settled()));
        expect(await keepChannel(log, name, signal())).toBe(true);
        expect(await ChannelWriter.startOver(writers)).toBeUndefined();
        for (const each of [name, beside]) expect((await log.read(each, 0, 9))?.entries).toHaveLength(1);
        const ended = await open(log, named());
        await ended.end({ as: 'done' });
        expect(await ChannelWriter.startOver([ended])).toBeUndefined();
      });

      it('tells a reader that is late that what it has read is void', async () => {
        const log = storeOf().log();
        const name = named();
        const writer = await open(log, name);
        writer.add('old');
        const [next] = await restarted(writer);
        expect(await keepChannel(log, name, signal())).toBe(false);
        expect(await keepChannel(log, at(name, 1), signal())).toBe(true);
        expect(await ChannelWriter.startOver([next])).toBeUndefined();
      });

      it('lets only the last writer start over', async () => {
        const log = storeOf().log();
        const name = named();
        const first = await open(log, name);
        const second = await open(log, name);
        await expect(ChannelWriter.startOver([first])).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
        const [next] = await restarted(second);
        await open(log, at(name, 1));
        await expect(ChannelWriter.startOver([next])).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
      });

      it('changes nothing when the reply was lost and it is asked again', async () => {
        const log = storeOf().log();
        const name = named();
        await log.open(name, 'me', TTL_MS);
        expect(await log.startOver([{ name, owner: 'me' }], TTL_MS)).toBe('void');
        const { hash } = (await log.read(at(name, 1), 0, 9)) ?? { hash: '' };
        const entries = [{ before: hash, text: '"new"' }];
        const write = { owner: 'me', count: 0, hash, entries, after: 'f'.repeat(32), ttlMs: TTL_MS };
        expect(await log.append(at(name, 1), write)).toBe('held');
        expect(await log.startOver([{ name, owner: 'me' }], TTL_MS)).toBe('void');
        expect((await log.read(at(name, 1), 0, 9))?.entries).toEqual(entries);
        await log.open(at(name, 1), 'another', TTL_MS);
        expect(await log.startOver([{ name, owner: 'me' }], TTL_MS)).toBe('taken');
      });

      it('does not start over after a loss: the store may have lost that a reader has kept it', async () => {
        const store = storeOf();
        const log = store.log();
        const name = named();
        const writer = await open(log, name);
        writer.add('old');
        await writer.settled();
        expect(await keepChannel(log, name, signal())).toBe(true);
        await store.lose(name, 0);
        writer.add('older');
        await writer.settled();
        expect(await ChannelWriter.startOver([writer])).toBeUndefined();
        expect(await log.startOver([{ name: named(), owner: 'nobody' }], TTL_MS)).toBe('kept');
      });

      it('stores again that the generations before are void, unless a reader has kept one since', async () => {
        const store = storeOf();
        const log = store.log();
        const name = named();
        const [next] = await restarted(await open(log, name));
        next.add('new');
        await next.settled();
        for (const generation of [0, 1]) await store.lose(at(name, generation), 0);
        next.add('newer');
        await next.settled();
        const read = followed(log, name);
        await until(() => read.seen.length === 2);
        expect(read.seen).toEqual(['1 0 new', '1 1 newer']);
        // As a store does that returns with what was there before: the channel is open again. The writer may be faster.
        do {
          for (const generation of [0, 1]) await store.lose(at(name, generation), 0);
          await log.open(name, 'before', TTL_MS);
        } while ((await log.keep(name)) !== 'kept');
        const settled = (async () => {
          next.add('newest');
          await next.settled();
        })();
        await expect(settled).rejects.toMatchObject({ code: 'STREAM_LOST' });
      });

      it('is lost for a reader that has kept it, if the store has lost that', async () => {
        const log = storeOf().log();
        const name = named();
        const writer = await open(log, name);
        writer.add('old');
        await writer.settled();
        const read = followed(log, name, () => true);
        await until(() => read.seen.length === 1);
        await restarted(writer);
        await expect(read.end).rejects.toMatchObject({ code: 'STREAM_LOST' });
      });
    });

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
