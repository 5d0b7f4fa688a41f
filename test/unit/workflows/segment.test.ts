import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, code, eq, MillraceError, type Pipeline, pipeline, synthesize, text } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import {
  callName,
  type RunResult,
  type Segment,
  type SegmentOutcome,
  type StageRecord,
} from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { VirtualClock } from '../../../testing/virtual-clock.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import type { Journal } from '../../../workers/hosts/journal.js';
import { interpret, interpretSegment, type RunHost } from '../../../workflows/interpreter/index.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const inline = { execution: 'inline' } as const;

/** A host that hands segments to `segment`, in races too. */
const handing = (host: RunHost, segment: (segment: Segment, host: RunHost) => Promise<SegmentOutcome>): RunHost => ({
  runStage: (...args) => host.runStage(...args),
  runSegment: (given) => segment(given, host),
  runChild: (...args) => host.runChild(...args),
  now: () => host.now(),
  wait: (...args) => host.wait(...args),
  nonce: () => host.nonce(),
  decision: (...args) => host.decision(...args),
  close: (nonce) => host.close(nonce),
  race: (contenders) => host.race(contenders.map((contender) => (inner) => contender(handing(inner, segment)))),
  full: () => host.full(),
  report: (stages) => host.report(stages),
});

function run(
  of: Pipeline,
  input: JsonObject,
  segment: (segment: Segment, host: RunHost) => Promise<SegmentOutcome>,
  more: Partial<ConstructorParameters<typeof InProcessHost>[0]> = {},
) {
  const runner = new CodeRunner(of);
  const host = handing(new InProcessHost({ runner, run: 'r', ...more }), segment);
  return { runner, result: interpret(input, contextOf(of), host) as Promise<RunResult> };
}

describe('a segment', () => {
  it('gives the values that are read outside it, and of the others that they have ended', async () => {
    const chain = pipeline('chain', { input: one }, ({ input, stage }) => {
      const a = stage('a', add, { n: input.n }, inline);
      const b = stage('b', add, { n: a.n }, inline);
      const c = stage('c', add, { n: b.n }, inline);
      const queued = stage('queued', add, { n: c.n });
      return { b: b.n, queued: queued.n };
    }) as unknown as Pipeline;
    const seen: [Segment, SegmentOutcome][] = [];
    const { result } = run(chain, { n: 0 }, async (segment, host) => {
      const outcome = await interpretSegment(segment, host);
      seen.push([segment, outcome]);
      return outcome;
    });
    expect((await result).output).toEqual({ b: 2, queued: 4 });
    expect(seen.map(([{ wanted }]) => wanted)).toEqual([['b', 'c']]);
    expect(seen[0]?.[1].done).toEqual({
      below: { a: { value: null }, b: { value: { n: 2 } }, c: { value: { n: 3 } } },
    });
  });

  it('knows what the stages inside its control flow leave to those after them', async () => {
    const reserving = pipeline('reserving', { input: one, deadline: '1m' }, ({ input, stage, when }) => {
      const branch = when(
        'branch',
        eq(input.n, 0),
        () => stage('inner', add, { n: input.n }, inline).n,
        () => 0,
      );
      return { n: stage('last', add, { n: branch }, { reserve: '20s' }).n };
    }) as unknown as Pipeline;
    let reserved: Segment['reserved'] = {};
    await run(reserving, { n: 0 }, (segment, host) => {
      reserved = segment.reserved;
      return interpretSegment(segment, host);
    }).result;
    expect(Math.round(reserved.inner ?? 0)).toBe(20_000);
  });

  it('that is ended by the run’s deadline fails with the deadline, and its stages do not run for ever', async () => {
    const late = pipeline('late', { input: one, deadline: '30ms' }, ({ input, stage }) => {
      const a = stage('a', add, { n: input.n }, inline);
      return { n: stage('b', add, { n: a.n }, inline).n };
    }) as unknown as Pipeline;
    const reports: (readonly StageRecord[])[] = [];
    // In real time the deadline may pass before the segment begins.
    const clock = new VirtualClock(60_000);
    const { result } = run(
      late,
      { n: 0 },
      async () => {
        await clock.sleep(40, new AbortController().signal);
        throw new StageError('STAGE_TIMEOUT', 'stage "a" timed out (START_TO_CLOSE; undefined)', { stage: 'a' });
      },
      { clock, onReport: (stages) => reports.push(stages) },
    );
    await expect(clock.until(result)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: 'the run took longer than its deadline of 30 ms',
    });
    expect(reports.map((rows) => rows.map(({ status }) => status))).toContainEqual(['running', 'running']);
    expect(reports.at(-1)?.map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
  });
});

describe('a segment that is interrupted', () => {
  const broken = code('broken', { input: one, output: one }, () => {
    throw new MillraceError('BACKEND_UNAVAILABLE', 'nobody there');
  });
  const options = { ...inline, retry: { attempts: 3, backoff: { initial: 1 } } } as const;
  const single = (fallback: boolean) =>
    pipeline('single', { input: one }, ({ input, stage }) => ({
      n: stage('a', broken, { n: input.n }, { ...options, ...(fallback && { fallback: [add] }) }).n,
    })) as unknown as Pipeline;

  const nameIn = (model = 'broken') => callName({ stage: 'a', kind: 'code', model, with: {} });
  const interrupted = (tried?: SegmentOutcome['tried']): SegmentOutcome => ({
    done: {},
    rows: [],
    interrupted: true,
    ...(tried && { tried }),
  });

  it.each([
    [0, 3],
    [2, 1],
    [3, 0],
  ])('having begun %i attempts of a stage leaves it %i', async (begun, left) => {
    const of = single(false);
    const { runner, result } = run(of, { n: 0 }, async () => interrupted({ [nameIn()]: { begun } }));
    await expect(result).rejects.toMatchObject({ code: left === 0 ? 'STAGE_TIMEOUT' : 'BACKEND_UNAVAILABLE' });
    expect(runner.events.filter((event) => event === 'a starts')).toHaveLength(left);
  });

  it('does not call again what has failed for good, and goes on with the fallback', async () => {
    const of = single(true);
    const failure = { code: 'BACKEND_UNAVAILABLE', message: 'nobody there', details: {} };
    const { runner, result } = run(of, { n: 0 }, async () => interrupted({ [nameIn()]: { begun: 1, failure } }));
    const { output, stages } = await result;
    expect(output).toEqual({ n: 1 });
    expect(stages).toMatchObject([{ status: 'done', instead: 'BACKEND_UNAVAILABLE' }]);
    expect(runner.events).toEqual(['a starts', 'a ends']);
  });

  it('lets a stage read the stream of a step when that step begins, not before', async () => {
    const spoken = pipeline('spoken', { input: one }, ({ input, stage }) => {
      const a = stage('a', add, { n: input.n }, inline);
      const told = stage('tell', chat({ model: 'm' }), { prompt: text`Say ${a.n}` }, inline);
      return { audio: stage('speak', synthesize({ model: 'v' }), { text: told.sentences }, inline).audio };
    }) as unknown as Pipeline;
    const begun: string[] = [];
    const outputs: Record<string, JsonObject> = { a: { n: 1 }, tell: { text: 'One.' }, speak: { audio: {} } };
    const host: RunHost = {
      ...handing(new InProcessHost({ runner: new CodeRunner(spoken), run: 'r' }), async () => interrupted()),
      streams: true,
      race: (contenders) => (contenders[0] as (host: RunHost) => Promise<never>)(host),
      runStage: async ({ id }) => {
        begun.push(id);
        await sleep(1);
        return { output: outputs[id] ?? {}, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 };
      },
    };
    await interpret({ n: 0 }, contextOf(spoken), host);
    expect(begun).toEqual(['a', 'tell', 'speak']);
  });

  it('keeps the policies of the stages in its loops', async () => {
    const of = pipeline('loop', { input: z.object({ items: z.array(z.number()) }) }, ({ input, stage, each }) => ({
      all: each('items', input.items, (n) => stage('a', broken, { n }, options).n, { onFailure: 'null' }),
    })) as unknown as Pipeline;
    const first = nameIn().replace(/^a /, 'items[0]/a ');
    const { runner, result } = run(of, { items: [1, 2] }, async () => interrupted({ [first]: { begun: 2 } }));
    expect((await result).output).toEqual({ all: [null, null] });
    expect(runner.events.filter((event) => event === 'a starts')).toHaveLength(1 + 3);
  });

  it('gives what was under way when its journal was lost', async () => {
    const slow = code('slow', { input: one, output: one }, async ({ n }) => {
      await sleep(30);
      return { n: n + 1 };
    });
    const two = pipeline('two', { input: one }, ({ input, stage }) => {
      const a = stage('a', slow, { n: input.n }, inline);
      const b = stage('b', add, { n: input.n }, inline);
      const c = stage('c', add, { n: b.n }, inline);
      const both = stage('both', add, { n: a.n }, inline);
      return { c: c.n, both: both.n };
    }) as unknown as Pipeline;
    const runner = new CodeRunner(two);
    const lost = new Set(['c', 'both']);
    const journal: Journal = {
      ended: () => undefined,
      begin: async ({ stage }) => {
        if (lost.has(stage)) throw new StageError('JOURNAL_UNAVAILABLE', 'away');
        return 1;
      },
      end: async () => undefined,
      left: () => undefined,
      losses: () => 0,
      leftMs: () => undefined,
    };
    const context = contextOf(two);
    const outcome = await interpretSegment(
      {
        path: 'a',
        prefix: '',
        steps: two.plan.stages,
        scope: { input: { n: 0 } },
        context,
        leftMs: 60_000,
        reserved: {},
      },
      new InProcessHost({ runner, run: 'r', journal }),
    );
    expect(outcome).toMatchObject({
      interrupted: true,
      done: { below: { a: { value: { n: 1 } }, b: { value: { n: 1 } } } },
    });
    expect(runner.events).not.toContain('a aborted');
  });
});
