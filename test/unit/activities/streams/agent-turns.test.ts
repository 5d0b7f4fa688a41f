import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Producing } from '../../../../activities/streams/produce.js';
import { mulberry32 } from '../../../../bench/random.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { saidWith } from '../../../../pipelines/plan/index.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { emit, producer, run } from './stream-run.js';

/* The turns of an agent write one stream: what the model says before its calls of tools, and the answer. */

const LOOKS = 'Let me look that up. It takes a moment';
const ANSWERS = 'It is 21 degrees. The sun shines.';
const WHOLE = `${LOOKS}\n\n${ANSWERS}`;
const CALLS = [{ id: 'c', name: 'get_weather', arguments: {} }];

/** The call of a turn, behind what was said before. */
const turn = (number: number, said: string, more: Partial<StageCall> = {}): StageCall =>
  producer({
    path: `answer/turn-${number}`,
    with: { tools: [{ name: 'get_weather', schema: {} }] },
    turn: { path: 'answer', said },
    ...more,
  });

/** Says a text in small parts, then calls a tool or nothing. */
const says =
  (text: string, calls: readonly JsonObject[] = []) =>
  async (producing: Producing) => {
    emit(producing, text);
    return { output: { text, ...(calls.length > 0 && { toolCalls: calls as JsonObject[] }) } };
  };
const breaksAfter = (text: string, length: number) => async (producing: Producing) => {
  emit(producing, text.slice(0, length));
  await sleep(5);
  throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
};

describe('the turns of an agent', () => {
  it('are said one behind the other, and the one that calls no tool is the last', async () => {
    const { produce, read, channels, id } = run();
    await produce(says(LOOKS, CALLS), turn(1, ''));
    const between = await channels.read({ run: id, path: 'answer', of: 'sentences' }, 0, 9);
    expect(between?.entries.map(({ text }) => JSON.parse(text))).toEqual([
      'Let me look that up.',
      ' It takes a moment',
    ]);
    expect(between?.end).toBeUndefined();
    const { output } = await produce(says(ANSWERS), turn(2, LOOKS));
    expect(output.text).toBe(ANSWERS);
    const { values, end } = await read();
    expect(values).toEqual(['Let me look that up.', ' It takes a moment', '\n\nIt is 21 degrees.', ' The sun shines.']);
    expect(end.as).toBe('done');
  });

  it('are read sentence by sentence, before a turn has ended', async () => {
    const { produce, channels, id } = run();
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const turning = produce(
      async (producing) => {
        emit(producing, `${LOOKS} or two.`);
        await held;
        return { output: { text: `${LOOKS} or two.`, toolCalls: CALLS } };
      },
      turn(1, ''),
    );
    const name = { run: id, path: 'answer', of: 'sentences' };
    await expect.poll(async () => (await channels.read(name, 0, 9))?.count, { timeout: 10_000 }).toBeGreaterThan(0);
    go();
    await turning;
  });

  it('say nothing without words, and no white space at the end', async () => {
    for (const of of ['sentences', 'tokens']) {
      const writes = { writes: [of] };
      const { produce, read } = run();
      await produce(says(' \n', CALLS), turn(1, '', writes));
      await produce(says('One moment. \n\n', CALLS), turn(2, '', writes));
      await produce(says('', CALLS), turn(3, 'One moment.', writes));
      await produce(says(' Fine.\n'), turn(4, 'One moment.', writes));
      expect((await read(of)).values.join('')).toBe('One moment.\n\n Fine.');
    }
  });

  it('are followed as they are, white space included', async () => {
    const { produce, deltas } = run();
    await produce(says('One moment. \n', CALLS), turn(1, ''));
    await produce(says('Fine.'), turn(2, 'One moment.'));
    expect(deltas.join('')).toBe('One moment. \nFine.');
  });

  it('go on behind what an attempt has said before it broke off', async () => {
    const { produce, read } = run();
    await produce(says(LOOKS, CALLS), turn(1, ''));
    await expect(produce(breaksAfter(ANSWERS, 24), turn(2, LOOKS))).rejects.toThrow('broke off');
    const { output } = await produce(
      async (producing) => {
        expect(producing.committed).toBe('It is 21 degrees.');
        return await says(ANSWERS)(producing);
      },
      turn(2, LOOKS),
    );
    expect(output.text).toBe(ANSWERS);
    expect((await read()).values.join('')).toBe(WHOLE);
  });

  it('are cut where an attempt says something else, or end there if the author wants that', async () => {
    for (const onCut of [undefined, 'end'] as const) {
      const { produce, read } = run();
      await produce(says(LOOKS, CALLS), turn(1, ''));
      const call = turn(2, LOOKS, onCut && { onCut });
      await expect(produce(breaksAfter(ANSWERS, 24), call)).rejects.toThrow('broke off');
      const again = produce(says('Rain. All day long.'), call);
      if (onCut === undefined) {
        await expect(again).rejects.toMatchObject({ code: 'STREAM_CUT' });
        continue;
      }
      expect((await again).output).toEqual({ text: 'It is 21 degrees.', finish: 'stop' });
      const { values, end } = await read();
      expect([values.join(''), end.as]).toEqual([`${LOOKS}\n\nIt is 21 degrees.`, 'cut']);
    }
  });

  it('make no call for an answer that has ended the stream', async () => {
    const { produce } = run();
    await produce(says(ANSWERS), turn(1, ''));
    const again = await produce(
      async () => {
        throw new Error('called again');
      },
      turn(1, ''),
    );
    expect(again.output.text).toBe(ANSWERS);
  });

  it('store again what the store has lost of the turns before', async () => {
    for (const kept of [0, 1]) {
      const { produce, read, channels, id } = run();
      await produce(says(LOOKS, CALLS), turn(1, ''));
      await channels.lose({ run: id, path: 'answer', of: 'sentences' }, kept);
      await produce(says(ANSWERS), turn(2, LOOKS));
      expect((await read()).values.join('')).toBe(WHOLE);
    }
  });

  it('write nothing behind what none of them has said', async () => {
    const { produce, read } = run();
    await produce(says('Something else.', CALLS), turn(1, ''));
    await expect(produce(says(ANSWERS), turn(2, LOOKS))).rejects.toMatchObject({ code: 'STREAM_LOST' });
    await produce(says(ANSWERS), turn(2, 'Something else.'));
    expect((await read()).values.join('')).toBe(`Something else.\n\n${ANSWERS}`);
  });

  it('give all streams the same text, whatever attempts break off and however white space is spread', async () => {
    const random = mulberry32(7);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const parts = ['One.', ' Two, three.', '\n\n', ' four', ' ', '5.5 is a number. ', 'Six!', '\t', 'seven eight'];
    for (let round = 0; round < 200; round++) {
      const { produce, read } = run();
      const texts = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
        Array.from({ length: Math.floor(random() * 6) }, () => pick(parts)).join(''),
      );
      let said = '';
      for (const [i, text] of texts.entries()) {
        const last = i === texts.length - 1;
        const call = turn(i + 1, said, { writes: ['sentences', 'tokens'] });
        while (random() < 0.3)
          await produce(async (producing) => {
            emit(producing, text.slice(0, Math.floor(random() * text.length)));
            throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
          }, call).catch(() => undefined);
        await produce(says(text, last ? [] : CALLS), call);
        said = saidWith(said, text);
      }
      for (const of of ['sentences', 'tokens']) expect((await read(of)).values.join('')).toBe(said);
      const sentences = (await read()).values.map((value) => String(value).trim());
      expect(sentences.join(' ').replaceAll(/\s+/g, ' ')).toBe(said.trim().replaceAll(/\s+/g, ' '));
    }
  });
});
