import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, gte, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { RunContext } from '../../../pipelines/run/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const one = z.object({ n: z.number() });
const many = z.object({ items: z.array(z.number()) });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const loop = pipeline('loop', { input: one, deadline: '10m' }, ({ input, stage, repeat }) => ({
  n: repeat('count', { n: input.n }, (state) => ({ n: stage('add', add, { n: state.n }).n }), {
    until: (state) => gte(state.n, 5),
    atMost: 9,
  }).n,
})) as unknown as Pipeline;

/** A host whose clock and whose history's end the test decides. */
class ClockHost extends InProcessHost {
  clock = 0;
  checks = 2;
  override now(): number {
    return this.clock;
  }
  override full(): boolean {
    return --this.checks < 0;
  }
  override race<T>(contenders: Parameters<InProcessHost['race']>[0]): Promise<T> {
    return Promise.race(contenders.map((contender) => contender(this))) as Promise<T>;
  }
}

describe('a run that goes on in a new history', () => {
  it('keeps its deadline: time counts from the first start', async () => {
    const host = new ClockHost({ runner: new CodeRunner(loop), run: 'r' });
    host.clock = 1_000;
    const first = await interpret({ n: 0 }, contextOf(loop), host);
    if (!('carried' in first)) throw new Error('the history was not full');
    expect(first.carried.startedAt).toBe(1_000);
    const context: RunContext = { ...contextOf(loop), carried: { ...first.carried, decided: {} } };
    host.checks = 99;
    host.clock = 1_000 + 599_000;
    expect(await interpret({ n: 0 }, context, host)).toMatchObject({ output: { n: 5 } });
    host.clock = 1_000 + 600_001;
    await expect(interpret({ n: 0 }, context, host)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});

describe('a run that has too much for a new history', () => {
  const grow = code('grow', { input: one, output: z.object({ n: z.number(), text: z.string() }) }, ({ n }) => ({
    n: n + 1,
    text: 'x'.repeat(900_000),
  }));
  const growing = pipeline(
    'growing',
    { input: z.object({ n: z.number(), text: z.string() }), deadline: '10m' },
    ({ input, stage, repeat }) => ({
      n: repeat(
        'rounds',
        { n: input.n, text: '' },
        (state) => {
          const next = stage('next', grow, { n: state.n });
          return { n: next.n, text: next.text };
        },
        { until: (state) => gte(state.n, 5), atMost: 9 },
      ).n,
    }),
  ) as unknown as Pipeline;

  /** Its history is full from the third round on. */
  class FullHost extends ClockHost {
    /** Or must not grow any more. */
    isLong = false;
    isFromBefore = false;
    override full(beside = false): boolean {
      return beside ? this.isLong : super.full();
    }
    since(): boolean {
      return !this.isFromBefore;
    }
    busy = false;
    /** Of the decisions that come before that has ended. */
    decided = 0;
    async settled(): Promise<void> {
      this.busy = false;
      this.decided = 1_000_000;
    }
    carriedBytes(): number {
      return 1_000 + this.decided;
    }
  }
  const hostOf = (more: Partial<FullHost> = {}) =>
    Object.assign(new FullHost({ runner: new CodeRunner(growing), run: 'r' }), more);
  const run = (characters: number, host: FullHost, context = contextOf(growing)) =>
    interpret({ n: 0, text: 'x'.repeat(characters) }, context, host);

  it('stops where that fits beside its input', async () => {
    expect(await run(800_000, hostOf())).toMatchObject({ carried: { done: { below: { rounds: {} } } } });
  });

  it('goes on in its history where it does not, and may end there', async () => {
    expect(await run(1_400_000, hostOf())).toMatchObject({ output: { n: 5 } });
  });

  it('goes on too where that was decided while something was still under way', async () => {
    expect(await run(800_000, hostOf({ busy: true }))).toMatchObject({ output: { n: 5 } });
  });

  it('goes on too where it became too much when what was under way had ended', async () => {
    const output = z.object({ text: z.string() });
    const long = code('long', { input: one, output }, () => ({ text: 'x'.repeat(17_000) }));
    const input = z.object({ text: z.string(), items: z.array(z.number()) });
    const lanes = pipeline('lanes', { input, deadline: '10m' }, ({ input: given, stage, each }) => ({
      texts: each('items', given.items, (item) => stage('long', long, { n: item }).text, { concurrency: 64 }),
    })) as unknown as Pipeline;
    const host = Object.assign(new FullHost({ runner: new CodeRunner(lanes), run: 'r' }), { checks: 64 });
    const items = Array.from({ length: 70 }, (_, i) => i);
    const ended = await interpret({ text: 'x'.repeat(1_000_000), items }, contextOf(lanes), host);
    expect('output' in ended && ended.output.texts).toHaveLength(70);
  });

  it('fails where that must not grow any more, and the step is named', async () => {
    await expect(run(1_400_000, hostOf({ isLong: true }))).rejects.toMatchObject({
      code: 'RESULT_TOO_LARGE',
      message: expect.stringContaining('beside its input and plan'),
      details: { stage: 'rounds', stages: [{ stage: 'next' }] },
    });
  });

  it('goes on in the next one where an earlier release has decided that, which Temporal took', async () => {
    expect(await run(1_400_000, hostOf({ isFromBefore: true }))).toMatchObject({ carried: { startedAt: 0 } });
  });

  it('leaves out of its stage table what it can do without', async () => {
    const content = { text: 'x'.repeat(15_000) };
    const decisions = Array.from({ length: 18 }, (_, i) => ({ path: `p${i}`, approved: true, by: 'ada', content }));
    const row = { stage: 'next', kind: 'code', connector: 'code', model: 'grow', device: 'worker', status: 'done' };
    const carried = { startedAt: 0, done: {}, decided: {}, rows: [{ ...row, decisions }] };
    const context = { ...contextOf(growing), carried } as unknown as RunContext;
    const stopped = await run(900_000, hostOf(), context);
    expect(stopped).toMatchObject({ carried: { rows: [{ shortened: true, decisions: expect.any(Array) }] } });
    const bytes = JSON.stringify('carried' in stopped && stopped.carried).length;
    expect(bytes).toBeLessThan(2 * 1024 * 1024 - 64 * 1024 - 900_000);
  });
});

describe('a race, which does not go on in a new history', () => {
  const racing = pipeline('racing', { input: one, deadline: '10m' }, ({ input, stage, race, repeat }) => {
    const counting = (id: string) => () =>
      repeat(`${id}-rounds`, { n: input.n }, (state) => ({ n: stage(id, add, { n: state.n }).n }), {
        until: (state) => gte(state.n, 5),
        atMost: 9,
      }).n;
    return { n: race('first', { one: counting('add'), other: counting('more') }).value };
  }) as unknown as Pipeline;

  class LongHost extends ClockHost {
    /** Rounds until its history is nearly over. */
    left = 3;
    isFromBefore = false;
    nearlyOver(): boolean {
      return --this.left < 0;
    }
    since(): boolean {
      return !this.isFromBefore;
    }
  }
  const hostOf = (of: Pipeline, more: Partial<LongHost> = {}) =>
    Object.assign(new LongHost({ runner: new CodeRunner(of), run: 'r' }), more);

  it('fails while its history has room for that, and the race is named', async () => {
    await expect(interpret({ n: 0 }, contextOf(racing), hostOf(racing))).rejects.toMatchObject({
      code: 'LIMIT_REACHED',
      message: expect.stringContaining('run its loops as child runs'),
      details: { stage: 'first', stages: [{ stage: 'add' }, { stage: 'more' }] },
    });
  });

  it('fails too where its loops leave out items that have failed', async () => {
    const dropping = pipeline('dropping', { input: many, deadline: '10m' }, ({ input, stage, race, each, repeat }) => {
      const counting = (id: string) => () =>
        each(
          `${id}-items`,
          input.items,
          (item) =>
            repeat(`${id}-rounds`, { n: item }, (state) => ({ n: stage(id, add, { n: state.n }).n }), {
              until: (state) => gte(state.n, 5),
              atMost: 9,
            }).n,
          { onFailure: 'drop' },
        );
      return { all: race('first', { one: counting('add'), other: counting('more') }).value };
    }) as unknown as Pipeline;
    const run = interpret({ items: [0] }, contextOf(dropping), hostOf(dropping, { left: 5 }));
    await expect(run).rejects.toMatchObject({ code: 'LIMIT_REACHED', details: { stage: 'first' } });
  });

  it('goes on where its history is from before', async () => {
    const host = hostOf(racing, { isFromBefore: true });
    expect(await interpret({ n: 0 }, contextOf(racing), host)).toMatchObject({ output: { n: 5 } });
  });

  it('is not asked of a loop that can stop', async () => {
    const host = hostOf(loop, { left: 0, checks: 99 });
    expect(await interpret({ n: 0 }, contextOf(loop), host)).toMatchObject({ output: { n: 5 } });
  });
});

describe('a loop of a run that has as much under way as it may have', () => {
  const lanes = pipeline('lanes', { input: many, deadline: '10m' }, ({ input, stage, each }) => ({
    all: each('all', input.items, (n) => stage('add', add, { n }).n, { concurrency: 8 }),
  })) as unknown as Pipeline;
  const items = Array.from({ length: 10 }, (_, i) => i);

  /** It has room for two items, and for the others when the test says so. */
  class BusyHost extends ClockHost {
    free = 2;
    hasRoom = false;
    async #turn(giveUp: () => boolean): Promise<void> {
      while (!this.hasRoom && !giveUp()) await new Promise((resolve) => setImmediate(resolve));
    }
    itemTurn(giveUp: () => boolean): Promise<void> | undefined {
      return this.hasRoom || --this.free >= 0 ? undefined : this.#turn(giveUp);
    }
  }

  it('begins further items when there is room', async () => {
    const runner = new CodeRunner(lanes);
    const host = Object.assign(new BusyHost({ runner, run: 'r' }), { checks: 99 });
    const result = interpret({ items }, contextOf(lanes), host);
    await expect.poll(() => runner.events.filter((event) => event === 'add ends')).toHaveLength(2);
    expect(runner.events).toHaveLength(4);
    host.hasRoom = true;
    expect(await result).toMatchObject({ output: { all: items.map((n) => n + 1) } });
  });

  it('begins none of them where it has to stop for a new history', async () => {
    const runner = new CodeRunner(lanes);
    const host = Object.assign(new BusyHost({ runner, run: 'r' }), { checks: 8 });
    const stopped = await interpret({ items }, contextOf(lanes), host);
    expect(stopped).toMatchObject({ carried: { done: { below: { all: {} } } } });
    expect(runner.events.filter((event) => event === 'add starts')).toHaveLength(2);
  });
});
