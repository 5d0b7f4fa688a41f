import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, gte, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { type Change, callName, type Segment, type SegmentOutcome } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import type { Journal } from '../../../workers/hosts/journal.js';
import { interpret, interpretSegment, type RunHost } from '../../../workflows/interpreter/index.js';
import { Memo } from '../../../workflows/interpreter/memo.js';
import { changed } from '../../support/changed-host.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

/* A loop of inline stages whose segment is interrupted runs on its queues, and may stop there for a new history. */

const one = z.object({ n: z.number() });
const many = z.object({ items: z.array(z.number()) });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const inline = { execution: 'inline', retry: { attempts: 1 } } as const;

const eachItem = pipeline('each-item', { input: many, deadline: '10m' }, ({ input, stage, each }) => ({
  all: each('items', input.items, (n) => stage('pay', add, { n }, inline).n, { concurrency: 1 }),
})) as unknown as Pipeline;

const counted = pipeline('counted', { input: one, deadline: '10m' }, ({ input, stage, repeat }) => ({
  n: repeat('rounds', { n: input.n }, (state) => ({ n: stage('pay', add, { n: state.n }, inline).n }), {
    until: (state) => gte(state.n, 7),
    atMost: 9,
  }).n,
})) as unknown as Pipeline;

const items = [0, 1, 2, 3, 4, 5, 6];
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

type Interrupted = (segment: Segment, runner: CodeRunner) => Promise<SegmentOutcome>;

/** The state store cannot be reached: nothing has begun. */
const storeAway: Interrupted = async () => ({ done: {}, rows: [], interrupted: true });

/** The journal is lost after so many calls. */
const lostAfter =
  (calls: number): Interrupted =>
  async (segment, runner) => {
    let left = calls;
    const journal: Journal = {
      ended: () => undefined,
      begin: async () => {
        left -= 1;
        if (left < 0) throw new StageError('JOURNAL_UNAVAILABLE', 'away');
        return 1;
      },
      end: () => undefined,
      left: () => undefined,
      losses: () => 0,
      leftMs: () => undefined,
    };
    return await interpretSegment(segment, new InProcessHost({ runner, run: 'r', journal }));
  };

interface Way {
  readonly segment: Interrupted;
  /** How often the loops of each history may go on; the last one counts for all that follow. */
  readonly room: readonly number[];
  readonly more?: Partial<RunHost>;
}

/** Runs a pipeline over as many histories as it takes, at most twenty. */
async function through(of: Pipeline, input: JsonObject, { segment, room, more }: Way) {
  const runner = new CodeRunner(of);
  const seen = { segments: 0, histories: 0, runner, carried: [] as Json[] };
  let context = contextOf(of);
  for (;;) {
    let left = room[Math.min(seen.histories, room.length - 1)] ?? 0;
    seen.histories += 1;
    if (seen.histories > 20) throw new Error('the run does not end');
    const host = changed(new InProcessHost({ runner, run: 'r' }), () => ({
      runSegment: async (given: Segment) => {
        seen.segments += 1;
        return copy(await segment(copy(given), runner));
      },
      full: (beside?: boolean) => {
        if (beside) return false;
        left -= 1;
        return left < 0;
      },
      ...more,
    }));
    const ended = await interpret(input, context, host);
    if (!('carried' in ended)) return { ...seen, output: ended.output };
    seen.carried.push(copy(ended.carried.done));
    context = copy({ ...context, carried: { ...ended.carried, decided: {} } });
  }
}

/** Of the stage in an item. */
const nameIn = (item: number): string =>
  callName({ path: `items[${item}]/pay`, stage: 'pay', kind: 'code', model: 'add', with: {} });

const calls = ({ events }: CodeRunner): number => events.filter((event) => event === 'pay starts').length;

describe('a loop of an interrupted segment that stops for a new history', () => {
  it.each<[string, Pipeline, JsonObject, JsonObject]>([
    ['each', eachItem, { items }, { all: items.map((n) => n + 1) }],
    ['repeat', counted, { n: 0 }, { n: 7 }],
  ])('goes on there behind what has ended: %s', async (_, of, input, output) => {
    // Two calls in the segment, and two in each history.
    const lost = await through(of, input, { segment: lostAfter(2), room: [2] });
    expect(lost).toMatchObject({ output, segments: 1, histories: 3 });
    expect(calls(lost.runner)).toBe(7);
    const away = await through(of, input, { segment: storeAway, room: [2] });
    expect(away).toMatchObject({ output, segments: 1, histories: 4 });
    expect(calls(away.runner)).toBe(7);
  });

  it('has its segment again where nothing of it has ended', async () => {
    const ended = await through(eachItem, { items }, { segment: storeAway, room: [0, 99] });
    expect(ended).toMatchObject({ output: { all: items.map((n) => n + 1) }, segments: 2, histories: 2 });
    expect(calls(ended.runner)).toBe(7);
  });

  it('has the attempts that were not made in the segment, where it stops before its first call', async () => {
    let segments = 0;
    const segment: Interrupted = async () => {
      segments += 1;
      return { done: {}, rows: [], interrupted: true, tried: { [nameIn(0)]: { begun: 1 } } };
    };
    const run = through(eachItem, { items }, { segment, room: [0, 99] });
    await expect(run).rejects.toMatchObject({ code: 'STAGE_TIMEOUT', details: { stage: 'pay' } });
    expect(segments).toBe(1);
  });

  it('carries the attempts of items that have not ended alone', async () => {
    const twice = { execution: 'inline', retry: { attempts: 2 } } as const;
    const of = pipeline('each-twice', { input: many, deadline: '10m' }, ({ input, stage, each }) => ({
      all: each('items', input.items, (n) => stage('pay', add, { n }, twice).n, { concurrency: 1 }),
    })) as unknown as Pipeline;
    // The first two end in the segment, and one in each history.
    const tried = Object.fromEntries([0, 1, 2, 3].map((item) => [nameIn(item), { begun: 1 }]));
    const segment: Interrupted = async (...given) => ({ ...(await lostAfter(2)(...given)), tried });
    const ended = await through(of, { items }, { segment, room: [1] });
    expect(ended).toMatchObject({ output: { all: items.map((n) => n + 1) }, segments: 1, histories: 5 });
    const left = ended.carried.map((done) => Memo.from(done).valueBelow('items~tried'));
    expect(left).toEqual([{ [nameIn(3)]: { begun: 1 } }, {}, {}, {}]);
  });

  it('is asked for where it goes on alone: a history that only stops has no marker of it', async () => {
    const asked: Change[] = [];
    const since = (change: Change) => asked.push(change) > 0;
    const tried = { [nameIn(0)]: { begun: 1 } };
    const segment: Interrupted = async () => ({ done: {}, rows: [], interrupted: true, tried });
    const run = through(eachItem, { items }, { segment, room: [0, 99], more: { since } });
    await expect(run).rejects.toMatchObject({ code: 'STAGE_TIMEOUT' });
    expect(asked.filter((change) => change === 'interrupted-loops-go-on')).toHaveLength(1);
  });

  it('begins at its start in a history from before that', async () => {
    const way = { segment: storeAway, room: [2, 99], more: { since: () => false } };
    const ended = await through(eachItem, { items }, way);
    expect(ended).toMatchObject({ segments: 2, histories: 2 });
    expect(calls(ended.runner)).toBe(2 + 7);
  });

  it('goes on in its history too, where that has to go on', async () => {
    const state = z.object({ n: z.number(), text: z.string() });
    const grow = code('grow', { input: one, output: state }, ({ n }) => ({ n: n + 1, text: 'x'.repeat(900_000) }));
    const growing = pipeline('growing', { input: state, deadline: '10m' }, ({ input, stage, repeat }) => ({
      n: repeat(
        'rounds',
        { n: input.n, text: '' },
        (before) => {
          const next = stage('pay', grow, { n: before.n }, inline);
          return { n: next.n, text: next.text };
        },
        { until: (reached) => gte(reached.n, 5), atMost: 9 },
      ).n,
    })) as unknown as Pipeline;
    // Its input and its state are together more than a history may begin with.
    const input = { n: 0, text: 'x'.repeat(1_400_000) };
    const ended = await through(growing, input, { segment: storeAway, room: [2] });
    expect(ended).toMatchObject({ output: { n: 5 }, segments: 1, histories: 1 });
    expect(calls(ended.runner)).toBe(5);
  });
});
