import { describe, expect, it } from 'vitest';
import type { SegmentOutcome } from '../../../../pipelines/run/index.js';
import { boundedOutcome } from '../../../../workers/hosts/segment-executor.js';

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
