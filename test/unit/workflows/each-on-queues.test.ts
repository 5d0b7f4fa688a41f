import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  chat,
  code,
  codeStream,
  eq,
  type Pipeline,
  pipeline,
  streamOf,
  synthesize,
  text as textOf,
} from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { computesWith, type EachPlan } from '../../../pipelines/plan/index.js';
import type { RunContext, RunResult } from '../../../pipelines/run/index.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret, type RunHost } from '../../../workflows/interpreter/index.js';
import { changed } from '../../support/changed-host.js';
import { contextOf } from '../../support/in-process.js';
import { nothingWritten, referring } from '../../support/referring-host.js';
import { functionRunner } from '../../support/run-functions.js';

/* An `each` whose items a workflow runs: it has the places of entries, and the calls read the values. */

const one = z.object({ text: z.string() });
const WORDS = ['apple', 'pear', 'plum', 'fig', 'quince'];

const wordsOf = (words: readonly string[], before: (i: number) => Promise<void> | void = () => undefined) =>
  codeStream('words', { input: z.object({}), entry: z.string() }, async function* () {
    for (const [i, word] of words.entries()) {
      await before(i);
      yield word;
    }
  });
const join = code(
  'join',
  { input: z.object({ parts: streamOf(z.string().nullable()) }), output: one },
  async ({ parts }) => {
    const all: (string | null)[] = [];
    for await (const part of parts) all.push(part);
    return { text: all.join(' ') };
  },
);

interface Given {
  readonly words?: readonly string[];
  readonly before?: (i: number) => Promise<void> | void;
  readonly body?: (value: string) => Promise<string> | string;
  readonly concurrency?: number;
  readonly onFailure?: 'fail' | 'null' | 'drop';
}

const relayed = ({ words = WORDS, before, body = (value) => value.toUpperCase(), ...given }: Given = {}) => {
  const { concurrency = 2, onFailure = 'fail' } = given;
  const loud = code('loud', { input: one, output: one }, async ({ text }) => ({ text: await body(text) }));
  return pipeline('relayed', { input: z.object({}) }, ({ stage, each }) => {
    const said = stage('said', wordsOf(words, before), {});
    const made = each(
      'made',
      said.entries,
      (word) => stage('loud', loud, { text: textOf`say ${word}` }, { retry: { attempts: 1 } }).text,
      { concurrency, onFailure: onFailure as 'null' },
    );
    return { whole: stage('join', join, { parts: made.entries }).text, list: made };
  });
};

const loudOf = (words: readonly string[]) => words.map((word) => `SAY ${word.toUpperCase()}`);

function hostOf(of: unknown, channels = new MemoryChannelLog(), written = nothingWritten()) {
  const runner = functionRunner((of as Pipeline).code, channels);
  return referring(new InProcessHost({ runner, run: 'r' }), { runner, run: 'r', written });
}

const run = (of: unknown, host: RunHost, input: JsonObject = {}) => interpret(input, contextOf(of as Pipeline), host);

/** A run over several histories: each looks a few times whether it is full, a later one more often. */
async function overHistories(
  of: unknown,
  given?: (history: number) => RunHost,
): Promise<RunResult & { readonly histories: number }> {
  const context = contextOf(of as Pipeline);
  const channels = new MemoryChannelLog();
  const hostIn = given ?? (() => hostOf(of, channels));
  let carried: RunContext['carried'];
  for (let histories = 1; ; histories += 1) {
    let checks = 3 * histories;
    const host = changed(hostIn(histories), () => ({ full: () => checks-- <= 0 }));
    const result = await interpret({}, { ...context, ...(carried && { carried }) }, host);
    if (!('carried' in result)) return { ...result, histories };
    carried = JSON.parse(JSON.stringify({ ...result.carried, decided: {} })) as NonNullable<typeof carried>;
  }
}

/** The store has none of the entries that the function has made any more, until it finds them again. */
function lose(channels: MemoryChannelLog): () => void {
  const read = channels.read.bind(channels);
  channels.read = async (name, from, most) => {
    const held = await read(name, from, most);
    return name.path === 'said' && held ? { ...held, from: from + 1, entries: [] } : held;
  };
  return () => {
    channels.read = read;
  };
}

describe('an each that a workflow runs over a stream', () => {
  it('has the places of entries only, and the calls have the values', async () => {
    const written = nothingWritten();
    const of = relayed();
    const { output } = (await run(of, hostOf(of, undefined, written))) as RunResult;
    expect(output).toEqual({ whole: loudOf(WORDS).join(' '), list: loudOf(WORDS) });
    const made = written.calls.filter(({ call }) => call.stage === 'loud');
    expect(made.map(({ call }) => call.held?.entries['made/item']?.number)).toEqual([0, 1, 2, 3, 4]);
    const history = JSON.stringify([written.waits, made]);
    for (const word of WORDS) expect(history).not.toContain(word);
  });

  it('begins an item before the next entry is there', async () => {
    const made: string[] = [];
    let go: () => void = () => undefined;
    const of = relayed({
      async before(i) {
        if (i === 0) return;
        await new Promise<void>((resolve) => {
          if (made.length >= i) resolve();
          else go = resolve;
        });
      },
      body(value) {
        made.push(value);
        go();
        return value;
      },
    });
    const { output } = (await run(of, hostOf(of))) as RunResult;
    expect(output.list).toEqual(WORDS.map((word) => `say ${word}`));
  });

  it('ends with its stream where one of its lanes waits for a turn', async () => {
    const of = relayed();
    let turns = 0;
    const none = async (giveUp: () => boolean) => {
      while (!giveUp()) await new Promise((resolve) => setImmediate(resolve));
    };
    const itemTurn = (giveUp: () => boolean) => (++turns === 2 ? none(giveUp) : undefined);
    const { output } = (await run(
      of,
      changed(hostOf(of), () => ({ itemTurn })),
    )) as RunResult;
    expect(output.list).toEqual(loudOf(WORDS));
  });

  it.each([
    ['drop', ['a', 'c']],
    ['null', ['a', null, 'c']],
  ] as const)('leaves out what fails, or has null in its place: %s', async (onFailure, list) => {
    const body = (value: string) => {
      if (value === 'say b') throw Object.assign(new Error('no'), { code: 'BACKEND_REJECTED' });
      return value.slice(4);
    };
    const of = relayed({ words: ['a', 'b', 'c'], onFailure, body });
    expect(((await run(of, hostOf(of))) as RunResult).output.list).toEqual(list);
  });

  it('takes the collected list for entries that the store has lost, and makes nothing again of items that have ended', async () => {
    const channels = new MemoryChannelLog();
    const made: string[] = [];
    const of = relayed({
      concurrency: 1,
      async body(value) {
        made.push(value);
        // The producer has ended by then: nobody stores the entries again.
        if (made.length === 2) lose(channels);
        return value;
      },
    });
    const { output } = (await run(of, hostOf(of, channels))) as RunResult;
    expect(output.list).toEqual(WORDS.map((word) => `say ${word}`));
    expect(made).toEqual(WORDS.map((word) => `say ${word}`));
  });

  it('loses nothing with an entry either where its body handles failures', async () => {
    const channels = new MemoryChannelLog();
    let made = 0;
    const loud = code('loud', { input: one, output: one }, ({ text }) => {
      made += 1;
      if (made === 3) lose(channels);
      return { text };
    });
    const of = pipeline('nested', { input: z.object({ ns: z.array(z.number()) }) }, ({ input, stage, each }) => {
      const said = stage('said', wordsOf(WORDS), {});
      const made = each(
        'made',
        said.entries,
        (word) =>
          each('twice', input.ns, (n) => stage('loud', loud, { text: textOf`${word} ${n}` }).text, {
            onFailure: 'drop',
          }),
        { concurrency: 1 },
      );
      return { made };
    });
    const { output } = (await run(of, hostOf(of, channels), { ns: [1, 2] })) as RunResult;
    expect(output.made).toEqual(WORDS.map((word) => [`${word} 1`, `${word} 2`]));
  });

  it('commits what is ready together, and again from where the store has lost it', async () => {
    const channels = new MemoryChannelLog();
    const written = nothingWritten();
    let lost = false;
    const of = relayed({
      concurrency: 1,
      async body(value) {
        if (value === 'say plum' && !lost) {
          lost = true;
          await channels.lose({ run: 'r', path: 'made', of: 'entries' }, 1);
        }
        return value;
      },
    });
    const { output } = (await run(of, hostOf(of, channels, written))) as RunResult;
    expect(output.whole).toBe(WORDS.map((word) => `say ${word}`).join(' '));
    expect(lost).toBe(true);
    expect(written.commits.some(({ from, count }) => count < from)).toBe(true);
  });

  it('goes on in a new history behind what has ended, and so does what reads its values', async () => {
    const made: string[] = [];
    const of = relayed({
      concurrency: 1,
      body(value) {
        made.push(value);
        return value;
      },
    });
    const { output, stages, histories } = await overHistories(of);
    expect(output.whole).toBe(WORDS.map((word) => `say ${word}`).join(' '));
    expect(stages.map(({ stage, status, count }) => [stage, status, count])).toEqual([
      ['said', 'done', undefined],
      ['loud', 'done', { done: WORDS.length, started: WORDS.length }],
      ['join', 'done', undefined],
    ]);
    expect(histories).toBeGreaterThan(1);
    expect(made).toEqual(WORDS.map((word) => `say ${word}`));
  });

  it('goes on in a new history also where a function reads what another one makes of its values', async () => {
    const passes = codeStream(
      'passes',
      { input: z.object({ parts: streamOf(z.string()) }), entry: z.string() },
      async function* ({ parts }) {
        for await (const part of parts) yield `${part}!`;
      },
    );
    const loud = code('loud', { input: one, output: one }, ({ text }) => ({ text }));
    const of = pipeline('chained', { input: z.object({}) }, ({ stage, each }) => {
      const said = stage('said', wordsOf(WORDS), {});
      const made = each('made', said.entries, (word) => stage('loud', loud, { text: word }).text, { concurrency: 1 });
      const passed = stage('passed', passes, { parts: made.entries });
      return { whole: stage('join', join, { parts: passed.entries }).text };
    });
    const { output, stages, histories } = await overHistories(of);
    expect(output.whole).toBe(WORDS.map((word) => `${word}!`).join(' '));
    expect(histories).toBeGreaterThan(1);
    expect(stages.map(({ status }) => status)).toEqual(['done', 'done', 'done', 'done']);
  });

  it('runs no stage of an item again whose entry is lost in the middle of it', async () => {
    const channels = new MemoryChannelLog();
    const begun: string[] = [];
    const first = code('first', { input: one, output: one }, ({ text }) => {
      begun.push(text);
      if (begun.length === 2) lose(channels);
      return { text: text.toUpperCase() };
    });
    const second = code('second', { input: one, output: one }, ({ text }) => ({ text }));
    const of = pipeline('two', { input: z.object({}) }, ({ stage, each }) => {
      const said = stage('said', wordsOf(WORDS), {});
      const made = each(
        'made',
        said.entries,
        (word) => {
          const { text } = stage('first', first, { text: word });
          return stage('second', second, { text: textOf`${word} ${text}` }).text;
        },
        { concurrency: 1 },
      );
      return { made };
    });
    const { output } = (await run(of, hostOf(of, channels))) as RunResult;
    expect(output.made).toEqual(WORDS.map((word) => `${word} ${word.toUpperCase()}`));
    expect(begun).toEqual(WORDS);
  });

  it('waits for no step that reads what the one that has lost the entry was to make', async () => {
    const channels = new MemoryChannelLog();
    let begun = 0;
    const letters = codeStream('letters', { input: one, entry: z.string() }, async function* ({ text }) {
      begun += 1;
      if (begun === 2) lose(channels);
      yield* text;
    });
    const of = pipeline('spelled', { input: z.object({}) }, ({ stage, each }) => {
      const said = stage('said', wordsOf(WORDS), {});
      const made = each(
        'made',
        said.entries,
        (word) => stage('join', join, { parts: stage('letters', letters, { text: word }).entries }).text,
        { concurrency: 1 },
      );
      return { made };
    });
    const { output } = (await run(of, hostOf(of, channels))) as RunResult;
    expect(output.made).toEqual(WORDS.map((word) => [...word].join(' ')));
    expect(begun).toBe(WORDS.length);
  });

  it('begins no item again that has failed beside the one whose entry is lost', async () => {
    const channels = new MemoryChannelLog();
    const made: string[] = [];
    const of = relayed({
      words: ['apple', 'pear', 'plum'],
      async body(value) {
        made.push(value);
        await expect.poll(() => made.length).toBeGreaterThan(1);
        lose(channels);
        if (value !== 'say apple') return value;
        // By then another item has found its entry lost.
        await sleep(200);
        throw new Error('no');
      },
    });
    await expect(run(of, hostOf(of, channels))).rejects.toThrow('no');
    expect(made.sort()).toEqual(['say apple', 'say pear']);
  });

  it('stays with the collected list that it has once taken, also in a new history', async () => {
    const channels = new MemoryChannelLog();
    const made: string[] = [];
    let find: () => void = () => undefined;
    const of = relayed({
      concurrency: 1,
      body(value) {
        made.push(value);
        if (made.length === 2) find = lose(channels);
        return value;
      },
    });
    const written = nothingWritten();
    const { output, histories } = await overHistories(of, (history) => {
      if (history === 1) return hostOf(of, channels);
      find();
      return hostOf(of, channels, written);
    });
    expect(output.list).toEqual(WORDS.map((word) => `say ${word}`));
    expect(made).toEqual(WORDS.map((word) => `say ${word}`));
    expect(histories).toBeGreaterThan(1);
    expect(written.waits).toEqual([]);
  });

  it('takes the collected list where a worker of an earlier release has begun with it', async () => {
    const channels = new MemoryChannelLog();
    const made: string[] = [];
    const of = relayed({
      concurrency: 1,
      body(value) {
        made.push(value);
        return value;
      },
    });
    const written = nothingWritten();
    const { output, histories } = await overHistories(of, (history) =>
      history === 1 ? changed(hostOf(of, channels), () => ({ pieces: undefined })) : hostOf(of, channels, written),
    );
    expect(output.list).toEqual(WORDS.map((word) => `say ${word}`));
    expect(made).toEqual(WORDS.map((word) => `say ${word}`));
    expect(histories).toBeGreaterThan(1);
    const later = written.calls.filter(({ call }) => call.stage === 'loud');
    expect(later.length).toBeGreaterThan(0);
    expect(later.filter(({ call }) => call.held)).toEqual([]);
  });
});

describe('the interpreter needs the value of an item', () => {
  const loud = code('loud', { input: one, output: one }, ({ text }) => ({ text }));
  const passesOn = pipeline('passes-on', { input: z.object({}) }, ({ stage, each }) => ({
    made: each('made', stage('said', wordsOf(WORDS), {}).entries, (word) => ({
      word,
      text: stage('loud', loud, { text: word }).text,
    })),
  }));
  const asks = pipeline('asks', { input: z.object({}) }, ({ stage, each, when }) => ({
    made: each('made', stage('said', wordsOf(WORDS), {}).entries, (word) =>
      when('some', eq(word, 'fig'), () => stage('loud', loud, { text: 'x' }).text),
    ),
  }));
  const speaks = pipeline('speaks', { input: z.object({ q: z.string() }) }, ({ input, stage, each }) => {
    const answer = stage('answer', chat({ model: 'llm' }), { prompt: input.q });
    return {
      made: each(
        'made',
        answer.sentences,
        (sentence) => stage('speak', synthesize({ model: 'tts' }), { text: sentence }).audio,
      ),
    };
  });
  const bodyOf = (of: unknown) => ((of as Pipeline).plan.stages.find(({ id }) => id === 'made') as EachPlan).body;

  it.each([
    ['a function that makes something of it', relayed(), false],
    ['a voice that speaks it', speaks, false],
    ['an output that passes it on', passesOn, true],
    ['a condition', asks, true],
  ] as const)('or not: %s', (_, of, needed) => {
    expect(computesWith(bodyOf(of), 'made/item')).toBe(needed);
  });

  it('and then the history has it', async () => {
    const written = nothingWritten();
    const { output } = (await run(passesOn, hostOf(passesOn, undefined, written))) as RunResult;
    expect(output.made).toEqual(WORDS.map((word) => ({ word, text: word })));
    expect(written.waits.flatMap(({ entries }) => entries.map(({ value }) => value))).toEqual(WORDS);
    expect(written.calls.every(({ call }) => call.held === undefined)).toBe(true);
  });
});
