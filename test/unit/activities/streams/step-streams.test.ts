import { describe, expect, it, vi } from 'vitest';
import { withEntries } from '../../../../activities/stage/held-entries.js';
import { StepStreams } from '../../../../activities/streams/index.js';
import type { Json } from '../../../../pipelines/json.js';
import { ENTRY_KIND, type StageCall } from '../../../../pipelines/run/index.js';
import { ChannelWriter, MemoryChannelLog } from '../../../../stores/channels/index.js';
import { digestOf } from '../../../../workflows/interpreter/digest.js';

/* What the workflow of a run asks workers about channels: where entries are, their values, and to commit some. */

const never = () => new AbortController().signal;
const streamsOf = (log: MemoryChannelLog, signal = never()) => new StepStreams(log, 'r', signal);
const writerOf = (log: MemoryChannelLog, of = 'sentences') =>
  ChannelWriter.open(log, { run: 'r', path: 'answer', of }, { signal: never(), ttlMs: 60_000 });
const waitFor = (more: Partial<Parameters<StepStreams['wait']>[0]> = {}) => ({
  channel: { path: 'answer', of: 'sentences' },
  reader: 'made',
  after: { number: 0 },
  most: 256,
  needed: 0,
  ...more,
});

describe('a wait for entries', () => {
  it('returns the places of all that are there, without their values and without sentences that have no words', async () => {
    const log = new MemoryChannelLog();
    const writer = await writerOf(log);
    writer.add('It rains. ', ' ', 'Nobody came. ');
    await writer.settled();
    const more = await streamsOf(log).wait(waitFor());
    expect(more).toEqual({
      entries: [
        { number: 0, digest: digestOf('It rains.') },
        { number: 2, digest: digestOf('Nobody came.') },
      ],
      next: { number: 3, hash: writer.hash },
    });
    await writer.end({ as: 'done' }, 'The end.');
    expect(await streamsOf(log).wait(waitFor({ after: more.next }))).toMatchObject({
      entries: [{ number: 3, digest: digestOf('The end.') }],
      ended: true,
    });
  });

  it('lasts until there is one, or the end', async () => {
    const log = new MemoryChannelLog();
    const first = streamsOf(log).wait(waitFor());
    const writer = await writerOf(log);
    writer.add('Now.');
    const { next, entries } = await first;
    expect(entries).toHaveLength(1);
    const last = streamsOf(log).wait(waitFor({ after: next }));
    await writer.end({ as: 'cut' });
    expect(await last).toEqual({ entries: [], next, ended: true });
  });

  it('returns without an entry when none has come for long, and the next one goes on behind it', async () => {
    const log = new MemoryChannelLog();
    expect(await streamsOf(log).wait(waitFor(), 20)).toEqual({ entries: [], next: { number: 0 } });
    const writer = await writerOf(log);
    writer.add('Now.');
    const { next } = await streamsOf(log).wait(waitFor());
    expect(await streamsOf(log).wait(waitFor({ after: next }), 20)).toEqual({ entries: [], next });
    await writer.end({ as: 'done' });
  });

  it('ends as lost where the producer has ended, and its stream has not', async () => {
    const log = new MemoryChannelLog();
    const lost = { code: 'STREAM_LOST' };
    await expect(streamsOf(log).wait(waitFor({ there: true }), 20)).rejects.toMatchObject(lost);
    const writer = await writerOf(log);
    writer.add('Now.');
    const { next } = await streamsOf(log).wait(waitFor({ there: true }));
    await expect(streamsOf(log).wait(waitFor({ after: next, there: true }), 20)).rejects.toMatchObject(lost);
    writer.close();
  });

  it('ends with its signal', async () => {
    const stops = new AbortController();
    const waiting = streamsOf(new MemoryChannelLog(), stops.signal).wait(waitFor());
    stops.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
  });

  it('returns no more than is asked for, and with values no more than a history may take at once', async () => {
    const log = new MemoryChannelLog();
    const writer = await writerOf(log, 'entries');
    const large = 'x'.repeat(200_000);
    writer.add(...[1, large, large, 2].map((value) => ({ value })));
    await writer.settled();
    const channel = { path: 'answer', of: 'entries' };
    expect((await streamsOf(log).wait(waitFor({ channel, most: 2 }))).entries).toHaveLength(2);
    const { entries, next } = await streamsOf(log).wait(waitFor({ channel, values: true }));
    expect(entries.map(({ value }) => value)).toEqual([1, large]);
    const rest = await streamsOf(log).wait(waitFor({ channel, values: true, after: next }));
    expect(rest.entries.map(({ value }) => value)).toEqual([large, 2]);
  });

  it('keeps entries that are still needed, whatever other readers have passed', async () => {
    const log = new MemoryChannelLog({ mostBytes: 400 });
    const writer = await writerOf(log);
    writer.add('a'.repeat(80), 'b'.repeat(80));
    await writer.settled();
    writer.close();
    const name = { run: 'r', path: 'answer', of: 'sentences' };
    const { entries } = await streamsOf(log).wait(waitFor());
    await log.passed(name, 'speak', 2);
    const { count, hash } = await log.open(name, 'another');
    const third = { before: hash, text: JSON.stringify('c'.repeat(200)) };
    // There is room for it only without the first ones.
    const append = () =>
      log.append(name, { owner: 'another', count, hash, entries: [third], after: hash, ttlMs: 60_000 });
    expect(await append()).toBe('full');
    const first = { path: 'answer', of: 'sentences', number: 0, digest: entries[0]?.digest ?? '' };
    expect(await streamsOf(log).valuesOf({ item: first })).toEqual(new Map([['item', 'a'.repeat(80)]]));
    await streamsOf(log).wait(waitFor({ needed: 2 }));
    expect(await append()).toBe('held');
    await expect(streamsOf(log).valuesOf({ item: first })).rejects.toMatchObject({ code: 'STREAM_LOST' });
  });

  it('holds the producer back no longer once the stream is lost for it', async () => {
    const log = new MemoryChannelLog({ mostBytes: 200 });
    const writer = await writerOf(log);
    writer.add('a'.repeat(40), 'b'.repeat(40));
    await writer.settled();
    const lost = { code: 'STREAM_LOST' };
    const after = { number: 1, hash: '0'.repeat(32) };
    await expect(streamsOf(log).wait(waitFor({ after, needed: 0 }))).rejects.toMatchObject(lost);
    writer.add('c'.repeat(80));
    await writer.settled();
    expect(await log.read({ run: 'r', path: 'answer', of: 'sentences' }, 0, 9)).toMatchObject({ from: 2, count: 3 });
    writer.close();
  });

  it('holds the producer back no longer either where the interpreter of this process has lost it', async () => {
    const log = new MemoryChannelLog({ mostBytes: 200 });
    const writer = await writerOf(log);
    writer.add('a'.repeat(40), 'b'.repeat(40));
    await writer.settled();
    const entries = streamsOf(log).read({ path: 'answer', of: 'sentences' }, 'made');
    await entries.next();
    await log.lose({ run: 'r', path: 'answer', of: 'sentences' }, 1);
    const { count, hash } = await log.open({ run: 'r', path: 'answer', of: 'sentences' }, 'another', 60_000);
    const other = { before: hash, text: '"other"' };
    const write = { owner: 'another', count, hash, entries: [other, other], after: hash, ttlMs: 60_000 };
    await log.append({ run: 'r', path: 'answer', of: 'sentences' }, write);
    const passed = vi.spyOn(log, 'passed');
    await expect(entries.next().then(() => entries.next())).rejects.toMatchObject({ code: 'STREAM_LOST' });
    expect(passed).toHaveBeenLastCalledWith(expect.anything(), 'made', Number.MAX_SAFE_INTEGER);
    writer.close();
  });

  it('goes on with the next generation of a stream that has started over', async () => {
    const log = new MemoryChannelLog();
    const writer = await writerOf(log);
    writer.add('Once.');
    await writer.settled();
    const channel = { path: 'answer', of: 'sentences', restarts: true } as const;
    const [again] = (await ChannelWriter.startOver([writer])) ?? [];
    again?.add('Twice.');
    const { entries, next } = await streamsOf(log).wait(waitFor({ channel }));
    expect(entries).toEqual([{ number: 0, digest: digestOf('Twice.') }]);
    expect(next).toMatchObject({ number: 1, generation: 1 });
    const ref = { path: 'answer', of: 'sentences', number: 0, digest: digestOf('Twice.') };
    expect((await streamsOf(log).valuesOf({ item: { ...ref, generation: 1 } })).get('item')).toBe('Twice.');
    await expect(streamsOf(log).valuesOf({ item: ref })).rejects.toMatchObject({ code: 'STREAM_LOST' });
    // Something was made of it.
    expect(await ChannelWriter.startOver(again ? [again] : [])).toBeUndefined();
  });
});

describe('a call with entries in place of values', () => {
  const stage = { stage: 'loud', kind: ENTRY_KIND } as unknown as StageCall;
  const held = (digest: string, number = 0) => ({
    kind: 'code',
    entries: { 'made/item': { path: 'answer', of: 'sentences', number, digest } },
  });
  const runnerOf = (log: MemoryChannelLog) => ({
    stepStreams: (_: string, signal: AbortSignal) => streamsOf(log, signal),
  });

  it('gets them before it runs', async () => {
    const log = new MemoryChannelLog();
    await (await writerOf(log)).end({ as: 'done' }, 'It rains. ');
    const input = { text: { $text: ['Say: ', { $ref: 'made/item' }] }, times: { $const: 2 } };
    const call = { ...stage, held: held(digestOf('It rains.')) };
    const [whole, own] = await withEntries(runnerOf(log), input, call, 'r', never());
    expect(whole).toEqual({ text: 'Say: It rains.', times: 2 });
    expect(own).toEqual({ stage: 'loud', kind: 'code' });
  });

  it('is not given another one', async () => {
    const log = new MemoryChannelLog();
    await (await writerOf(log)).end({ as: 'done' }, 'It snows.');
    const call = { ...stage, held: held(digestOf('It rains.')) };
    const input = { text: { $ref: 'made/item' } };
    const lost = { code: 'STREAM_LOST' };
    await expect(withEntries(runnerOf(log), input, call, 'r', never())).rejects.toMatchObject(lost);
    const behind = { ...stage, held: held(digestOf('It snows.'), 1) };
    await expect(withEntries(runnerOf(log), input, behind, 'r', never())).rejects.toMatchObject(lost);
    await expect(withEntries({}, input, call, 'r', never())).rejects.toMatchObject(lost);
  });

  it('is left alone without them', async () => {
    const call = { stage: 'loud', kind: 'code' } as unknown as StageCall;
    const input = { text: { $ref: 'a value that looks like one' } };
    expect(await withEntries({}, input, call, 'r', never())).toEqual([input, call]);
  });
});

describe('a commit of values', () => {
  const commit = (log: MemoryChannelLog, from: number, values: readonly Json[], end?: true) =>
    streamsOf(log).commit({ path: 'made', from, runMs: 60_000, ...(end && { end }) }, values);
  const held = async (log: MemoryChannelLog) => {
    const channel = await log.read({ run: 'r', path: 'made', of: 'entries' }, 0, 100);
    return (
      channel && {
        values: channel.entries.map(({ text }) => (JSON.parse(text) as { value: Json }).value),
        end: channel.end,
      }
    );
  };

  it('adds what is not there yet, and the end', async () => {
    const log = new MemoryChannelLog();
    expect(await commit(log, 0, ['a', 'b'])).toEqual({ count: 2 });
    // An attempt before has committed them.
    expect(await commit(log, 1, ['b', 'c'])).toEqual({ count: 3 });
    expect(await commit(log, 3, [], true)).toEqual({ count: 3 });
    expect(await commit(log, 3, [], true)).toEqual({ count: 3 });
    expect(await held(log)).toEqual({ values: ['a', 'b', 'c'], end: JSON.stringify({ as: 'done' }) });
  });

  it('says where the store has lost what was before, and commits nothing behind it', async () => {
    const log = new MemoryChannelLog();
    await commit(log, 0, ['a', 'b']);
    await log.lose({ run: 'r', path: 'made', of: 'entries' }, 1);
    expect(await commit(log, 2, ['c'])).toEqual({ count: 1 });
    expect(await commit(log, 1, ['b', 'c'])).toEqual({ count: 3 });
    expect((await held(log))?.values).toEqual(['a', 'b', 'c']);
  });

  it('reads none of what was committed before', async () => {
    const log = new MemoryChannelLog();
    const opened = vi.spyOn(log, 'open');
    for (let from = 0; from < 20; from++) await commit(log, from, [from]);
    const read = await Promise.all(opened.mock.results.map(async ({ value }) => (await value).entries.length));
    expect(read).toEqual(Array.from({ length: 20 }, () => 0));
    expect((await held(log))?.values).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it.each([0, 1])(
    'fails where the store loses all but %d values meanwhile, and the next one says where',
    async (left) => {
      const log = new MemoryChannelLog();
      await commit(log, 0, ['a', 'b']);
      const append = log.append.bind(log);
      vi.spyOn(log, 'append').mockImplementationOnce(async (...write) => {
        await log.lose({ run: 'r', path: 'made', of: 'entries' }, left);
        return await append(...write);
      });
      await expect(commit(log, 2, ['c'])).rejects.toMatchObject({ code: 'STREAM_LOST' });
      expect((await held(log))?.values ?? []).toEqual(['a'].slice(0, left));
      expect(await commit(log, 2, ['c'])).toEqual({ count: left });
      expect(await commit(log, left, ['a', 'b', 'c'].slice(left))).toEqual({ count: 3 });
      expect((await held(log))?.values).toEqual(['a', 'b', 'c']);
    },
  );

  it('is refused if other values are there, or more, or the end', async () => {
    const log = new MemoryChannelLog();
    await commit(log, 0, ['a', 'b']);
    const cut = { code: 'STREAM_CUT' };
    await expect(commit(log, 1, ['x'])).rejects.toMatchObject(cut);
    await expect(commit(log, 0, ['a'], true)).rejects.toMatchObject(cut);
    await commit(log, 2, [], true);
    await expect(commit(log, 2, ['c'])).rejects.toMatchObject(cut);
  });
});
