import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { code, eq, gt, gte, MillraceError, type Pipeline, pipeline, text } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { GivenDecision, RunContext, StageRecord, Wait } from '../../pipelines/run/index.js';
import { caught } from '../support/caught.js';
import {
  add,
  any,
  down,
  inTurn,
  list,
  type N,
  odd,
  once,
  one,
  pause,
  quick,
  seen,
  single,
  slow,
  wrong,
} from './host-fixtures.js';
import { hostPeople } from './host-people.js';
import { hostPlans } from './host-plans.js';

/** A run that a host has under way. */
export interface SuiteRun {
  waiting(): Promise<readonly Wait[]>;
  /** Rejects where it is refused, with the code in the message. */
  decide(given: GivenDecision): Promise<void>;
  cancel(): Promise<void>;
  rows(): Promise<readonly StageRecord[]>;
}

/** How a run has ended; `code` is that of its failure, `RUN_CANCELLED` where it was cancelled. */
export interface SuiteEnd {
  readonly output?: JsonObject;
  readonly code?: string;
  readonly message?: string;
  readonly stages: readonly StageRecord[];
  /** `<stage> starts`, `<stage> ends`, `<stage> fails`, `<stage> aborted`, in order. */
  readonly events: readonly string[];
}

/** A host of the interpreter, as the suite needs it. */
export interface SuiteHost {
  run(
    pipeline: Pipeline,
    input: JsonObject,
    more?: { readonly context?: Partial<RunContext>; readonly act?: (run: SuiteRun) => Promise<void> },
  ): Promise<SuiteEnd>;
}

const inner = pipeline('inner', { input: one, deadline: '1m' }, ({ input, stage }) => ({
  n: stage('add', add, { n: input.n }).n,
}));

const flow = any(
  pipeline('flow', { input: list }, ({ input, stage, when, each, repeat, race, run }) => {
    const all = each('all', input.items, (n) => stage('one', add, { n }).n, { concurrency: 2 });
    const last = repeat('count', { n: 0 }, (state) => ({ n: stage('more', add, { n: state.n }).n }), {
      until: (state) => gte(state.n, 3),
      atMost: 9,
    });
    const chosen = when(
      'big',
      gt(last.n, 2),
      () => ({ size: text`big ${last.n}` }),
      () => ({ size: text`small ${stage('never', add, { n: 0 }).n}` }),
    );
    const first = race('first', {
      good: () => stage('good', add, { n: 1 }).n,
      bad: () => stage('bad', wrong, { n: 1 }, once).n,
    });
    const sub = run('sub', inner, { n: 10 });
    const child = run('child', inner, { n: 20 }, { as: 'child' });
    return { all, size: chosen.size, winner: first.winner, sub: sub.n, child: child.n };
  }),
);

/** What every host of the interpreter has to do, and all do alike. */
export function hostSuite(name: string, host: () => SuiteHost): void {
  const countOf = ({ events }: SuiteEnd, event: string) => events.filter((each) => each === event).length;
  const rowsOf = ({ stages }: SuiteEnd) => Object.fromEntries(stages.map((row) => [row.stage, row]));

  describe(`${name}: control flow`, () => {
    it('runs each, repeat, when, race, an inline and a child pipeline', async () => {
      const end = await host().run(flow, { items: [1, 2, 3] });
      expect(end.output).toEqual({ all: [2, 3, 4], size: 'big 3', winner: 'good', sub: 11, child: 21 });
      const rows = rowsOf(end);
      expect(rows.one).toMatchObject({ status: 'done', count: { done: 3, started: 3 } });
      expect(rows.more).toMatchObject({ status: 'done', count: { done: 3, started: 3 } });
      expect(rows.never?.status).toBe('skipped');
      expect(rows['sub/add']?.status).toBe('done');
      expect(rows.child?.status).toBe('done');
    });

    it.each(['queued', 'inline'] as const)('cancels the loser of a race (%s)', async (execution) => {
      const { long, after } = inTurn(`race-${execution}`, ({ n }) => ({ n: n + 1 }));
      const raced = any(
        pipeline(`raced-${execution}`, { input: one }, ({ input, stage, race }) => {
          const first = race('first', {
            quick: () => stage('quick', after, { n: input.n }, { execution }).n,
            late: () => stage('late', long, { n: input.n }, { execution }).n,
          });
          return {
            winner: first.winner,
            n: first.value,
            after: stage('after', add, { n: first.value }, { execution }).n,
          };
        }),
      );
      const end = await host().run(raced, { n: 1 });
      expect(end.output).toEqual({ winner: 'quick', n: 2, after: 3 });
      expect(rowsOf(end).late?.status).toBe('cancelled');
      await seen(end.events, 'late aborted');
    });

    it.each(['queued', 'inline'] as const)(
      'never begins what the loser of a race has not begun (%s)',
      async (execution) => {
        const { long, after } = inTurn(`unbegun-${execution}`, ({ n }) => ({ n: n + 1 }));
        const raced = any(
          pipeline(`unbegun-${execution}`, { input: one }, ({ input, stage, race }) => {
            const first = race('first', {
              quick: () => stage('quick', after, { n: input.n }, { execution }).n,
              late: () =>
                stage('behind', add, { n: stage('late', long, { n: input.n }, { execution }).n }, { execution }).n,
            });
            return { winner: first.winner, n: stage('after', add, { n: first.value }, { execution }).n };
          }),
        );
        const end = await host().run(raced, { n: 1 });
        expect(end.output).toEqual({ winner: 'quick', n: 3 });
        await seen(end.events, 'late aborted');
        expect(end.events.filter((event) => event.startsWith('behind'))).toEqual([]);
        expect(rowsOf(end).behind?.status).not.toBe('done');
      },
    );

    it.each([
      ['null', [2, null, 4]],
      ['drop', [2, 4]],
    ] as const)('goes on without a failed item: %s', async (onFailure, all) => {
      const mapped = any(
        pipeline(`mapped-${onFailure}`, { input: list }, ({ input, stage, each }) => ({
          all: each('all', input.items, (n) => stage('odd', odd, { n }, once).n, { onFailure }),
        })),
      );
      expect((await host().run(mapped, { items: [2, 3, 4] })).output).toEqual({ all });
    });

    it('fails with a failed item', async () => {
      const mapped = any(
        pipeline('mapped-fail', { input: list }, ({ input, stage, each }) => ({
          all: each('all', input.items, (n) => stage('odd', odd, { n }, once).n),
        })),
      );
      const end = await host().run(mapped, { items: [2, 3, 4] });
      expect(end).toMatchObject({ code: 'BACKEND_REJECTED', message: 'stage "odd": 3 is odd' });
    });

    it('fails when a loop does not reach its goal', async () => {
      const counted = any(
        pipeline('counted', { input: one }, ({ input, stage, repeat }) => ({
          n: repeat('count', { n: input.n }, (state) => ({ n: stage('add', add, { n: state.n }).n }), {
            until: (state) => eq(state.n, 99),
            atMost: 3,
            onLimit: 'fail',
          }).n,
        })),
      );
      const end = await host().run(counted, { n: 1 });
      expect(end.code).toBe('LIMIT_REACHED');
      expect(countOf(end, 'add ends')).toBe(3);
    });
  });

  describe.each(['queued', 'inline'] as const)(`${name}: policies, %s`, (execution) => {
    it('tries again what may be tried again, as often as the policy says', async () => {
      let calls = 0;
      const flaky = code('flaky', { input: one, output: one }, (input) => {
        calls += 1;
        if (calls < 3) throw new MillraceError('BACKEND_UNAVAILABLE', `call ${calls}`);
        return input;
      });
      const end = await host().run(single(`flaky-${execution}`, flaky, { ...quick, execution }), { n: 1 });
      expect(end.output).toEqual({ n: 1 });
      expect(end.stages).toMatchObject([{ status: 'done', attempt: 3 }]);
      expect(calls).toBe(3);
      const lost = await host().run(single(`down-${execution}`, down, { ...quick, execution }), { n: 1 });
      expect(lost).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: 'stage "a": down' });
      expect(countOf(lost, 'a starts')).toBe(3);
    });

    it('waits for a server that is away beside its attempts, and counts the calls that were made', async () => {
      const away = (times: number, then: (n: number) => N) => {
        let asked = 0;
        return code('away', { input: one, output: one }, ({ n }) => {
          asked += 1;
          if (asked <= times) throw new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true });
          return then(n);
        });
      };
      const two = { retry: { attempts: 2, backoff: { initial: '5ms', max: '5ms' } } } as const;
      const back = away(5, (n) => ({ n }));
      const end = await host().run(single(`away-${execution}`, back, { ...two, execution }), { n: 1 });
      expect(end.output).toEqual({ n: 1 });
      expect(end.stages).toMatchObject([{ status: 'done', attempt: 1 }]);
      expect(countOf(end, 'a starts')).toBe(6);
      // Two calls, however fast they fail, and however many waits come before.
      const losing = away(3, () => {
        throw new MillraceError('BACKEND_UNAVAILABLE', 'the connection broke');
      });
      const lost = await host().run(single(`lost-${execution}`, losing, { ...two, execution }), { n: 1 });
      expect(lost).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: 'stage "a": the connection broke' });
      expect(countOf(lost, 'a starts')).toBe(5);
    });

    it('fails as its server being away if its time ends while it looks for that server', async () => {
      let asked = 0;
      const hangs = code('hangs', { input: one, output: one }, async (_input, { signal }) => {
        asked += 1;
        // The next look begins 0.6 to 1 s later and ends with the stage's time. One of 0.5 s or more would be a call.
        if (asked === 1) throw new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true, retryAfterMs: 800 });
        await sleep(60_000, undefined, { signal });
        return { n: 0 };
      });
      const timeout = { attempt: '1s', total: '1s' } as const;
      const looks = single(`looks-${execution}`, hangs, { timeout, execution });
      // The wait may be the longest, or the host be slow by a few tenths of a second: then the stage's time is over before the look.
      // Where the worker stands still at its end, Temporal ends the stage and knows nothing of the server.
      const look = async () => {
        asked = 0;
        const ended = await host().run(looks, { n: 1 });
        return asked < 2 || ended.message?.includes('SCHEDULE_TO_CLOSE') ? undefined : ended;
      };
      const end = await caught('a look', look, 20);
      expect(end).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining('refused') });
      expect(end.stages).toMatchObject([{ status: 'failed', error: { code: 'BACKEND_UNAVAILABLE' } }]);
    });

    it('waits for a server that is away no longer than its patience before it takes what else there is', async () => {
      const gone = code('gone', { input: one, output: one }, () => {
        throw new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true });
      });
      // Three waits, or two that are long by chance; fewer where the host stands still during one.
      for (const [patience, least, most] of [
        [0, 1, 1],
        ['250ms', 3, 4],
      ] as const) {
        const patient = { patience, execution };
        const helped = single(`patient-${patience}-${execution}`, gone, { ...patient, fallback: [add] });
        await caught('looks within the patience', async () => {
          const end = await host().run(helped, { n: 1 });
          expect(end.output).toEqual({ n: 2 });
          expect(end.stages).toMatchObject([{ status: 'done', model: 'add', instead: 'BACKEND_UNAVAILABLE' }]);
          const looks = countOf(end, 'a fails');
          expect(looks).toBeLessThanOrEqual(most);
          return looks < least ? undefined : looks;
        });
        const rung = single(`rung-${patience}-${execution}`, gone, { ...patient, degrade: [{ below: '1s', to: add }] });
        expect((await host().run(rung, { n: 1 })).output).toEqual({ n: 2 });
      }
    });

    it('never tries again what cannot succeed, nor what `on` leaves out', async () => {
      const end = await host().run(single(`wrong-${execution}`, wrong, { ...quick, execution }), { n: 1 });
      expect(end.code).toBe('BACKEND_REJECTED');
      expect(countOf(end, 'a starts')).toBe(1);
      const retry = { ...quick.retry, on: ['BACKEND_OVERLOADED'] } as const;
      const other = await host().run(single(`on-${execution}`, down, { retry, execution }), { n: 1 });
      expect(other.code).toBe('BACKEND_UNAVAILABLE');
      expect(countOf(other, 'a starts')).toBe(1);
    });

    it('ends an attempt, and the stage, when its time is over', async () => {
      const timeout = { attempt: '300ms', total: '20s' } as const;
      const retry = { attempts: 2, backoff: { initial: '5ms' } } as const;
      // Where a worker stands still, the time of an attempt may be over before its function is called.
      const starts = await caught('an attempt', async () => {
        const end = await host().run(single(`late-${execution}`, slow, { timeout, retry, execution }), { n: 1 });
        expect(end.code).toBe('STAGE_TIMEOUT');
        expect(end.stages).toMatchObject([{ status: 'failed', error: { code: 'STAGE_TIMEOUT' } }]);
        const count = countOf(end, 'a starts');
        return count < 2 ? undefined : count;
      });
      expect(starts).toBe(2);
    });

    it('ends a run at its deadline', async () => {
      const began = performance.now();
      const end = await host().run(single(`deadline-${execution}`, slow, { execution }, '700ms'), { n: 1 });
      expect(end.code).toBe('DEADLINE_EXCEEDED');
      // The function takes a minute.
      expect(performance.now() - began).toBeLessThan(30_000);
    });

    it('takes the fallback, and goes on without an optional stage', async () => {
      const helped = single(`fallback-${execution}`, down, { ...once, execution, fallback: [add] });
      const end = await host().run(helped, { n: 1 });
      expect(end.output).toEqual({ n: 2 });
      expect(end.stages).toMatchObject([{ status: 'done', model: 'add', instead: 'BACKEND_UNAVAILABLE' }]);
      const optional = single(`optional-${execution}`, down, { ...once, execution, optional: true });
      const without = await host().run(optional, { n: 1 });
      expect(without.output).toEqual({ n: null });
      expect(without.stages).toMatchObject([{ status: 'skipped', instead: 'BACKEND_UNAVAILABLE' }]);
    });

    it('degrades when little time is left', async () => {
      const hurried = any(
        pipeline(`hurried-${execution}`, { input: one, deadline: '20s' }, ({ input, stage }) => {
          const a = stage('a', pause, { n: input.n }, { execution });
          const degrade = [{ below: '19.9s', to: add }] as const;
          return { n: stage('b', slow, { n: a.n }, { degrade, execution }).n };
        }),
      );
      const end = await host().run(hurried, { n: 1 });
      expect(end.output).toEqual({ n: 2 });
      expect(end.stages).toMatchObject([{}, { instead: 'degraded', model: 'add' }]);
    });

    it('runs only what the wanted outputs need', async () => {
      const partial = any(
        pipeline(`partial-${execution}`, { input: one }, ({ input, stage }) => {
          const a = stage('a', add, { n: input.n }, { execution });
          return { first: a.n, second: stage('b', add, { n: a.n }, { execution }).n };
        }),
      );
      const end = await host().run(partial, { n: 1 }, { context: { outputs: ['first'] } });
      expect(end.output).toEqual({ first: 2 });
      expect(rowsOf(end).b?.status).toBe('skipped');
      const none = await host().run(partial, { n: 1 }, { context: { outputs: ['third'] } });
      expect(none.code).toBe('INVALID_INPUT');
    });

    it('cancels what runs beside a stage that fails', async () => {
      const { long, after } = inTurn(`beside-${execution}`, () => {
        throw new MillraceError('BACKEND_REJECTED', 'wrong');
      });
      const beside = any(
        pipeline(`beside-${execution}`, { input: one }, ({ input, stage }) => ({
          a: stage('a', long, { n: input.n }, { execution }).n,
          b: stage('b', after, { n: input.n }, { ...once, execution }).n,
        })),
      );
      const end = await host().run(beside, { n: 1 });
      expect(end.code).toBe('BACKEND_REJECTED');
      expect(rowsOf(end)).toMatchObject({ a: { status: 'cancelled' }, b: { status: 'failed' } });
      await seen(end.events, 'a aborted');
    });
  });

  hostPeople(name, host);

  describe(`${name}: cancellation`, () => {
    it('ends a run that is cancelled and aborts its stage', async () => {
      const { long, begun } = inTurn('cancelled', (n) => n);
      const end = await host().run(
        single('cancelled-queued', long, {}),
        { n: 1 },
        {
          act: async (run) => {
            await begun;
            await run.cancel();
          },
        },
      );
      expect(end.code).toBe('RUN_CANCELLED');
      await seen(end.events, 'a aborted');
      expect(end.events).toEqual(['a starts', 'a aborted']);
    });
  });

  hostPlans(name, host);
}
