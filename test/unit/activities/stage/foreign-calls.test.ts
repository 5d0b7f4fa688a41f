import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ForeignCalls } from '../../../../activities/stage/foreign-calls.js';
import { serveStage } from '../../../../activities/stage/serve-stage.js';
import { activity, activityStream, MillraceError, streamOf } from '../../../../pipelines/index.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { ForeignEnd, StageCall } from '../../../../pipelines/run/index.js';
import { ChannelWriter, MemoryChannelLog, readChannel, readStream } from '../../../../stores/channels/index.js';
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
function foreignCalls(before?: KeptEnd | MillraceError, channels?: MemoryChannelLog) {
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
    ...(channels && { streams: { channels } }),
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

describe('before a call that reads streams', () => {
  const input = z.object({ lines: streamOf(z.string()), unit: z.string().default('m') });
  const reads = { lines: { path: 'made', of: 'entries' } };

  it('what is read while it is made is not there yet, and the rest is checked', async () => {
    const { calls } = foreignCalls();
    const call = { ...callOf({ input, protocol: 'millrace' }), reads };
    expect(await calls.before('run', {}, call)).toEqual({ input: { unit: 'm' } });
    expect(await calls.before('run', { unit: 'km' }, call)).toEqual({ input: { unit: 'km' } });
    await expect(calls.before('run', { unit: 1 }, call)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(calls.before('run', {}, callOf({ input, protocol: 'millrace' }))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });
});

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

  it.each([
    ['is asked again', 0, 'STORE_UNAVAILABLE'],
    ['is gone after half a minute, and nobody makes the call', 31_000, 'RECORD_GONE'],
  ])('the outcome that it had, and that cannot be read, %s', async (_, askedMs, code) => {
    const { calls, published } = foreignCalls(new MillraceError('STORE_UNAVAILABLE', 'away', { recorded: true }));
    const since = Date.now() - askedMs;
    await expect(calls.before('run-r1', { n: 1 }, callOf(), undefined, since)).rejects.toMatchObject({ code });
    expect(published.at(-1)).toMatchObject({ type: 'stage.failed', code });
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

describe('a call that yields', () => {
  const { kind, model, with: given } = activityStream({ queue: 'q', type: 'count', input: object, entry: z.int() });
  const yielding = (more: Partial<StageCall> = {}): StageCall => {
    const at = { pipeline: 'p', version: 'v', tenant: 'acme', stage: 'count', retry: RETRY, writes: ['entries'] };
    return { ...at, kind, model, with: given, ...more };
  };
  const name = { run: 'run', path: 'count', of: 'entries' };
  const signal = AbortSignal.timeout(60_000);
  const readOf = async (channels: MemoryChannelLog) => {
    const read: Json[] = [];
    for await (const { value } of readChannel(channels, name, { signal }))
      read.push((value as JsonObject).value as Json);
    return read;
  };
  /** What the Python worker has committed. */
  const committed = async (channels: MemoryChannelLog, values: readonly number[], ended = false) => {
    const writer = await ChannelWriter.open(channels, name, { signal, ttlMs: 60_000 });
    writer.add(...values.map((value) => ({ value })));
    await writer.settled();
    if (ended) await writer.end({ as: 'done', outcome: { output: { items: [...values] } } });
    writer.close();
  };
  const result = { output: { items: [1, 2, 3] } };

  it('whose worker did not reach the store is passed on when it has ended', async () => {
    const channels = new MemoryChannelLog();
    const { calls } = foreignCalls(undefined, channels);
    expect(await calls.after('run', { n: 1 }, yielding(), returned(result))).not.toHaveProperty('output');
    expect(await readOf(channels)).toEqual([1, 2, 3]);
  });

  it('is passed on in few steps: the local activity has seconds', async () => {
    const channels = new MemoryChannelLog();
    const append = channels.append.bind(channels);
    let steps = 0;
    channels.append = async (...given) => {
      steps += 1;
      return await append(...given);
    };
    const items = Array.from({ length: 1_000 }, (_, i) => i);
    await foreignCalls(undefined, channels).calls.after('run', { n: 1 }, yielding(), returned({ output: { items } }));
    expect(await readOf(channels)).toEqual(items);
    expect(steps).toBeLessThan(50);
  });

  it('that has more tiny entries than a channel holds is read as a list, and waits for no reader that lags', async () => {
    const channels = new MemoryChannelLog();
    const items = Array.from({ length: 60_000 }, (_, i) => i % 10);
    await committed(channels, items.slice(0, 2));
    const reader = readStream(channels, name, { signal, reader: 'slow', kept: () => true });
    expect((await reader.next()).value).toMatchObject({ value: { value: 0 } });
    const { calls } = foreignCalls(undefined, channels);
    const outcome = await calls.after('run', { n: 1 }, yielding(), returned({ output: { items } }));
    // It is the result as it is.
    expect(outcome).not.toHaveProperty('output');
    await reader.next();
    await expect(reader.next()).rejects.toMatchObject({ code: 'STREAM_LOST' });
    expect(await channels.read(name, 0, 1)).toMatchObject({ count: 2, end: '{"as":"void"}' });
  });

  it('goes on behind what an earlier attempt has committed', async () => {
    const channels = new MemoryChannelLog();
    await committed(channels, [1, 2]);
    await foreignCalls(undefined, channels).calls.after('run', { n: 1 }, yielding(), returned(result));
    expect(await readOf(channels)).toEqual([1, 2, 3]);
  });

  it('has its end as its worker has written it', async () => {
    const channels = new MemoryChannelLog();
    await committed(channels, [1, 2, 3], true);
    await foreignCalls(undefined, channels).calls.after('run', { n: 1 }, yielding(), returned(result));
    const { end, count } = (await channels.read(name, 0, 1)) ?? {};
    expect([end, count]).toEqual([JSON.stringify({ as: 'done', outcome: result }), 3]);
  });

  it('fails, or ends with what readers have, if that is something else', async () => {
    const channels = new MemoryChannelLog();
    await committed(channels, [1, 7]);
    const { calls, published } = foreignCalls(undefined, channels);
    const settled = (more?: Partial<StageCall>) =>
      calls.after('run', { n: 1 }, yielding({ events: true, ...more }), returned(result));
    await expect(settled()).rejects.toMatchObject({ code: 'STREAM_CUT' });
    expect(published.at(-1)).toMatchObject({ type: 'stage.failed', code: 'STREAM_CUT' });
    expect(await settled({ onCut: 'end' })).toMatchObject({ output: { items: [1, 7] } });
    expect(await readOf(channels)).toEqual([1, 7]);
  });

  it('that nobody reads, or whose store is away, has its list', async () => {
    const channels = new MemoryChannelLog();
    const { writes: _, ...alone } = yielding();
    await foreignCalls(undefined, channels).calls.after('run', { n: 1 }, alone, returned(result));
    expect(await channels.read(name, 0, 1)).toBeUndefined();
    class Away extends MemoryChannelLog {
      override async open(): Promise<never> {
        throw new Error('away');
      }
      override async read(): Promise<never> {
        throw new Error('away');
      }
    }
    const { calls } = foreignCalls(undefined, new Away());
    expect(await calls.after('run', { n: 1 }, yielding(), returned(result))).toMatchObject({ endpoint: 'temporal' });
  });

  it('of the run that this one resumes is passed on before', async () => {
    const channels = new MemoryChannelLog();
    const kept = { endpoint: 'temporal', device: 'q', attempt: 1, cache: 'off' as const, queueMs: 0, runMs: 9 };
    const { calls } = foreignCalls({ outcome: { ...kept, ...result } }, channels);
    expect(await calls.before('run', { n: 1 }, yielding())).toMatchObject({ outcome: result });
    expect(await readOf(channels)).toEqual([1, 2, 3]);
  });
});

it('a process without Temporal refuses such a stage', async () => {
  const attempt = { signal: new AbortController().signal, attempt: 1, queueMs: 0, run: 'run', resumeFrom: null };
  const serving = serveStage({} as never, { n: 1 }, callOf(), { ...attempt, checkpoint: () => undefined });
  await expect(serving).rejects.toMatchObject({ code: 'CAPABILITY_MISSING', details: { stage: 'sum' } });
});
