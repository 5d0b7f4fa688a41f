import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SEGMENTS } from '../../../../cli/graph.js';
import { voiceAssistant } from '../../../../pipelines/catalog/index.js';
import { chat, pipeline } from '../../../../pipelines/index.js';
import { explain, explanationText } from '../../../../pipelines/inspect/index.js';
import { everything } from './everything.js';

const placed = { connector: 'openai', device: 'gpu0' };
const explained = explain(everything, SEGMENTS, (_, { model }) => (model === 'small' ? undefined : placed));
const stage = (id: string) => {
  const found = explained.stages.find((each) => each.id === id);
  if (!found) throw new Error(`no stage ${id}`);
  return found;
};
const from = (id: string) => Object.fromEntries(stage(id).policy.map((each) => [each.option, [each.value, each.from]]));

describe('an explanation', () => {
  it('says of every value of a policy who chose it', () => {
    expect(from('answer')).toMatchObject({
      'retry.attempts': [2, 'author'],
      'retry.backoff.initial': [20_000, 'author'],
      'retry.backoff.factor': [2.5, 'general default'],
      'retry.backoff.max': [20_000, 'follows retry.backoff.initial'],
      'timeout.attempt': [360_000, 'author'],
      'timeout.total': [360_000, 'follows timeout.attempt'],
      execution: ['queued', 'general default'],
      hedge: [{ percentile: 95 }, 'author'],
    });
    const [transcribed] = explain(voiceAssistant as never, SEGMENTS, () => placed).stages;
    const attempt = transcribed?.policy.find(({ option }) => option === 'timeout.attempt');
    expect(attempt).toEqual({ option: 'timeout.attempt', value: 600_000, from: 'kind default' });
  });

  it('knows the options of a pipeline that is a step', () => {
    expect(from('here/add').execution).toEqual(['inline', 'author']);
  });

  it('counts the most calls and the longest time', () => {
    // Itself, the fallback, and its one rung with a model if its server is away; two attempts each; each hedged.
    expect(stage('answer').worst).toEqual({ calls: 12, ms: 600_000 });
    expect(stage('first').worst.calls).toBe(0);
  });

  it('counts waits: a stage may spend its total on a server that is away', () => {
    const waiting = pipeline('waiting', { input: z.object({}), deadline: '15m' }, ({ stage }) => {
      const policy = { retry: { attempts: 2 }, timeout: { attempt: '5s', total: '10m' } } as const;
      return { text: stage('ask', chat({ model: 'assistant' }), { prompt: 'x' }, policy).text };
    });
    const [ask] = explain(waiting as never, SEGMENTS, () => placed).stages;
    expect(ask?.worst).toEqual({ calls: 2, ms: 600_000 });
  });

  it('names what serves each candidate, and what no pool serves', () => {
    expect(stage('answer').candidates.map(({ role, model, placed }) => [role, model, placed?.device])).toEqual([
      ['first', 'assistant', 'gpu0'],
      ['fallback 1', 'small', undefined],
      ['with less than 20000 ms left', 'assistant', 'gpu0'],
      ['with less than 5000 ms left, cached only', 'assistant', 'gpu0'],
    ]);
  });

  it('shows segments, loops around, and what is left for later stages', () => {
    expect(explained.segments).toEqual([['first', 'second'], ['here/add']]);
    expect(stage('second')).toMatchObject({ segment: 1, leavesMs: 30_000 });
    expect(stage('fifth').within).toEqual(['repeat again']);
    expect(explained.reservedMs).toBe(30_000);
    expect(explained.output).toMatchObject({ all: ['all'], text: ['answer.text'] });
  });

  it('is readable', () => {
    const text = explanationText(explained, { all: true });
    for (const line of [
      'pipeline everything',
      'deadline     10m, of which the stages in sequence reserve 30s',
      'stage fifth (code), within repeat again',
      'retry.attempts         2             author',
      'fallback 1   small (no pool serves it)',
      'semantic, for 1h, similarity 0.7 by minilm; a hit calls no model',
      'worst case   12 calls, 10m',
      'child run    child: pipeline inner, deadline 1m, explained on its own',
    ]) {
      expect(text).toContain(line);
    }
  });

  it('shows where calls of several runs go out together', () => {
    const batched = { ...placed, microBatch: { waitMs: 5, most: 32 } };
    const text = explanationText(explain(everything, SEGMENTS, () => batched));
    expect(text).toContain('(openai @gpu0, in batches of up to 32 texts within 5 ms)');
    expect(explanationText(explained)).not.toContain('in batches');
  });

  it('shows which models are loaded on demand', () => {
    const onDemand = { ...placed, onDemand: true } as const;
    const text = explanationText(explain(everything, SEGMENTS, () => onDemand));
    expect(text).toContain('(openai @gpu0, loaded on demand)');
    expect(explanationText(explained)).not.toContain('on demand');
  });

  it('shows what a pool adds to each request', () => {
    const text = explanationText(explain(everything, SEGMENTS, () => ({ ...placed, extra: { min_tokens: 4 } })));
    expect(text).toContain('(openai @gpu0, requests with {"min_tokens":4})');
    expect(explanationText(explained)).not.toContain('requests with');
  });

  it('shows only what differs from the defaults unless all is asked for', () => {
    const text = explanationText(explained);
    for (const line of [
      'retry.attempts         2             author',
      'retry.backoff.max      20s           follows retry.backoff.initial',
      'timeout.total          6m            follows timeout.attempt',
      'Defaults are not shown; --all shows them.',
    ]) {
      expect(text).toContain(line);
    }
    expect(text).not.toMatch(/general default|kind default|cache +none/);
    expect(explanationText(explained, { all: true })).toMatch(/general default(.|\n)*cache +none/);
    // A total that follows an attempt's default is a default too.
    const heard = explanationText(explain(voiceAssistant as never, SEGMENTS, () => placed));
    expect(heard).not.toContain('follows');
  });
});
