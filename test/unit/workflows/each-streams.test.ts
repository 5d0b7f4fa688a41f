import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, code, codeStream, type Pipeline, pipeline, streamOf, synthesize } from '../../../pipelines/index.js';
import { explain, explanationText } from '../../../pipelines/inspect/index.js';
import { groupsOf, isInline } from '../../../pipelines/plan/segments.js';
import { wholeRun } from '../../../pipelines/run/build-segment.js';
import type { Segment } from '../../../pipelines/run/index.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpretSegment } from '../../../workflows/interpreter/index.js';
import { contextOf } from '../../support/in-process.js';
import { functionRunner, runFunctions as run } from '../../support/run-functions.js';

/* `each` over a stream: entry by entry, in order, and its values are a stream again. */

const INLINE = { execution: 'inline' } as const;
const text = z.object({ text: z.string() });
const gate = () => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
};

interface Given {
  readonly concurrency?: number;
  readonly onFailure?: 'fail' | 'null' | 'drop';
  readonly execution?: 'inline' | 'queued';
  /** Called before the producer yields an entry. */
  readonly before?: (i: number) => Promise<void> | void;
  /** What the body makes of an entry. */
  readonly body?: (value: string) => Promise<string> | string;
  /** Called with each value that is read at the end. */
  readonly read?: (value: string | null) => void;
}

/** Yields `words`, makes something of each, and reads that. */
function relayed(
  words: readonly string[],
  { before, body = (value) => value.toUpperCase(), read, ...given }: Given = {},
) {
  const { execution = 'inline', concurrency = 4, onFailure = 'fail' } = given;
  const words_ = codeStream('words', { input: z.object({}), entry: z.string() }, async function* () {
    for (const [i, word] of words.entries()) {
      await before?.(i);
      yield word;
    }
  });
  const make = code('make', { input: text, output: text }, async ({ text: value }) => ({ text: await body(value) }));
  const join = code(
    'join',
    { input: z.object({ parts: streamOf(z.string().nullable()) }), output: text },
    async ({ parts }) => {
      const all: (string | null)[] = [];
      for await (const part of parts) {
        read?.(part);
        all.push(part);
      }
      return { text: all.join(' ') };
    },
  );
  return pipeline('relayed', { input: z.object({}) }, ({ stage, each }) => {
    const own = { execution } as const;
    const said = stage('said', words_, {}, own);
    const made = each(
      'made',
      said.entries,
      (word) => stage('make', make, { text: word }, { execution, retry: { attempts: 1 } }).text,
      { concurrency, onFailure: onFailure as 'null' },
    );
    return { whole: stage('join', join, { parts: made.entries }, own).text, list: made };
  });
}

describe('an each over a stream', () => {
  it.each(['inline', 'queued'] as const)(
    'of %s stages makes something of an entry, and passes it on, before the next one is there',
    async (execution) => {
      const seen: string[] = [];
      let read = gate();
      const of = relayed(['one', 'two', 'three'], {
        execution,
        async before(i) {
          if (i === 0) return;
          await read.opened;
          read = gate();
          seen.push(`yields ${i}`);
        },
        read(value) {
          seen.push(`reads ${value}`);
          read.open();
        },
      });
      const { output, message } = await run(of, {});
      expect(message).toBe('');
      expect(output).toEqual({ whole: 'ONE TWO THREE', list: ['ONE', 'TWO', 'THREE'] });
      expect(seen).toEqual(['reads ONE', 'yields 1', 'reads TWO', 'yields 2', 'reads THREE']);
    },
  );

  it('keeps the order of the entries, and runs no more of them at once than it may', async () => {
    for (const concurrency of [1, 2, 8]) {
      let running = 0;
      let most = 0;
      const later = gate();
      const of = relayed(['a', 'b', 'c', 'd', 'e'], {
        concurrency,
        async body(value) {
          running += 1;
          most = Math.max(most, running);
          // The first one ends last of those that may run beside it.
          if (value === 'a' && concurrency > 1) await later.opened;
          if (value === 'b') later.open();
          running -= 1;
          return value;
        },
      });
      expect((await run(of, {})).output).toEqual({ whole: 'a b c d e', list: ['a', 'b', 'c', 'd', 'e'] });
      expect(most).toBeLessThanOrEqual(concurrency);
    }
  });

  it.each([
    ['drop', ['a', 'c'], 'a c'],
    ['null', ['a', null, 'c'], 'a  c'],
  ] as const)('leaves out what fails, or has null in its place: %s', async (onFailure, list, whole) => {
    const body = (value: string) => {
      if (value === 'b') throw Object.assign(new Error('no'), { code: 'BACKEND_REJECTED' });
      return value;
    };
    expect((await run(relayed(['a', 'b', 'c'], { onFailure, body }), {})).output).toEqual({ whole, list });
  });

  it('fails with an item, and ends what waits for the next entry', async () => {
    const never = gate();
    const of = relayed(['a', 'b'], {
      before: (i) => (i === 1 ? never.opened : undefined),
      body() {
        throw Object.assign(new Error('no'), { code: 'BACKEND_REJECTED' });
      },
    });
    expect((await run(of, {})).code).toBe('BACKEND_REJECTED');
    never.open();
  });

  it.each([
    ['an item fails', new AbortController(), () => Promise.reject<string>(new Error('no'))],
    ['its run is cancelled', new AbortController(), () => new Promise<string>(() => undefined)],
  ])('listens for no more entries when %s between two of them', async (what, stops, body) => {
    const channels = new MemoryChannelLog();
    const listen = channels.listen.bind(channels);
    const listening = new Set<object>();
    channels.listen = (name, wake) => {
      const leave = listen(name, wake);
      const reader = { name };
      listening.add(reader);
      return () => {
        listening.delete(reader);
        leave();
      };
    };
    const of = relayed(['a', 'b'], {
      concurrency: 1,
      body: () => {
        if (what === 'its run is cancelled') setTimeout(() => stops.abort(new Error('cancelled')), 20);
        return body();
      },
    });
    await run(of, {}, channels, stops.signal).catch(() => undefined);
    await expect.poll(() => listening.size).toBe(0);
  });

  it('gives the same without channels', async () => {
    const expected = { whole: 'ONE TWO', list: ['ONE', 'TWO'] };
    expect((await run(relayed(['one', 'two']), {}, null)).output).toEqual(expected);
  });

  it('compares what it has passed on with what it gives when it runs again', async () => {
    const channels = new MemoryChannelLog();
    const words = ['one', 'two'];
    const first = await run(relayed(words), {}, channels);
    expect((await run(relayed(words), {}, channels)).output).toEqual(first.output);
    expect((await run(relayed(words, { body: (value) => `${value}!` }), {}, channels)).code).toBe('STREAM_CUT');
  });

  it('makes nothing again of the items that are under way when the store loses the stream', async () => {
    const channels = new MemoryChannelLog();
    const read = channels.read.bind(channels);
    let lost = false;
    channels.read = async (name, from, most) => {
      const held = await read(name, from, most);
      // Other entries than those that were read.
      return lost && name.path === 'said' && held ? { ...held, hash: '0'.repeat(32), count: from } : held;
    };
    const made: string[] = [];
    const second = gate();
    const of = relayed(['one', 'two', 'three'], {
      before: (i) => (i === 2 ? second.opened : undefined),
      async body(value) {
        made.push(value);
        if (value === 'two') {
          lost = true;
          second.open();
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
        return value.toUpperCase();
      },
    });
    expect((await run(of, {}, channels)).output).toEqual({ whole: 'ONE TWO THREE', list: ['ONE', 'TWO', 'THREE'] });
    expect(made).toEqual(['one', 'two', 'three']);
  });

  it('says nothing of an empty stream', async () => {
    expect((await run(relayed([]), {})).output).toEqual({ whole: '', list: [] });
  });

  it('leaves little in a history: 500 sentences in a segment', async () => {
    const words = Array.from({ length: 500 }, (_, i) => `This is sentence ${i} of a story that takes half an hour.`);
    const of = relayed(words) as unknown as Pipeline;
    const segment = wholeRun({}, contextOf(of)) as Segment;
    const host = new InProcessHost({ runner: functionRunner(of.code, new MemoryChannelLog()), run: 'r' });
    const outcome = await interpretSegment(segment, host);
    expect(outcome.failure).toBeUndefined();
    expect(JSON.stringify([segment, outcome]).length).toBeLessThan(200_000);
  });

  it('reads sentences as the list of them has them', async () => {
    const { plan } = spoken('inline');
    expect(plan.stages).toMatchObject([
      { id: 'answer', streamed: ['sentences'] },
      { id: 'made', kind: 'each', streams: { over: { from: 'answer', of: 'sentences' } }, streamed: ['entries'] },
      { id: 'speak', streams: { text: { from: 'made', of: 'entries' } } },
    ]);
    expect(explainedOf('inline')).toContain('stream       text from made.entries, while it is made');
    expect(explainedOf('inline')).toContain(
      'each         made: items from answer.sentences, while it is made, in the worker',
    );
  });

  it('streams where all of it is queued, its body at least in part', () => {
    const { plan } = spoken('queued', { execution: 'queued' });
    expect(plan.stages).toMatchObject([
      { id: 'answer', streamed: ['sentences'] },
      { id: 'made', streams: { over: { from: 'answer', of: 'sentences' } }, streamed: ['entries'] },
      { id: 'speak', streams: { text: { from: 'made', of: 'entries' } } },
    ]);
    expect(explainedOf('queued', { execution: 'queued' })).toContain(
      'each         made: items from answer.sentences, while it is made, by the workflow: its history has their places',
    );
    expect(explainedOf('queued', { execution: 'queued' })).toContain(
      'stream       text from made.entries, while it is made',
    );
  });

  it('takes the whole list of a hedged stage', () => {
    const hedged = pipeline('hedged', { input: z.object({ question: z.string() }) }, ({ input, stage, each }) => {
      const answer = stage('answer', chat({ model: 'llm' }), { prompt: input.question }, { hedge: { after: '1s' } });
      return { made: each('made', answer.sentences, (text) => stage('shorten', shorter, { text }).text) };
    });
    for (const step of hedged.plan.stages) expect(step).not.toHaveProperty('streamed');
    expect(explanationText(explain(hedged, { groupsOf, isInline }, () => undefined))).toContain(
      'when it has ended: the stage is hedged',
    );
  });

  it('takes the whole list where its body is queued and what it reads is inline', () => {
    const { plan } = spoken('queued');
    for (const step of plan.stages.slice(0, 2)) expect(step).not.toHaveProperty('streamed');
    expect(explainedOf('queued')).toContain('when it has ended: one of the two stages is inline, the other queued');
  });
});

const shorter = code('shorter', { input: text, output: text }, ({ text: given }) => ({ text: given }));

type Execution = { readonly execution: 'inline' | 'queued' };

function spoken(execution: 'inline' | 'queued', around: Execution = INLINE) {
  return pipeline('spoken', { input: z.object({ question: z.string() }) }, ({ input, stage, each }) => {
    const answer = stage('answer', chat({ model: 'llm' }), { prompt: input.question }, around);
    const made = each(
      'made',
      answer.sentences,
      (sentence) => stage('shorten', shorter, { text: sentence }, { execution }).text,
    );
    return { speech: stage('speak', synthesize({ model: 'tts' }), { text: made.entries }, around).audio };
  });
}

const explainedOf = (execution: 'inline' | 'queued', around: Execution = INLINE) =>
  explanationText(explain(spoken(execution, around), { groupsOf, isInline }, () => undefined));
