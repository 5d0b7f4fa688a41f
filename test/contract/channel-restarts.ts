import { describe, expect, it } from 'vitest';
import {
  type ChannelEnd,
  type ChannelLog,
  type ChannelName,
  ChannelWriter,
  keepChannel,
  readStream,
} from '../../stores/channels/index.js';
import { type ChannelFixtures, type ChannelStore, losingReply, TTL_MS, until } from './channel-fixtures.js';

/** The part of the contract of a channel log that is about producers which start over. */
export function channelRestarts(storeOf: () => ChannelStore, { signal, named, open }: ChannelFixtures): void {
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
      expect((await open(log, at(name, 1))).before).toMatchObject({
        values: ['new'],
        end: { as: 'done', outcome: 'all' },
      });
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

    it('can start over where only the reply to a write was lost', async () => {
      const log = storeOf().log();
      const name = named();
      const writer = await open(losingReply(log), name);
      writer.add('old');
      await writer.settled();
      const [next] = await restarted(writer);
      next.add('new');
      await next.settled();
      expect((await log.read(at(name, 1), 0, 9))?.entries.map(({ text }) => text)).toEqual(['"new"']);
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
}
