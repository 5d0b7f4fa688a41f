import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, eq, pipeline } from '../../../../pipelines/index.js';
import type { SegmentOutcome } from '../../../../pipelines/run/index.js';
import { boundedOutcome, stepsEnded } from '../../../../workers/hosts/segment-executor.js';

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

describe('the steps of a segment that its journal has', () => {
  const one = z.object({ text: z.string() });
  const say = code('say', { input: one, output: one }, (given) => given);
  const { plan } = pipeline(
    'told',
    { input: one.extend({ texts: z.array(z.string()) }) },
    ({ input, stage, when, each }) => {
      const note = stage('note', say, { text: input.text });
      const notes = stage('notes', say, { text: input.text });
      const sent = when('sent', eq(input.text, ''), () => stage('mail', say, { text: note.text }).text);
      const all = each('all', input.texts, (text) => stage('pay', say, { text }).text);
      return { note: note.text, notes: notes.text, sent, all };
    },
  );
  const ended = (...calls: readonly string[]) =>
    stepsEnded(
      { prefix: 'said[0~2]/', steps: plan.stages },
      calls.map((path) => `said[0~2]/${path} 01234567`),
    );

  it('are those of which a call has ended: of a branch, an item, another candidate, or an agent', () => {
    expect(ended()).toEqual([]);
    expect(ended('note')).toEqual(['note']);
    expect(ended('mail', 'all[3]/pay', 'notes~2/turn-1')).toEqual(['notes', 'sent', 'all']);
  });
});
