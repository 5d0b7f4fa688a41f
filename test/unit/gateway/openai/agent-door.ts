import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { afterEach, beforeEach } from 'vitest';
import { z } from 'zod';
import { agent, audio, type Pipeline, pipeline, synthesize, tool, transcribe } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { toldEvents } from '../../../support/told-events.js';

/* An agent that streams, as the official clients see it, unchanged, at a gateway whose runs are scripted. */

const refund = tool({ name: 'refund', description: 'Pays', input: z.object({ order: z.string() }), run: () => 'paid' });
const question = z.object({ question: z.string() });
const desk = pipeline('desk', { input: question }, ({ input, stage }) => {
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: input.question });
  return { reply: answer.text, toolCalls: answer.toolCalls };
});

const voice = pipeline('voice', { input: question }, ({ input, stage }) => {
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: input.question });
  const { audio } = stage('speak', synthesize({ model: 'tts' }), { text: answer.text });
  return { reply: answer.text, toolCalls: answer.toolCalls, audio };
});
/** Its output has the agent's text, and not its calls. */
const terse = pipeline('terse', { input: question }, ({ input, stage }) => {
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: input.question });
  return { reply: answer.text };
});
/** A transcription whose text an agent edits. */
const minutes = pipeline('minutes', { input: z.object({ audio: audio() }) }, ({ input, stage }) => {
  const heard = stage('hear', transcribe({ model: 'whisper' }), { audio: input.audio });
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: heard.text });
  return { text: answer.text };
});

export const of = (path: string, attempt = 1) => ({ stage: 'answer', path, attempt });
export const started = (path: string, attempt = 1): RunEvent => ({
  type: 'stage.started',
  ...of(path, attempt),
  kind: 'chat',
  model: 'm',
});
export const said = (path: string, ...texts: string[]): RunEvent[] =>
  texts.map((text) => ({ type: 'stage.delta', ...of(path), text }));
export const finished = (path: string): RunEvent => ({ type: 'stage.finished', ...of(path), cache: 'off', runMs: 1 });
export const call = { ...of('answer/turn-1/refund:0'), tool: 'refund', number: 0 };
export const called: RunEvent = { type: 'tool.called', ...call, arguments: { order: '1' } };
export const ended: RunEvent = { type: 'tool.ended', ...call, end: 'done', result: 'paid' };
export const record = { turn: 1, name: 'refund', arguments: { order: '1' }, end: 'done', result: 'paid' };

/** A turn with text and a call, and one with the answer. */
export const turns = (): RunEvent[] => [
  started('answer/turn-1'),
  { type: 'stage.reasoning', ...of('answer/turn-1'), text: 'Hm.' },
  ...said('answer/turn-1', 'I ', 'look.'),
  finished('answer/turn-1'),
  called,
  // Of a child run: another stage, though it has the same name there.
  {
    type: 'stage.delta',
    stage: 'answer/turn-1/refund:0/answer',
    path: 'answer/turn-1/refund:0/answer',
    attempt: 1,
    text: 'X',
  },
  ended,
  ended,
  started('answer/turn-2'),
  ...said('answer/turn-2', 'It is', ' paid.'),
  finished('answer/turn-2'),
];
/** The answer's model call fails in the middle, and the next attempt says something else. */
export const torn = (): RunEvent[] => [
  ...turns().slice(0, -1),
  { type: 'stage.failed', ...of('answer/turn-2'), code: 'BACKEND_UNAVAILABLE', message: 'gone' },
  started('answer/turn-2', 2),
  ...said('answer/turn-2', 'It is', ' done.'),
  finished('answer/turn-2'),
];
/** The same of a model that thinks before each attempt. */
export const rethought = (): RunEvent[] => [
  ...turns().slice(0, -3),
  started('answer/turn-2'),
  { type: 'stage.reasoning', ...of('answer/turn-2'), text: 'So.' },
  ...said('answer/turn-2', 'It is'),
  { type: 'stage.failed', ...of('answer/turn-2'), code: 'BACKEND_UNAVAILABLE', message: 'gone' },
  started('answer/turn-2', 2),
  { type: 'stage.reasoning', ...of('answer/turn-2', 2), text: 'Again.' },
  ...said('answer/turn-2', 'It', ' is paid.'),
  finished('answer/turn-2'),
];

/** A gateway for the tests of a file, of which each tells what the events and the end of the next run are. */
export function agentDoor() {
  const door = {
    gateway: undefined as unknown as TestGateway,
    url: '',
    events: [] as RunEvent[],
    /** The run ends with the reply, and its one call, before which the agent has said something or not. */
    answers(reply: string, said?: string, more: JsonObject = {}) {
      const output: JsonObject = { reply, toolCalls: [{ ...record, ...(said !== undefined && { said }) }], ...more };
      door.gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
    },
    openai: (): OpenAI => new OpenAI({ baseURL: `${door.url}/v1`, apiKey: 'none', maxRetries: 0 }),
  };
  beforeEach(async () => {
    door.events = [];
    door.gateway = await testGateway(
      {},
      {
        pipelines: [desk, voice, terse, minutes] as unknown as Pipeline[],
        placementOf: () => ({}),
        events: toldEvents(() => door.events),
      },
    );
    await door.gateway.app.listen({ host: '127.0.0.1', port: 0 });
    door.url = `http://127.0.0.1:${(door.gateway.app.server.address() as AddressInfo).port}`;
  });
  afterEach(() => door.gateway.close());
  return door;
}
