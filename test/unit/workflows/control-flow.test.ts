import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  code,
  eq,
  gt,
  gte,
  join,
  MillraceError,
  type Pipeline,
  pipeline,
  size,
  text,
} from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { RunContext } from '../../../pipelines/run/index.js';
import { VirtualClock } from '../../../testing/virtual-clock.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const fast = { retry: { attempts: 1 } } as const;
const odd = code('odd', { input: one, output: one }, ({ n }) => {
  if (n % 2 === 1) throw new MillraceError('BACKEND_REJECTED', `${n} is odd`);
  return { n };
});

async function run(pipeline: Pipeline, input: JsonObject, context: Partial<RunContext> = {}, clock?: VirtualClock) {
  const runner = new CodeRunner(pipeline as Pipeline);
  const options = { runner, run: 'r', ...(clock && { clock }) };
  const going = runInProcess(input, { ...contextOf(pipeline), ...context }, options);
  const result = await (clock ? clock.until(going) : going);
  return { ...result, events: runner.events, rows: Object.fromEntries(result.stages.map((row) => [row.stage, row])) };
}
const any = (pipeline: unknown) => pipeline as Pipeline;

describe('when', () => {
  const branch = any(
    pipeline('branch', { input: one }, ({ input, stage, when }) => {
      const chosen = when(
        'big',
        gt(input.n, 10),
        () => ({ n: stage('add', add, { n: input.n }).n, size: 'big' }),
        () => ({ n: input.n, size: 'small' }),
      );
      const maybe = when('exact', eq(input.n, 11), () => stage('again', add, { n: chosen.n }));
      return { n: chosen.n, size: chosen.size, maybe };
    }),
  );

  it('takes one branch, joins its value and skips the other', async () => {
    const big = await run(branch, { n: 11 });
    expect(big.output).toEqual({ n: 12, size: 'big', maybe: { n: 13 } });
    const small = await run(branch, { n: 1 });
    expect(small.output).toEqual({ n: 1, size: 'small', maybe: null });
    expect(small.rows.add?.status).toBe('skipped');
    expect(small.events).toEqual([]);
  });
});

describe('each', () => {
  const list = z.object({ items: z.array(z.number()) });

  it('keeps the order and bounds what runs at once', async () => {
    let together = 0;
    let most = 0;
    const slow = code('slow', { input: one, output: one }, async ({ n }) => {
      most = Math.max(most, ++together);
      await sleep(20 - n);
      together--;
      return { n: n * 10 };
    });
    const mapped = any(
      pipeline('mapped', { input: list }, ({ input, stage, each }) => ({
        all: each('all', input.items, (n, index) => text`${index}:${stage('slow', slow, { n }).n}`, { concurrency: 2 }),
      })),
    );
    const { output, rows } = await run(mapped, { items: [1, 2, 3, 4, 5] });
    expect(output).toEqual({ all: ['0:10', '1:20', '2:30', '3:40', '4:50'] });
    expect(most).toBe(2);
    expect(rows.slow).toMatchObject({ status: 'done', count: { done: 5, started: 5 } });
  });

  it.each([
    ['null', [2, null, 4]],
    ['drop', [2, 4]],
  ] as const)('a failed item with %s', async (onFailure, all) => {
    const mapped = any(
      pipeline('mapped', { input: list }, ({ input, stage, each }) => ({
        all: each('all', input.items, (n) => stage('odd', odd, { n }, fast).n, { onFailure }),
      })),
    );
    expect((await run(mapped, { items: [2, 3, 4] })).output).toEqual({ all });
  });

  it.each([[[2, 3, 4]], [[2, 4, 3]]])('the stage of dropped items is done, of %j', async (items) => {
    const mapped = any(
      pipeline('mapped', { input: list }, ({ input, stage, each }) => ({
        all: each('all', input.items, (n) => stage('odd', odd, { n }, fast).n, { onFailure: 'drop', concurrency: 1 }),
      })),
    );
    const { rows } = await run(mapped, { items });
    expect(rows.odd).toMatchObject({ status: 'done', count: { done: 2, started: 3 } });
    expect(rows.odd?.error).toBeUndefined();
  });

  it('a failed item ends the run by default', async () => {
    const mapped = any(
      pipeline('mapped', { input: list }, ({ input, stage, each }) => ({
        all: each('all', input.items, (n) => stage('odd', odd, { n }, fast).n),
      })),
    );
    await expect(run(mapped, { items: [2, 3, 4] })).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    expect((await run(mapped, { items: [] })).output).toEqual({ all: [] });
  });

  it('reads what is around it, and nests', async () => {
    const nested = any(
      pipeline('nested', { input: z.object({ rows: z.array(z.array(z.number())), plus: z.number() }) }, (t) => ({
        sums: t.each('outer', t.input.rows, (row) =>
          join(
            t.each('inner', row, (n) => t.stage('add', add, { n }).n),
            text`+${t.input.plus}+`,
          ),
        ),
      })),
    );
    expect((await run(nested, { rows: [[1, 2], [], [3]], plus: 9 })).output).toEqual({ sums: ['2+9+3', '', '4'] });
  });
});

describe('repeat', () => {
  const counted = (atMost: number, onLimit: 'accept' | 'fail') =>
    any(
      pipeline('counted', { input: one }, ({ input, stage, repeat }) => {
        const end = repeat(
          'count',
          { n: input.n, log: '' },
          (state, round) => ({ n: stage('add', add, { n: state.n }).n, log: text`${state.log}${round}` }),
          { until: (state) => gte(state.n, 5), atMost, onLimit },
        );
        return { n: end.n, log: end.log };
      }),
    );

  it('goes on until its condition holds', async () => {
    expect((await run(counted(10, 'fail'), { n: 1 })).output).toEqual({ n: 5, log: '1234' });
  });

  it('ends at its bound', async () => {
    expect((await run(counted(2, 'accept'), { n: 1 })).output).toEqual({ n: 3, log: '12' });
    await expect(run(counted(2, 'fail'), { n: 1 })).rejects.toMatchObject({
      code: 'LIMIT_REACHED',
      details: { stage: 'count' },
    });
  });
});

describe('race', () => {
  const ending = (name: string, ms: number, fails = false) =>
    code(name, { input: one, output: one }, async (input, { signal }) => {
      await sleep(ms, undefined, { signal });
      if (fails) throw new MillraceError('BACKEND_REJECTED', name);
      return input;
    });
  const racing = (quick: ReturnType<typeof ending>, late: ReturnType<typeof ending>) =>
    any(
      pipeline('racing', { input: one }, ({ input, stage, race }) => {
        const first = race('first', {
          quick: () => stage('quick-one', quick, { n: input.n }, fast).n,
          late: () => stage('late-one', late, { n: input.n }, fast).n,
        });
        return { winner: first.winner, n: first.value };
      }),
    );

  it('is won by the first that succeeds, and the loser is cancelled', async () => {
    const { output, events, rows } = await run(racing(ending('q', 5), ending('l', 60_000)), { n: 1 });
    expect(output).toEqual({ winner: 'quick', n: 1 });
    await sleep(5);
    expect(events).toContain('late-one aborted');
    expect(rows['late-one']?.status).toBe('cancelled');
  });

  it('goes on when the first fails, and fails when all do', async () => {
    expect((await run(racing(ending('q', 1, true), ending('l', 10)), { n: 1 })).output).toEqual({
      winner: 'late',
      n: 1,
    });
    await expect(run(racing(ending('q', 1, true), ending('l', 5, true)), { n: 1 })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('l') as string,
    });
  });
});

/* In a run that resumes another one: the call of an odd number has succeeded with another input. */
describe('a call that has succeeded with another input ends the run', () => {
  const differs = code('differs', { input: one, output: one }, ({ n }) => {
    if (n % 2 === 1) throw new MillraceError('RESUME_DIVERGED', `${n} differs`, { differs: true });
    return { n };
  });
  const list = z.object({ items: z.array(z.number()) });
  const diverged = { code: 'RESUME_DIVERGED' };

  it.each(['null', 'drop'] as const)('in an item that may fail, with %s', async (onFailure) => {
    const mapped = any(
      pipeline('mapped', { input: list }, ({ input, stage, each }) => ({
        all: each('all', input.items, (n) => stage('differs', differs, { n }, fast).n, { onFailure }),
      })),
    );
    await expect(run(mapped, { items: [2, 3, 4] })).rejects.toMatchObject(diverged);
    expect((await run(mapped, { items: [2, 4] })).output).toEqual({ all: [2, 4] });
  });

  it('in a stage that is optional', async () => {
    const optional = any(
      pipeline('optional', { input: one }, ({ input, stage }) => ({
        n: stage('differs', differs, { n: input.n }, { ...fast, optional: true }).n,
      })),
    );
    await expect(run(optional, { n: 1 })).rejects.toMatchObject(diverged);
  });

  it('and not one that the run before has gone on without: its stage fails again', async () => {
    const without = code('without', { input: one, output: one }, () => {
      throw new MillraceError('RESUME_DIVERGED', 'it had ended without this call');
    });
    const left = any(
      pipeline('left', { input: list }, ({ input, stage, each }) => ({
        all: each('all', input.items, (n) => stage('without', without, { n }, fast).n, { onFailure: 'drop' }),
        n: stage('alone', without, { n: 1 }, { ...fast, optional: true }).n,
      })),
    );
    expect((await run(left, { items: [1, 2] })).output).toEqual({ all: [], n: null });
  });

  it('in a contender of a race', async () => {
    const slow = code('slow', { input: one, output: one }, async (input) => {
      await sleep(20);
      return input;
    });
    const raced = any(
      pipeline('raced', { input: one }, ({ input, stage, race }) => ({
        n: race('first', {
          odd: () => stage('differs', differs, { n: input.n }, fast).n,
          slow: () => stage('slow', slow, { n: input.n }).n,
        }).value,
      })),
    );
    await expect(run(raced, { n: 1 })).rejects.toMatchObject(diverged);
  });
});

describe('a pipeline as a step', () => {
  const inner = pipeline(
    'inner',
    { input: z.object({ n: z.number(), by: z.string().default('x') }), deadline: '1m' },
    ({ input, stage }) => ({ n: stage('add', add, { n: input.n }).n, by: input.by }),
  );
  it.each(['inline', 'child'] as const)('runs %s', async (as) => {
    const outer = any(
      pipeline('outer', { input: one }, ({ input, stage, run }) => {
        const first = stage('add', add, { n: input.n });
        const second = run('sub', inner, { n: first.n }, { as });
        return { n: second.n, by: second.by };
      }),
    );
    const { output, rows } = await run(outer, { n: 1 });
    expect(output).toEqual({ n: 3, by: 'x' });
    expect(rows[as === 'inline' ? 'sub/add' : 'sub']?.status).toBe('done');
  });
});

describe('policies that choose', () => {
  const broken = code('broken', { input: one, output: one }, () => {
    throw new MillraceError('BACKEND_UNAVAILABLE', 'down');
  });

  it('takes the fallback when the stage has failed for good', async () => {
    const p = any(
      pipeline('fallen', { input: one }, ({ input, stage }) => ({
        n: stage('a', broken, { n: input.n }, { ...fast, fallback: [add] }).n,
      })),
    );
    const { output, rows } = await run(p, { n: 1 });
    expect(output).toEqual({ n: 2 });
    expect(rows.a).toMatchObject({ status: 'done', model: 'add', instead: 'BACKEND_UNAVAILABLE' });
  });

  it('goes on without an optional stage', async () => {
    const p = any(
      pipeline('optional', { input: one }, ({ input, stage }) => {
        const a = stage('a', broken, { n: input.n }, { ...fast, optional: true });
        return { n: a.n, size: size(text`${a.n}`) };
      }),
    );
    const { output, rows } = await run(p, { n: 1 });
    expect(output).toEqual({ n: null, size: 0 });
    expect(rows.a).toMatchObject({ status: 'skipped', instead: 'BACKEND_UNAVAILABLE' });
  });

  it('takes the tightest rung that holds when time is short', async () => {
    const p = any(
      pipeline('hurried', { input: one, deadline: '1h' }, ({ input, stage }) => ({
        n: stage(
          'a',
          broken,
          { n: input.n },
          {
            ...fast,
            optional: true,
            degrade: [
              { below: '59m', to: 'skip' },
              { below: '1h', to: add },
            ],
          },
        ).n,
      })),
    );
    const hurried = any(p);
    expect((await run(hurried, { n: 1 })).output).toEqual({ n: 2 });
  });

  it('leaves the stages after it what they reserve', async () => {
    const slow = code('slow', { input: one, output: one }, async (input, { signal }) => {
      await sleep(60_000, undefined, { signal });
      return input;
    });
    const p = any(
      pipeline('reserved', { input: one, deadline: '400ms' }, ({ input, stage }) => {
        const a = stage('a', slow, { n: input.n }, { ...fast, optional: true });
        return { n: stage('b', add, { n: size(text`${a.n}`) }, { reserve: '350ms' }).n };
      }),
    );
    const { output, rows } = await run(p, { n: 1 }, {}, new VirtualClock(60_000));
    expect(output).toEqual({ n: 1 });
    expect(rows.a).toMatchObject({ status: 'skipped', instead: 'STAGE_TIMEOUT' });
  });

  it('runs only what the wanted outputs need', async () => {
    const p = any(
      pipeline('partial', { input: one }, ({ input, stage }) => {
        const a = stage('a', add, { n: input.n });
        return { first: a.n, second: stage('b', add, { n: a.n }).n };
      }),
    );
    const { output, rows, events } = await run(p, { n: 1 }, { outputs: ['first'] });
    expect(output).toEqual({ first: 2 });
    expect(rows.b?.status).toBe('skipped');
    expect(events).toEqual(['a starts', 'a ends']);
    await expect(run(p, { n: 1 }, { outputs: ['third'] })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});
