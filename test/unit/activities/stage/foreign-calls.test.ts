import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ForeignCalls } from '../../../../activities/stage/foreign-calls.js';
import { serveStage } from '../../../../activities/stage/serve-stage.js';
import { activity, MillraceError } from '../../../../pipelines/index.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { ForeignEnd, StageCall } from '../../../../pipelines/run/index.js';
import { RunEventLog } from '../../../../stores/events/index.js';
import type { EndedCall, KeptEnd } from '../../../../stores/records/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { recordingLogger } from '../../../support/caches.js';

const object = z.object({ n: z.number(), unit: z.string().default('m') });
const RETRY = { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 };

function callOf(options: object = {}): StageCall {
  const { kind, model, with: given } = activity({ queue: 'q', type: 'sum', input: object, output: object, ...options });
  const at = { pipeline: 'p', version: 'v', tenant: 'acme', stage: 'sum', retry: RETRY, events: true as const };
  return { ...at, kind, model, with: given };
}

/** With everything that it reports. */
function foreignCalls(before?: KeptEnd | MillraceError) {
  const kept: EndedCall[] = [];
  const published: JsonObject[] = [];
  class Events extends RunEventLog {
    override async publish(_run: string, event: unknown) {
      published.push(event as JsonObject);
    }
  }
  const metrics = createMetrics();
  const calls = new ForeignCalls({
    events: new Events({} as never),
    metrics,
    logger: recordingLogger().logger,
    records: {
      keep: async (end) => void kept.push(end),
      async before() {
        if (before instanceof MillraceError) throw before;
        return before;
      },
    },
  });
  return { calls, kept, published, metrics };
}

const RAN = { startedAt: 1_000, runMs: 250 };
const returned = (result: unknown): ForeignEnd => ({ ...RAN, result: result as Json });

describe('before a call of another worker', () => {
  it('its start is told and its input is checked', async () => {
    const { calls, published, kept } = foreignCalls();
    expect(await calls.before('run', { n: 1, unit: 'km' }, callOf())).toEqual({ input: { n: 1, unit: 'km' } });
    expect(published).toEqual([
      { type: 'stage.started', stage: 'sum', path: 'sum', attempt: 1, kind: 'activity', model: 'sum' },
    ]);
    expect(kept).toEqual([]);
    const without = callOf({ input: z.object({ n: z.number() }) });
    expect(await calls.before('run', { n: 1 }, without), 'nothing is completed').toEqual({});
    expect(await calls.before('run', { n: 1 }, callOf())).toEqual({ input: { n: 1, unit: 'm' } });
  });

  it('an input that does not fit fails, with its field, and is recorded', async () => {
    const { calls, published, kept } = foreignCalls();
    await expect(calls.before('run', { n: 'one' }, callOf())).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { stage: 'sum', fields: [{ field: 'n' }] },
    });
    expect(published[1]).toMatchObject({ type: 'stage.failed', code: 'INVALID_INPUT' });
    expect(kept).toMatchObject([{ run: 'run', result: { failure: { code: 'INVALID_INPUT' } } }]);
  });

  it('the outcome that it had in the run that is resumed is taken, and recorded again', async () => {
    const outcome = {
      output: { n: 3 },
      endpoint: 'temporal',
      device: 'q',
      attempt: 1,
      cache: 'off' as const,
      queueMs: 0,
      runMs: 9,
      resumed: true as const,
    };
    const { calls, published, kept } = foreignCalls({ outcome });
    expect(await calls.before('run-r1', { n: 1 }, callOf())).toMatchObject({
      outcome: { output: { n: 3 }, resumed: true },
    });
    expect(published.map(({ type }) => type)).toEqual(['stage.started', 'stage.finished']);
    expect(kept).toMatchObject([{ result: { outcome: { output: { n: 3 } } } }]);
    const failed = foreignCalls({ failure: { code: 'ACTIVITY_FAILED', message: 'bad' } });
    await expect(failed.calls.before('run-r1', { n: 1 }, callOf())).rejects.toMatchObject({
      code: 'ACTIVITY_FAILED',
      details: { final: true },
    });
    const gone = foreignCalls(new MillraceError('RECORD_GONE', 'gone'));
    await expect(gone.calls.before('run-r1', { n: 1 }, callOf())).rejects.toMatchObject({ code: 'RECORD_GONE' });
  });
});

describe('after a call of another worker', () => {
  it('its result is the output, its end is published, recorded and measured with its own times', async () => {
    const { calls, published, kept, metrics } = foreignCalls();
    const outcome = await calls.after('run', { n: 1 }, callOf(), returned({ n: 2, unit: 'km' }));
    // The result is in the history already.
    expect(outcome).toMatchObject({ attempt: 1, runMs: 250, endpoint: 'temporal', device: 'q', cache: 'off' });
    expect(published).toEqual([
      { type: 'stage.finished', stage: 'sum', path: 'sum', attempt: 1, cache: 'off', runMs: 250 },
    ]);
    expect(kept).toMatchObject([
      {
        run: 'run',
        input: { n: 1 },
        attempt: 1,
        startedAt: 1_000,
        endedAt: 1_250,
        result: { outcome: { output: { n: 2 } } },
      },
    ]);
    const { values } = await metrics.stageSeconds.get();
    expect(values.find(({ metricName }) => metricName?.endsWith('_sum'))).toMatchObject({
      value: 0.25,
      labels: { stage: 'sum', kind: 'activity', outcome: 'ok' },
    });
    expect(await calls.after('run', { n: 1 }, callOf(), returned({ n: 2 }))).toHaveProperty('output', {
      n: 2,
      unit: 'm',
    });
    const plain = callOf({ output: z.string() });
    expect(await calls.after('run', { n: 1 }, plain, returned('text'))).not.toHaveProperty('output');
  });

  it.each([
    ['of another type', { n: 'two' }, 'INVALID_OUTPUT', 'n'],
    ['absent', undefined, 'INVALID_OUTPUT', ''],
    ['too large', { n: 1, unit: 'm'.repeat(1_600_000) }, 'RESULT_TOO_LARGE', 'unit'],
  ])('a result that is %s fails and is recorded so', async (_, result, code, field) => {
    const { calls, published, kept } = foreignCalls();
    await expect(calls.after('run', { n: 1 }, callOf(), returned(result))).rejects.toMatchObject({
      code,
      details: { stage: 'sum', fields: [{ field }] },
    });
    expect(published).toMatchObject([{ type: 'stage.failed', code }]);
    expect(kept).toMatchObject([{ result: { failure: { code } }, startedAt: 1_000 }]);
  });

  it('a failure is published and recorded with its code', async () => {
    const { calls, published, kept } = foreignCalls();
    const failure = { code: 'ACTIVITY_FAILED', message: 'stage "sum": ValueError: bad' };
    expect(await calls.after('run', { n: 1 }, callOf(), { ...RAN, failure })).toBeNull();
    expect(published).toMatchObject([{ type: 'stage.failed', ...failure }]);
    expect(kept).toMatchObject([{ result: { failure } }]);
  });

  it('the parts of a result of the protocol "millrace" are taken apart', async () => {
    const { calls, kept } = foreignCalls();
    const call = callOf({ protocol: 'millrace' });
    const settled = (result: unknown) => calls.after('run', { n: 1 }, call, returned(result));
    const usage = { inputTokens: 1, outputTokens: null, seconds: 3 };
    expect(await settled({ output: { n: 2, unit: 'm' }, usage, conversions: ['a'] })).toMatchObject({
      usage: { inputTokens: 1 },
      conversions: ['a'],
    });
    expect(kept).toMatchObject([{ result: { outcome: { output: { n: 2 } } } }]);
    const field = async (result: unknown) =>
      ((await settled(result).catch((error: MillraceError) => error)) as MillraceError).details.fields?.[0]?.field;
    expect(await field({ n: 2 })).toBe('output');
    expect(await field({ output: { n: 2 }, usage: 3 })).toBe('usage');
    expect(await field({ output: { n: 2 }, usage: { inputTokens: 1.5 } })).toBe('usage.inputTokens');
    expect(await field({ output: { n: 2 }, conversions: [1] })).toBe('conversions');
    expect(await field({ output: { n: '2' } })).toBe('n');
  });
});

it('a process without Temporal refuses such a stage', async () => {
  const attempt = { signal: new AbortController().signal, attempt: 1, queueMs: 0, run: 'run', resumeFrom: null };
  const serving = serveStage({} as never, { n: 1 }, callOf(), { ...attempt, checkpoint: () => undefined });
  await expect(serving).rejects.toMatchObject({ code: 'CAPABILITY_MISSING', details: { stage: 'sum' } });
});
