import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  approve,
  code,
  exact,
  MillraceError,
  type Pipeline,
  pipeline,
  retrieve,
  semantic,
  text,
} from '../../../pipelines/index.js';
import type { RunContext, StageCall, StageRecord } from '../../../pipelines/run/index.js';
import { VirtualClock } from '../../../testing/virtual-clock.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { Waits } from '../../../workflows/interpreter/index.js';
import { decideIn } from '../../support/deciding.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const fast = { retry: { attempts: 3, backoff: { initial: 1 } } } as const;

describe('interpret', () => {
  it('runs stages in the order of their data', async () => {
    const chain = pipeline('chain', { input: one }, ({ input, stage }) => {
      const a = stage('a', add, { n: input.n });
      const b = stage('b', add, { n: a.n });
      return { n: stage('c', add, { n: b.n }).n };
    });
    const runner = new CodeRunner(chain);
    const { output, stages } = await runInProcess({ n: 1 }, contextOf(chain), { runner, run: 'r' });
    expect(output).toEqual({ n: 4 });
    expect(runner.events).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
    expect(stages.map(({ stage, status }) => [stage, status])).toEqual([
      ['a', 'done'],
      ['b', 'done'],
      ['c', 'done'],
    ]);
  });

  it('runs independent stages in parallel', async () => {
    let together = 0;
    let most = 0;
    const slow = code('slow', { input: one, output: one }, async (input) => {
      most = Math.max(most, ++together);
      await sleep(20);
      together--;
      return input;
    });
    const fan = pipeline('fan', { input: one }, ({ input, stage }) => {
      const parts = ['a', 'b', 'c'].map((id) => stage(id, slow, { n: input.n }));
      return { parts: parts.map((part) => part.n) };
    });
    const { output } = await runInProcess({ n: 7 }, contextOf(fan), { runner: new CodeRunner(fan), run: 'r' });
    expect(output).toEqual({ parts: [7, 7, 7] });
    expect(most).toBe(3);
  });

  it('makes at most the policy’s attempts and reports the last error with the stage table', async () => {
    const broken = code('broken', { input: one, output: one }, () => {
      throw new MillraceError('BACKEND_UNAVAILABLE', 'nobody there');
    });
    const failing = pipeline('failing', { input: one }, ({ input, stage }) => ({
      n: stage('a', broken, { n: input.n }, fast).n,
    }));
    const runner = new CodeRunner(failing);
    await expect(runInProcess({ n: 1 }, contextOf(failing), { runner, run: 'r' })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: 'stage "a": nobody there',
      details: { stage: 'a', stages: [{ stage: 'a', status: 'failed', error: { code: 'BACKEND_UNAVAILABLE' } }] },
    });
    expect(runner.events.filter((event) => event === 'a starts')).toHaveLength(3);
  });

  it('never repeats a stage whose error says that a repeat would fail again', async () => {
    const refused = code('refused', { input: one, output: one }, () => {
      throw new MillraceError('BACKEND_REJECTED', 'too long');
    });
    const failing = pipeline('failing', { input: one }, ({ input, stage }) => ({
      n: stage('a', refused, { n: input.n }, fast).n,
    }));
    const runner = new CodeRunner(failing);
    await expect(runInProcess({ n: 1 }, contextOf(failing), { runner, run: 'r' })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
    });
    expect(runner.events).toEqual(['a starts', 'a fails']);
  });

  it('cancels the other stages when one fails for good', async () => {
    const hang = code('hang', { input: one, output: one }, async (input, { signal }) => {
      await sleep(60_000, undefined, { signal });
      return input;
    });
    const refused = code('refused', { input: one, output: one }, async () => {
      await sleep(5);
      throw new MillraceError('BACKEND_REJECTED', 'no');
    });
    const both = pipeline('both', { input: one }, ({ input, stage }) => ({
      a: stage('a', hang, { n: input.n }).n,
      b: stage('b', refused, { n: input.n }).n,
    }));
    const runner = new CodeRunner(both);
    await expect(runInProcess({ n: 1 }, contextOf(both), { runner, run: 'r' })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      details: {
        stages: [
          { stage: 'a', status: 'cancelled' },
          { stage: 'b', status: 'failed' },
        ],
      },
    });
    await sleep(5);
    expect(runner.events).toContain('a aborted');
  });

  it('ends a run at its deadline and aborts what runs', async () => {
    const hang = code('hang', { input: one, output: one }, async (input, { signal }) => {
      await sleep(60_000, undefined, { signal });
      return input;
    });
    const late = pipeline('late', { input: one, deadline: '30ms' }, ({ input, stage }) => ({
      n: stage('a', hang, { n: input.n }).n,
    }));
    const runner = new CodeRunner(late);
    // In real time the deadline may pass before the stage begins.
    const clock = new VirtualClock(60_000);
    const run = runInProcess({ n: 1 }, contextOf(late), { runner, run: 'r', clock });
    await expect(clock.until(run)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await sleep(5);
    expect(runner.events).toEqual(['a starts', 'a aborted']);
  });

  it('tells a stage’s own timeout from the deadline, however little is left of it', async () => {
    const hang = code('hang', { input: one, output: one }, async (input, { signal }) => {
      await sleep(60_000, undefined, { signal });
      return input;
    });
    const slow = pipeline('slow', { input: one, deadline: '1m' }, ({ input, stage }) => ({
      n: stage('a', hang, { n: input.n }, { retry: { attempts: 1 }, timeout: { attempt: '30ms', total: '1m' } }).n,
    }));
    await expect(
      runInProcess({ n: 1 }, contextOf(slow), { runner: new CodeRunner(slow), run: 'r' }),
    ).rejects.toMatchObject({ code: 'STAGE_TIMEOUT' });
  });

  it('ends an attempt at its timeout and tries again', async () => {
    let calls = 0;
    const second = code('second', { input: one, output: one }, async (input, { signal }) => {
      if (++calls === 1) await sleep(60_000, undefined, { signal });
      return input;
    });
    const retried = pipeline('retried', { input: one }, ({ input, stage }) => ({
      n: stage('a', second, { n: input.n }, { ...fast, timeout: { attempt: '30ms' } }).n,
    }));
    const { stages } = await runInProcess({ n: 1 }, contextOf(retried), { runner: new CodeRunner(retried), run: 'r' });
    expect(stages[0]).toMatchObject({ status: 'done', attempt: 2 });
  });

  it('refuses a plan of another version', async () => {
    const chain = pipeline('chain', { input: one }, ({ input }) => ({ n: input.n }));
    const context = { ...contextOf(chain), plan: { ...chain.plan, planVersion: 99 } };
    await expect(runInProcess({ n: 1 }, context, { runner: new CodeRunner(chain), run: 'r' })).rejects.toMatchObject({
      code: 'UNKNOWN_PLAN_VERSION',
    });
  });

  it('reads templates, nested fields and absent ones', async () => {
    const shape = z.object({ person: z.object({ name: z.string(), title: z.string().optional() }) });
    const greet = pipeline('greet', { input: shape }, ({ input }) => ({
      greeting: text`Dear ${input.person.name}`,
      title: input.person.title,
    }));
    const run = await runInProcess({ person: { name: 'Ada' } }, contextOf(greet), {
      runner: new CodeRunner(greet),
      run: 'r',
    });
    expect(run.output).toEqual({ greeting: 'Dear Ada' });
  });

  it('hands a cached stage its key, and the rest of its input as context', async () => {
    const ask = code('ask', { input: z.object({ q: z.string(), who: z.string() }), output: one }, () => ({ n: 1 }));
    const cached = pipeline('cached', { input: z.object({ q: z.string(), who: z.string() }) }, ({ input, stage }) => ({
      n: stage('a', ask, { q: input.q, who: input.who }, { cache: semantic({ key: input.q }) }).n,
    }));
    const calls: StageCall[] = [];
    const inner = new CodeRunner(cached);
    const runner: Pick<CodeRunner, 'run'> = {
      run(input, call, attempt) {
        calls.push(call);
        return inner.run(input, call, attempt);
      },
    };
    const context = { ...contextOf(cached), sessionsOf: 'cached/key-1' };
    await runInProcess({ q: 'why?', who: 'ada' }, context, { runner, run: 'r' });
    expect(calls[0]?.cache).toMatchObject({ key: 'why?', context: { q: null, who: 'ada' }, principal: 'cached/key-1' });
    // The caller's allowance is one for all pipelines.
    expect(calls[0]?.cache?.insertedBy).toBe('key-1');
  });

  it.each([
    ['why?', 'why?'],
    [{ b: [1, 'x'], a: null }, '{"a":null,"b":[1,"x"]}'],
    [['a,b'], '["a,b"]'],
    [7, '7'],
    [false, 'false'],
    [null, ''],
  ] as const)('compares a key that is %j as %s', async (q, key) => {
    // As in a plan that no definition has made.
    const shape = z.object({ q: z.unknown() });
    const ask = code('ask', { input: shape, output: one }, () => ({ n: 1 }));
    const cached = pipeline('cached', { input: shape }, ({ input, stage }) => ({
      n: stage('a', ask, { q: input.q as never }, { cache: semantic({ key: input.q as never }) }).n,
    }));
    const calls: StageCall[] = [];
    const inner = new CodeRunner(cached as unknown as Pipeline);
    const runner: Pick<CodeRunner, 'run'> = {
      run(given, call, attempt) {
        calls.push(call);
        return inner.run(given, call, attempt);
      },
    };
    await runInProcess({ q }, contextOf(cached as unknown as Pipeline), { runner, run: 'r' });
    expect(calls[0]?.cache).toMatchObject({ key, context: { q: null } });
  });

  it('hands a cached stage the version of what its answers are made from, in a nested pipeline too', async () => {
    const shape = z.object({ q: z.string(), edition: z.union([z.string(), z.number()]).optional() });
    const ask = code('ask', { input: z.object({ q: z.string() }), output: one }, () => ({ n: 1 }));
    const cached = pipeline('cached', { input: shape }, ({ input, stage }) => {
      const freshness = { version: input.edition };
      const near = stage('a', ask, { q: input.q }, { cache: semantic({ key: input.q, freshness }) });
      const same = stage('b', ask, { q: input.q }, { cache: exact({ pure: true, freshness }) });
      return { n: near.n, m: same.n };
    });
    const outer = pipeline('outer', { input: shape }, ({ input, run }) => ({ n: run('inner', cached, input).n }));
    expect(cached.plan.stages.map((stage) => 'cache' in stage && stage.cache?.version)).toEqual([
      { $ref: 'input.edition' },
      { $ref: 'input.edition' },
    ]);
    const versions = async (of: typeof cached | typeof outer, edition?: string | number) => {
      const calls: StageCall[] = [];
      const inner = new CodeRunner(of as unknown as Pipeline);
      const runner: Pick<CodeRunner, 'run'> = {
        run(input, call, attempt) {
          calls.push(call);
          return inner.run(input, call, attempt);
        },
      };
      const input = { q: 'why?', ...(edition !== undefined && { edition }) };
      await runInProcess(input, contextOf(of as unknown as Pipeline), { runner, run: 'r' });
      return calls.map(({ cache }) => cache?.version);
    };
    expect(await versions(cached, '7')).toEqual(['"7"', '"7"']);
    expect(await versions(cached, 7)).toEqual(['7', '7']);
    expect(await versions(cached)).toEqual(['null', 'null']);
    expect(await versions(outer, 'x')).toEqual(['"x"', '"x"']);
  });

  it.each([
    ['ask/key-1', 'key-1'],
    [undefined, undefined],
    // A child run of a run without an owner.
    ['ask', undefined],
  ])('tells a kind that embeds who stores the vectors: of a run of %s', async (sessionsOf, insertedBy) => {
    const ask = pipeline('ask', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({
      found: stage('find', retrieve({ index: 'docs' }), { query: input.q }).passages,
      kept: stage(
        'keep',
        code('keep', { input: one, output: one }, ({ n }) => ({ n })),
        { n: 1 },
      ).n,
    }));
    const calls: StageCall[] = [];
    const inner = new CodeRunner(ask);
    const runner: Pick<CodeRunner, 'run'> = {
      async run(input, call, attempt) {
        calls.push(call);
        if (call.kind === 'code') return inner.run(input, call, attempt);
        return { output: { passages: [] }, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 };
      },
    };
    const context = { ...contextOf(ask), ...(sessionsOf !== undefined && { sessionsOf }) };
    await runInProcess({ q: 'why?' }, context, { runner, run: 'r' });
    const told = Object.fromEntries(calls.map(({ stage, insertedBy }) => [stage, insertedBy]));
    expect(told).toEqual({ find: insertedBy, keep: undefined });
  });

  describe('approve', () => {
    const gated = (timeout: '1h' | '20ms') =>
      pipeline('gated', { input: one, deadline: '2h' }, ({ stage }) => {
        const decision = stage('sign-off', approve({ timeout, otherwise: false }), { subject: 'a refund' });
        return { approved: decision.approved, by: decision.by };
      });

    it('waits for the decision on it', async () => {
      const waits = new Waits();
      const waiting = gated('1h');
      const reports: StageRecord[][] = [];
      const run = runInProcess({ n: 1 }, contextOf(waiting), {
        runner: new CodeRunner(waiting),
        run: 'r',
        waits,
        onReport: (stages) => reports.push([...stages]),
      });
      await decideIn(waits, 'sign-off', { approved: true, by: 'ada' });
      await expect(run).resolves.toMatchObject({ output: { approved: true, by: 'ada' } });
      expect(reports.map((stages) => stages[0]?.status)).toEqual(['waiting', 'running', 'done']);
    });

    it('keeps who was authenticated beside the name that came with the decision', async () => {
      const waits = new Waits();
      const signed = pipeline('signed', { input: one, deadline: '2h' }, ({ stage }) => ({
        decision: stage('sign-off', approve({ timeout: '1h' }), { subject: 'a refund' }),
      }));
      const run = runInProcess({ n: 1 }, contextOf(signed), { runner: new CodeRunner(signed), run: 'r', waits });
      const decision = { approved: false, by: 'the boss', actor: 'key:3f09c1a2b4' };
      await decideIn(waits, 'sign-off', decision);
      const ended = await run;
      expect(ended.output).toEqual({ decision });
      const kept = { path: 'sign-off', ...decision, about: expect.stringMatching(/^[0-9a-f]{64}$/) };
      expect(ended.stages[0]?.decisions).toEqual([kept]);
    });

    it('does not ask again what was decided of the same in the run that this one resumes', async () => {
      const signed = (subject: string) =>
        pipeline('signed', { input: one, deadline: '2h' }, ({ stage }) => ({
          decision: stage('sign-off', approve({ timeout: '1h' }), { subject }),
        }));
      const refund = signed('refund 5');
      const waits = new Waits();
      const first = runInProcess({ n: 1 }, contextOf(refund), { runner: new CodeRunner(refund), run: 'r', waits });
      await decideIn(waits, 'sign-off', { approved: true, by: 'ada' });
      const [{ path = '', ...decision } = {}] = (await first).stages[0]?.decisions ?? [];
      const decisions = { [path]: decision } as NonNullable<RunContext['decisions']>;
      const again = (of: ReturnType<typeof signed>, open = new Waits()) =>
        runInProcess(
          { n: 1 },
          { ...contextOf(of), decisions },
          { runner: new CodeRunner(of), run: 'r-r1', waits: open },
        );
      const ended = await again(refund);
      expect(ended.output).toEqual({ decision: { approved: true, by: 'ada' } });
      expect(ended.stages[0]?.decisions).toEqual([{ path, ...decision }]);
      const other = new Waits();
      const second = again(signed('refund 500'), other);
      await decideIn(other, 'sign-off', { approved: false, by: 'bob' });
      expect((await second).output, 'of another sum').toEqual({ decision: { approved: false, by: 'bob' } });
    });

    it('fails at the deadline when that comes before its own timeout', async () => {
      const clock = new VirtualClock(60_000);
      const slow = code('slow', { input: one, output: one }, async (input, { signal }) => {
        await clock.sleep(100, signal);
        return input;
      });
      const hasty = pipeline('hasty', { input: one, deadline: '300ms' }, ({ input, stage }) => {
        const { n } = stage('a', slow, { n: input.n });
        return { approved: stage('sign-off', approve({ timeout: '300ms' }), { subject: text`refund ${n}` }).approved };
      });
      const run = runInProcess({ n: 1 }, contextOf(hasty), { runner: new CodeRunner(hasty), run: 'r', clock });
      await expect(clock.until(run)).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        details: { stage: 'sign-off' },
      });
    });

    it('takes the default when the time is over', async () => {
      const waiting = gated('20ms');
      const run = await runInProcess({ n: 1 }, contextOf(waiting), { runner: new CodeRunner(waiting), run: 'r' });
      expect(run.output).toEqual({ approved: false, by: 'timeout' });
    });
  });
});
