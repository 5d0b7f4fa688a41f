import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { type Producing, produceText } from '../../../../activities/streams/produce.js';
import { speakStream } from '../../../../activities/streams/speak.js';
import type { SpokenChunk } from '../../../../activities/streams/spoken-chunk.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { type ChannelEnd, MemoryChannelLog, readChannel } from '../../../../stores/channels/index.js';

export const ANSWER = 'One sentence is here. A second one follows. And a third one ends it.';
export const PIECES = ['One sentence is here.', ' A second one follows.', ' And a third one ends it.'];

export const retry = { attempts: 3, initialMs: 1, factor: 1, maxMs: 1 };
export const producer = (more: Partial<StageCall> = {}): StageCall =>
  ({
    pipeline: 'p',
    version: 'v',
    tenant: 't',
    stage: 'answer',
    kind: 'chat',
    model: 'm',
    with: {},
    retry,
    writes: ['sentences'],
    ...more,
  }) as StageCall;
export const speaker: StageCall = {
  ...producer(),
  stage: 'speak',
  kind: 'synthesize',
  writes: undefined,
  entryMs: 5_000,
  reads: { text: { path: 'answer', of: 'sentences' } },
} as unknown as StageCall;

export const signal = (): AbortSignal => new AbortController().signal;

/** One run: its channels, a producer and a consumer. */
export function run() {
  const channels = new MemoryChannelLog();
  const id = `run-${randomUUID()}`;
  const deltas: string[] = [];
  return {
    channels,
    id,
    deltas,
    produce: (
      serve: (producing: Producing) => Promise<{ output: JsonObject }>,
      call = producer(),
      own: AbortSignal = signal(),
    ) => produceText({ channels }, { run: id, call, signal: own, onDelta: (text) => deltas.push(text) }, serve),
    speak(
      serve: (text: string, attempt: Attempt) => Promise<void>,
      own: AbortSignal = signal(),
      onChunk?: (chunk: SpokenChunk, number: number) => void,
      rest?: Attempt['rest'],
    ) {
      const attempt = {
        signal: own,
        attempt: 1,
        queueMs: 0,
        run: id,
        resumeFrom: null,
        checkpoint: () => undefined,
        ...(rest && { rest }),
      } as Attempt;
      return speakStream(
        {
          channels,
          join: async (_, pieces) => ({ ...pieces[0], uri: pieces.map(({ uri }) => uri).join('+') }),
          convert: async (_, piece) => piece,
        },
        { call: speaker, attempt, field: 'text' },
        async ({ text }, own) => {
          await serve(String(text), own);
          return { output: { audio: { uri: `<${String(text)}>` } }, endpoint: 'e', device: 'd', cache: 'off' as const };
        },
        onChunk,
      );
    },
    async read(of = 'sentences'): Promise<{ values: unknown[]; end: ChannelEnd }> {
      const values: unknown[] = [];
      const reader = readChannel(channels, { run: id, path: 'answer', of }, { signal: signal() });
      for (;;) {
        const next = await reader.next();
        if (next.done) return { values, end: next.value };
        values.push(next.value.value);
      }
    },
  };
}

/** Emits a text in small parts. */
export const emit = ({ onText }: Pick<Producing, 'onText'>, text: string) => {
  for (let at = 0; at < text.length; at += 5) onText(text.slice(at, at + 5));
};
export const whole =
  (text = ANSWER) =>
  async (producing: Producing) => {
    emit(producing, text);
    return { output: { text } };
  };
/** Fails after some of the answer. */
export const breaksAfter = (length: number) => async (producing: Producing) => {
  emit(producing, ANSWER.slice(0, length));
  await sleep(5);
  throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
};
