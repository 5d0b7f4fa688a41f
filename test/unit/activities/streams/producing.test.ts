import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { produceText } from '../../../../activities/streams/produce.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { MemoryChannelLog, readChannel } from '../../../../stores/channels/index.js';
import { ANSWER, breaksAfter, emit, PIECES, producer, run, signal, whole } from './stream-run.js';

describe('a producer', () => {
  it('passes on each sentence, and returns the whole', async () => {
    const { produce, read } = run();
    expect(await produce(whole())).toEqual({ output: { text: ANSWER } });
    const { values, end } = await read();
    expect(values).toEqual(PIECES);
    expect(end).toEqual({ as: 'done', outcome: { output: { text: ANSWER } } });
  });

  it('writes no more to one stream when the other cannot be opened', async () => {
    const { produce, channels } = run();
    const open = channels.open.bind(channels);
    channels.open = async (name, owner) => {
      if (name.of === 'tokens') throw new Error('away');
      return await open(name, owner);
    };
    const append = vi.spyOn(channels, 'append');
    await expect(produce(whole(), producer({ writes: ['sentences', 'tokens'] }))).rejects.toMatchObject({
      code: 'STREAM_LOST',
    });
    append.mockClear();
    // A writer looks after its channel every second.
    await sleep(1_300);
    expect(append).not.toHaveBeenCalled();
  });

  it('goes on behind what is committed when the next attempt repeats it', async () => {
    const { produce, read, deltas } = run();
    await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
    deltas.splice(0);
    expect(await produce(whole())).toEqual({ output: { text: ANSWER } });
    expect((await read()).values).toEqual(PIECES);
    // The second attempt shows followers the whole answer, once.
    expect(deltas.join('')).toBe(ANSWER);
  });

  it('is cut where the store has dropped the beginning of the answer behind its readers', async () => {
    const channels = new MemoryChannelLog({ mostBytes: 300 });
    const answer = Array.from({ length: 12 }, (_, i) => `This is sentence number ${i}. `).join('');
    const call = producer();
    const name = { run: 'r', path: 'answer', of: 'sentences' };
    const attempt = (breaks: boolean) =>
      produceText(
        { channels },
        { run: 'r', call, signal: signal(), onDelta: () => channels.passed(name, 'speak', 1_000) },
        async ({ onText }) => {
          for (const part of answer.match(/.{1,30}/g) ?? []) {
            onText(part);
            await sleep(5);
          }
          if (breaks) throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
          return { output: { text: answer } };
        },
      );
    await expect(attempt(true)).rejects.toThrow('broke off');
    expect((await channels.open(name, 'looks')).from).toBeGreaterThan(0);
    await expect(attempt(false)).rejects.toMatchObject({ code: 'STREAM_CUT' });
  });

  it.each([' A second', 'A second'])(
    'goes on by prefill, whether the rest begins with white space or not: "%s…"',
    async () => {
      const { produce, read } = run();
      await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
      const rest = ANSWER.slice(PIECES[0]?.length);
      const result = await produce(async ({ committed, continues, onText }) => {
        expect(committed).toBe(PIECES[0]);
        continues();
        emit({ onText }, rest);
        return { output: { text: rest } };
      });
      expect(result).toEqual({ output: { text: ANSWER } });
      expect((await read()).values).toEqual(PIECES);
    },
  );

  it('goes on behind a server that repeats what it continues', async () => {
    const { produce, read, deltas } = run();
    await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
    deltas.splice(0);
    const result = await produce(async ({ continues, onText }) => {
      continues();
      emit({ onText }, ANSWER);
      return { output: { text: ANSWER } };
    });
    expect(result).toEqual({ output: { text: ANSWER } });
    expect((await read()).values).toEqual(PIECES);
    expect(deltas.join('')).toBe(ANSWER);
  });

  it('keeps a continuation that begins as the answer does', async () => {
    const { produce } = run();
    await expect(produce(breaksAfter(30))).rejects.toThrow('broke off');
    const result = await produce(async ({ continues }) => {
      continues();
      return { output: { text: 'One' } };
    });
    expect(result).toEqual({ output: { text: `${PIECES[0]}One` } });
  });

  it('is cut when the next attempt gives another answer, or ends if its author accepts that', async () => {
    const one = run();
    await expect(one.produce(breaksAfter(30))).rejects.toThrow('broke off');
    await expect(one.produce(whole('Something else entirely. Yes.'))).rejects.toMatchObject({ code: 'STREAM_CUT' });
    await expect(one.produce(whole('One'))).rejects.toMatchObject({ code: 'STREAM_CUT' });
    const call = producer({ onCut: 'end' });
    const result = await one.produce(whole('Something else.'), call);
    expect(result.output).toEqual({ text: PIECES[0], finish: 'stop' });
    expect(await one.read()).toMatchObject({ values: [PIECES[0]], end: { as: 'cut' } });
  });

  it('is cut when the server ends with another text than it has sent, or ends with what was sent', async () => {
    const revising = async ({ onText }: { onText(delta: string): void }) => {
      onText('It rains. Nobody ca');
      return { output: { text: 'It rains. Somebody came.' } };
    };
    await expect(run().produce(revising)).rejects.toMatchObject({
      code: 'STREAM_CUT',
      message: 'the server changed its answer after 19 characters that have been read',
    });
    const { produce, read } = run();
    const result = await produce(revising, producer({ onCut: 'end' }));
    expect(result.output).toEqual({ text: 'It rains. Nobody ca', finish: 'stop' });
    expect(await read()).toMatchObject({ values: ['It rains.', ' Nobody ca'], end: { as: 'cut' } });
  });

  it.each([
    ['It rains. ', 'It rains.'],
    [' It rains.', 'It rains.'],
    ['It rains. And', 'It rains.'],
    ['It rains. <call', ''],
  ])('keeps what was sent ("%s") where the whole differs by white space or end (%j)', async (sent, text) => {
    const result = await run().produce(async ({ onText }) => {
      onText(sent);
      return { output: { text } };
    });
    expect(result.output).toEqual({ text: sent });
  });

  it('makes no call when the stream has ended', async () => {
    const { produce } = run();
    await produce(whole());
    const serve = vi.fn(whole());
    expect(await produce(serve)).toEqual({ output: { text: ANSWER } });
    expect(serve).not.toHaveBeenCalled();
  });

  it('passes nothing on of structured output and of possible tool calls before it is whole', async () => {
    for (const options of [{ schema: {} }, { tools: [{ name: 't' }] }]) {
      const { produce, read } = run();
      const call = producer({ with: options });
      await expect(produce(breaksAfter(60), call)).rejects.toThrow('broke off');
      expect(await produce(whole('Something else. Whole.'), call)).toEqual({
        output: { text: 'Something else. Whole.' },
      });
      expect((await read()).values).toEqual(['Something else.', ' Whole.']);
    }
  });

  it('takes an answer that comes in one piece, such as a cached one', async () => {
    const { produce, read } = run();
    await produce(async () => ({ output: { text: ANSWER } }));
    expect((await read()).values).toEqual(PIECES);
  });

  it('settles a sentence that reads as whole, and cuts one that does not end', async () => {
    const { produce, channels, id } = run();
    const got: unknown[] = [];
    const reading = (async () => {
      for await (const { value } of readChannel(
        channels,
        { run: id, path: 'answer', of: 'sentences' },
        { signal: signal() },
      ))
        got.push(value);
    })();
    await produce(async ({ onText }) => {
      onText('It rains. ');
      await vi.waitFor(() => expect(got).toEqual(['It rains.']), { timeout: 30_000 });
      onText('When it rains in our town, everybody takes a');
      await vi.waitFor(() => expect(got).toHaveLength(2), { timeout: 30_000 });
      expect(got[1]).toBe(' When it rains in our town,');
      onText(' coat');
      return { output: { text: 'It rains. When it rains in our town, everybody takes a coat' } };
    });
    await reading;
    expect(got.join('')).toBe('It rains. When it rains in our town, everybody takes a coat');
  });

  it('gives tokens and sentences side by side, and both go on after a break', async () => {
    const { produce, read } = run();
    const call = producer({ writes: ['sentences', 'tokens'] });
    const broken = produce(async (producing) => {
      emit(producing, ANSWER.slice(0, 30));
      await sleep(100);
      throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
    }, call);
    await expect(broken).rejects.toThrow('broke off');
    await produce(async ({ committed, ...producing }) => {
      expect(committed).toBe(ANSWER.slice(0, 30));
      return whole()({ committed, ...producing });
    }, call);
    expect((await read('tokens')).values.join('')).toBe(ANSWER);
    expect((await read()).values).toEqual(PIECES);
  });
});
