import { CancelledFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import type { ExactCache } from '../../../../activities/cache/index.js';
import type { StageRunnerParts } from '../../../../activities/stage/stage-runner.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { RunEventLog } from '../../../../stores/events/index.js';
import { activity, failureOf } from './attempt-scene.js';
import { attempt, runnerOf, silence, stage } from './runner-of.js';

const sha256 = '0'.repeat(64);
const about = { mime: 'audio/wav', bytes: 44, durationMs: 1, sampleRate: 16_000, channels: 1 };
const input = { audio: { uri: `artifact://acme/${sha256}`, sha256, ...about } };
const hear: StageCall = { ...stage, stage: 'hear', kind: 'transcribe', events: true };
/** What the first attempt leaves for the next one. */
const resumeFrom = { sample: 16_000, text: 'one' };

/** The events of a run, texts as themselves. */
function following() {
  const told: (string | undefined)[] = [];
  const redis: Record<string, unknown> = {
    defineCommand(name: string) {
      redis[name] = async (_keys: number, _stream: string, _erased: string, event: string) => {
        const { type, text } = JSON.parse(event) as { readonly type: string; readonly text?: string };
        told.push(type === 'stage.delta' ? text : type);
      };
    },
  };
  return { told, events: new RunEventLog(redis as never) };
}

/** A runner whose recogniser says what follows the checkpoint. */
const second = (more: Partial<StageRunnerParts>) =>
  runnerOf(async (_, { emit }) => {
    emit(' two');
    return { text: 'one two' };
  }, more).runner;

const failing = (error: MillraceError, more: Partial<StageRunnerParts>) =>
  runnerOf(async (_, context) => {
    if (context.resumeFrom === undefined) context.emit('one');
    if (error.details.unsent !== true) context.emit(' tw');
    throw error;
  }, more).runner;

const broken = new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
const away = new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true });

it('the text that a recogniser continues is told again: the start of the attempt has made it void', async () => {
  const { told, events } = following();
  await expect(failing(broken, { events }).run(input, hear, attempt())).rejects.toMatchObject({ code: broken.code });
  await second({ events }).run(input, hear, attempt({ attempt: 2, resumeFrom }));
  expect(told).toEqual([
    ...['stage.started', 'one', ' tw', 'stage.failed'],
    ...['stage.started', 'one', ' two', 'stage.finished'],
  ]);
});

it('it is told once for each start, however long the attempt then waits for its server', async () => {
  const { told, events } = following();
  const waiting = failing(away, { events }).run(input, hear, attempt({ attempt: 2, resumeFrom }));
  await expect(waiting).rejects.toMatchObject({ code: away.code });
  const tried = { waits: 1, waitedMs: 100 };
  await second({ events }).run(input, hear, attempt({ attempt: 2, resumeFrom, tried }));
  expect(told).toEqual(['stage.started', 'one', 'stage.waiting_for', ' two', 'stage.finished']);
});

it('of a call with a hedge the text is told at its end, once', async () => {
  const { told, events } = following();
  const hedged = { ...hear, hedge: { afterMs: 60_000 } };
  await second({ events }).run(input, hedged, attempt({ attempt: 2, resumeFrom }));
  expect(told).toEqual(['stage.started', 'one two', 'stage.finished']);
});

it.each([
  ['one two', ['one', ' two']],
  ['another', ['one']],
])('of a cached transcript ("%s") what follows that text is told', async (text, texts) => {
  const { told, events } = following();
  const exact = { through: async () => ({ output: { text }, outcome: 'hit' }) } as unknown as ExactCache;
  const cached: StageCall = { ...hear, cache: { kind: 'exact', ttlMs: 60_000 } };
  const outcome = await second({ events, exact }).run(input, cached, attempt({ attempt: 2, resumeFrom }));
  expect(outcome.output).toEqual({ text });
  expect(told).toEqual(['stage.started', ...texts, 'stage.finished']);
});

it('of a stage that asks for times it is told only if they are kept too: without them the recogniser begins anew', async () => {
  const timed: StageCall = { ...hear, with: { segments: 'segments' } };
  const segments = [{ start: 0, end: 1, text: 'one' }];
  const of = async (kept: Json) => {
    const { told, events } = following();
    const { runner } = runnerOf(
      async (_, { emit, resumeFrom: from }) => {
        emit(isJsonObject(from) && from.segments !== undefined ? ' two' : 'one two');
        return { text: 'one two' };
      },
      { events },
    );
    await runner.run(input, timed, attempt({ attempt: 2, resumeFrom: kept }));
    return told;
  };
  expect(await of(resumeFrom)).toEqual(['stage.started', 'one two', 'stage.finished']);
  expect(await of({ ...resumeFrom, segments })).toEqual(['stage.started', 'one', ' two', 'stage.finished']);
});

it('a checkpoint of another kind is not told', async () => {
  const { told, events } = following();
  const { runner } = runnerOf(async () => ({ text: 'Hello.' }), { events });
  await runner.run({ prompt: 'Hello?' }, { ...stage, events: true }, attempt({ attempt: 2, resumeFrom }));
  expect(told).toEqual(['stage.started', 'Hello.', 'stage.finished']);
});

it.each<['stops' | 'is lost' | 'is lost before its first heartbeat', string[]]>([
  ['stops', ['one', ' two']],
  ['is lost', ['one', ' two']],
  ['is lost before its first heartbeat', ['one two']],
])('it is told again after an attempt that had waited and whose worker %s', async (end, texts) => {
  const { told, events } = following();
  let beat: object | undefined;
  const stopping = new AbortController();
  const call: StageCall = { ...hear, retry: { ...stage.retry, attempts: 3 } };
  const made = (number: number, { runner }: ReturnType<typeof runnerOf>, heartbeatDetails?: object) =>
    activity({
      run: (own) => runner.run(input, call, own),
      info: { attempt: number, activityId: '1', ...(heartbeatDetails && { heartbeatDetails }) },
      call,
      more: {
        heartbeat(details: object) {
          beat = details;
        },
        ...(number === 2 && { cancellationSignal: stopping.signal }),
      },
    });
  const refuses = runnerOf(() => Promise.reject(away), { events });
  expect(await failureOf(made(1, refuses))).toMatchObject({ type: away.code, nonRetryable: false });
  const waited = beat;
  let working: object | undefined;
  const stops = runnerOf(
    async (...of) => {
      const [, { checkpoint, emit }] = of;
      emit('one');
      checkpoint(resumeFrom);
      working = beat;
      emit(' tw');
      const aborted = silence(...of);
      stopping.abort(new CancelledFailure('WORKER_SHUTDOWN'));
      return await aborted;
    },
    { events },
  );
  expect(await failureOf(made(2, stops, waited))).toBeInstanceOf(CancelledFailure);
  const left = { stops: beat, 'is lost': working, 'is lost before its first heartbeat': waited }[end];
  const goesOn = runnerOf(
    async (_, { emit, resumeFrom: from }) => {
      emit(from === undefined ? 'one two' : ' two');
      return { text: 'one two' };
    },
    { events },
  );
  await made(3, goesOn, left);
  expect(told).toEqual([
    ...['stage.started', 'stage.waiting_for', 'one', ' tw'],
    ...['stage.started', ...texts, 'stage.finished'],
  ]);
});
