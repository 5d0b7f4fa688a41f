import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { wholeRun } from '../../../../pipelines/run/build-segment.js';
import type { Segment, SegmentOutcome } from '../../../../pipelines/run/index.js';
import type { SegmentJournal } from '../../../../stores/journal/index.js';
import { boundedOutcome, executeSegment } from '../../../../workers/hosts/segment-executor.js';
import { CodeRunner, contextOf } from '../../../support/in-process.js';

const row = (stage: string) =>
  ({ stage, kind: 'code', connector: 'code', model: stage, device: '', status: 'done' }) as const;
const outcomeOf = (values: Record<string, string>): SegmentOutcome => ({
  done: { below: Object.fromEntries(Object.entries(values).map(([id, text]) => [id, { value: { text } }])) },
  rows: Object.keys(values).map(row),
});

describe('the outcome of a segment', () => {
  it('stays as it is below the limit', () => {
    const outcome = outcomeOf({ a: 'x'.repeat(1_400_000), b: 'y' });
    expect(boundedOutcome(outcome)).toBe(outcome);
  });

  it('is a failure that names the largest stage above it', () => {
    const outcome = boundedOutcome(outcomeOf({ a: 'x'.repeat(700_000), b: 'y'.repeat(900_000), c: '' }));
    expect(outcome).toMatchObject({
      done: {},
      rows: [{ status: 'done' }, { status: 'failed', error: { code: 'RESULT_TOO_LARGE' } }, { status: 'done' }],
      failure: { code: 'RESULT_TOO_LARGE', details: { stage: 'b' } },
    });
    expect(outcome.failure?.message).toMatch(/^stage "b": the results of its segment have 16\d{5} bytes/);
  });

  it('is measured in bytes, not in characters', () => {
    expect(boundedOutcome(outcomeOf({ a: 'ä'.repeat(800_000) })).failure?.code).toBe('RESULT_TOO_LARGE');
  });
});

describe('a segment that is asked again for what it has begins no call', () => {
  const inline = { execution: 'inline' } as const;
  const one = z.object({ n: z.number() });
  const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));

  /** Asked again, with a journal that has the end of one call of this stage. */
  async function again(of: Pipeline, stage: string) {
    const runner = new CodeRunner(of);
    const ends = { endpoint: 'worker', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 };
    const record = {
      hasEnds: true,
      ended: (call: string) => (call.startsWith(`${stage} `) ? { outcome: { output: { n: 1 }, ...ends } } : undefined),
      begun: () => 0,
      losses: () => 0,
      leftMs: () => undefined,
    } as unknown as SegmentJournal;
    const segment = wholeRun({ n: 0 }, contextOf(of)) as Segment;
    const outcome = await executeSegment(segment, record, { runner, run: 'r', again: true });
    return { outcome, events: runner.events };
  }

  it('after an interruption', async () => {
    const two = pipeline('two', { input: one }, ({ input, stage }) => {
      const { n } = stage('a', add, { n: input.n }, inline);
      return { n: stage('b', add, { n }, inline).n };
    }) as unknown as Pipeline;
    const { outcome, events } = await again(two, 'a');
    expect(outcome).toMatchObject({
      done: { below: { a: { value: { n: 1 } } } },
      rows: [{ stage: 'a', status: 'done' }],
      interrupted: true,
    });
    expect(events).toEqual([]);
  });

  it('of a race that another contender has won', async () => {
    const raced = pipeline('raced', { input: one }, ({ input, stage, race }) => {
      const first = race('first', {
        late: () => stage('late', add, { n: input.n }, inline).n,
        quick: () => stage('quick', add, { n: input.n }, inline).n,
      });
      return { n: first.value };
    }) as unknown as Pipeline;
    const { outcome, events } = await again(raced, 'quick');
    expect([outcome.interrupted, outcome.failure, events]).toEqual([undefined, undefined, []]);
    expect(outcome.rows).toContainEqual(expect.objectContaining({ stage: 'quick', status: 'done' }));
  });
});
