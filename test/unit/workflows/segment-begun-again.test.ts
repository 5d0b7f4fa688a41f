import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, MillraceError, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { wholeRun } from '../../../pipelines/run/build-segment.js';
import { callName, type Segment } from '../../../pipelines/run/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import type { Ended, Journal } from '../../../workers/hosts/journal.js';
import { interpretSegment } from '../../../workflows/interpreter/index.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const one = z.object({ n: z.number() });
const large = code('large', { input: one, output: one }, ({ n }) => ({ n: n + 100 }));
const small = code('small', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const failing = code('failing', { input: one, output: one }, () => {
  throw new MillraceError('CODE_FAILED', 'no');
});
const inline = { execution: 'inline', retry: { attempts: 1 } } as const;

/** The journal of one process after the other. */
const journalOf = (ends: Map<string, Ended>): Journal => ({
  again: ends.size > 0,
  ended: (call) => ends.get(callName(call)),
  begin: async () => 1,
  end: (call, ended) => void ends.set(callName(call), ended),
  left: () => undefined,
  losses: () => 0,
  leftMs: () => undefined,
});

/** A segment that one process after the other runs, each with so much time left of the deadline. */
function taken(of: Pipeline) {
  const runner = new CodeRunner(of);
  const ends = new Map<string, Ended>();
  const segment = wholeRun({ n: 0 } satisfies JsonObject, contextOf(of)) as Segment;
  const run = (leftMs: number) =>
    interpretSegment({ ...segment, leftMs }, new InProcessHost({ runner, run: 'r', journal: journalOf(ends) }));
  return { run, runner, ends };
}

const starts = ({ events }: CodeRunner) => events.filter((event) => event.endsWith(' starts'));

it('a stage that had succeeded keeps its result when less time is left, where another model would be asked', async () => {
  const degrading = pipeline('degrading', { input: one, deadline: '1m' }, ({ input, stage }) => {
    const degrade = [{ below: '30s', to: small }] as const;
    const first = stage('first', large, { n: input.n }, { ...inline, degrade });
    return { n: stage('second', small, { n: first.n }, inline).n };
  }) as unknown as Pipeline;
  const { run, runner, ends } = taken(degrading);
  const before = await run(60_000);
  // Its worker is lost before the second has ended.
  for (const name of ends.keys()) if (name.startsWith('second ')) ends.delete(name);
  const after = await run(20_000);
  expect(starts(runner)).toEqual(['first starts', 'second starts', 'second starts']);
  expect(after.done).toEqual(before.done);
  expect(after.rows[0]).toMatchObject({ stage: 'first', status: 'done', model: 'large' });
  expect(after.rows[0]).not.toHaveProperty('instead');
});

it('a stage that had succeeded needs no time, though what is left is reserved for the stages after it', async () => {
  const reserving = pipeline('reserving', { input: one, deadline: '1m' }, ({ input, stage }) => {
    const first = stage('first', large, { n: input.n }, inline);
    return { n: stage('second', small, { n: first.n }, { ...inline, reserve: '40s' }).n };
  }) as unknown as Pipeline;
  const { run, runner, ends } = taken(reserving);
  await run(60_000);
  for (const name of ends.keys()) if (name.startsWith('second ')) ends.delete(name);
  const after = await run(30_000);
  expect(after.failure).toBeUndefined();
  expect(after.done).toMatchObject({ below: { second: { value: { n: 101 } } } });
  expect(starts(runner)).toEqual(['first starts', 'second starts', 'second starts']);
});

it('a stage whose fallback had succeeded has that again, after the failure that led to it', async () => {
  const falling = pipeline('falling', { input: one, deadline: '1m' }, ({ input, stage }) => {
    const degrade = [{ below: '30s', to: large }] as const;
    return { n: stage('first', failing, { n: input.n }, { ...inline, fallback: [small], degrade }).n };
  }) as unknown as Pipeline;
  const { run, runner } = taken(falling);
  const before = await run(60_000);
  const after = await run(20_000);
  expect(starts(runner)).toEqual(['first starts', 'first starts']);
  expect(after.rows).toEqual(before.rows);
  expect(after.rows[0]).toMatchObject({ status: 'done', model: 'small', instead: 'CODE_FAILED' });
});
