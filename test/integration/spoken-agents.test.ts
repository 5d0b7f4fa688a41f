import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTo, createServer } from 'node:net';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { SpokenChunk } from '../../activities/streams/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { voiceAgent } from '../../pipelines/catalog/index.js';
import type { StageRecord } from '../../pipelines/run/index.js';
import { type ReadEntry, RedisChannelLog, readChannel } from '../../stores/channels/index.js';
import { connected } from '../../stores/redis/index.js';
import { freePort } from '../support/free-port.js';
import { listenAt } from '../support/listen-at.js';
import { address, connect, LOST_SOON, resultOf, start, until } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { openSpeech, type Speech } from '../support/speech.js';
import { testRedis } from '../support/test-worker.js';
import { WorkerProcess } from '../support/worker-process.js';

/**
 * The voice agent that Millrace ships, on real servers but for the language model, which is scripted: the embedded one calls no tool, and
 * what it says cannot be held back.
 */

const FIRST = 'Let me work that out.';
const ANSWER = 'The result is eighty four. I have used a calculator. Seven dozens are a lot. Is there anything else?';
const SENTENCES = [FIRST, ...ANSWER.split(/(?<=[.?]) /)];

/** How often the model was asked for its answer, and what it waits for. */
let asked = 0;
let answering: Promise<void> = Promise.resolve();
const llm = new ScriptedLlm(async ({ messages }) => {
  if (!messages.some(({ role }) => role === 'tool'))
    return { text: FIRST, calls: [['calculate', { a: 12, operator: 'multiply', b: 7 }]] };
  asked += 1;
  await answering;
  return { text: ANSWER };
});
const embedded = (kind: string, model: string) => ({
  connector: 'triton',
  kind,
  model,
  endpoints: [{ url: address('TRITON_URL'), device: 'cpu0' }],
});

let client: Client;
let speech: Speech;
let models: string;
const redis = testRedis();
const subscriber = testRedis();
const channels = new RedisChannelLog(redis, subscriber);
beforeAll(async () => {
  models = await llm.listen('assistant', {
    whisper: embedded('transcribe', 'whisper'),
    tts: embedded('synthesize', 'tts'),
  });
  [client, speech] = await Promise.all([connect(), openSpeech()]);
  await Promise.all([connected(redis, 30_000), connected(subscriber, 30_000)]);
});
afterAll(async () => {
  llm.close();
  speech.close();
  redis.disconnect();
  subscriber.disconnect();
  await client.connection.close();
});

/** A run of the agent whose answer waits until `answer` is called. */
async function asking(served = models) {
  asked = 0;
  let answer = () => {};
  answering = new Promise((resolve) => {
    answer = resolve;
  });
  const queue = `spoken-agents-${randomUUID()}`;
  const begin = async () => {
    const worker = await WorkerProcess.start(queue, { MILLRACE_MODELS: served, MILLRACE_PIPELINES: '' });
    onTestFinished(() => worker.kill('SIGTERM'));
    return worker;
  };
  const worker = await begin();
  const question = await speech.speak('What is twelve times seven?');
  const run = await start(client, voiceAgent, { speech: question as never }, queue, ...LOST_SOON);
  return {
    run,
    answer,
    worker,
    begin,
    said: follow(run, 'answer', 'sentences'),
    spoken: follow(run, 'speak', 'chunks'),
  };
}

/** The entries of a channel as they come. */
function follow({ workflowId }: WorkflowHandle, path: string, of: string) {
  const entries: ReadEntry[] = [];
  const ended = (async () => {
    const options = { signal: AbortSignal.timeout(280_000) };
    for await (const entry of readChannel(channels, { run: workflowId, path, of }, options)) entries.push(entry);
  })();
  ended.catch(() => undefined);
  return { entries, ended };
}

type Asking = Awaited<ReturnType<typeof asking>>;
const textsOf = ({ spoken }: Pick<Asking, 'spoken'>) =>
  spoken.entries.map(({ value }) => (value as unknown as SpokenChunk).text.trim());

/** What must hold of every finished run: each sentence is said once, and spoken once. */
async function check({ run, said, spoken }: Asking) {
  const { output } = await resultOf(run);
  await Promise.all([said.ended, spoken.ended]);
  expect(output).toMatchObject({ reply: ANSWER, toolCalls: [{ name: 'calculate', end: 'done', said: FIRST }] });
  expect(said.entries.map(({ value }) => value).join('')).toBe(`${FIRST}\n\n${ANSWER}`);
  expect(textsOf({ spoken })).toEqual(SENTENCES);
  const chunks = spoken.entries.map(({ value }) => value as unknown as SpokenChunk);
  const heard = chunks.reduce((sum, { audio }) => sum + audio.bytes - 44, 0);
  expect((output.speech as unknown as Artifact).bytes - 44).toBe(heard);
}

describe('the voice agent', () => {
  it('is heard before it has its answer', async () => {
    const own = await asking();
    await until('something is spoken', () => own.spoken.entries.length > 0);
    expect(textsOf(own)).toEqual([FIRST]);
    await until('the model is asked for its answer', () => asked > 0);
    const rows = await own.run.query<readonly StageRecord[]>('stages');
    expect(rows.find(({ stage }) => stage === 'answer')).toMatchObject({ status: 'running' });
    own.answer();
    await check(own);
    expect(asked).toBe(1);
  });

  it('says each sentence once when its worker is killed in a turn, behind one that was spoken', async () => {
    const own = await asking();
    await until('something is spoken, and the model is asked', () => own.spoken.entries.length > 0 && asked > 0);
    await own.worker.kill();
    const before = [...own.spoken.entries];
    await own.begin();
    await until('the model is asked again', () => asked > 1);
    own.answer();
    await check(own);
    expect(own.spoken.entries.slice(0, before.length)).toEqual(before);
    expect(asked).toBe(2);
  });

  it('says each sentence once when its worker is killed while it speaks', async () => {
    const own = await asking();
    own.answer();
    await until('the answer is being spoken', () => own.spoken.entries.length > 1);
    await own.worker.kill();
    const before = [...own.spoken.entries];
    await own.begin();
    await check(own);
    expect(own.spoken.entries.slice(0, before.length)).toEqual(before);
    // Again, if the worker was killed between the last sentence and the end of its stream.
    expect(asked).toBeLessThanOrEqual(2);
  });

  it('is spoken though three workers are killed while its voice is away: nothing had been sent', async () => {
    const { path, come } = await withVoiceAway();
    const own = await asking(path);
    own.answer();
    await own.said.ended;
    let { worker } = own;
    let attempt = 0;
    for (let lost = 0; lost < 3; lost++) {
      attempt = await restsAfter(own, attempt);
      await worker.kill();
      worker = await own.begin();
    }
    await come();
    await check(own);
    expect(asked).toBe(1);
  });
});

/** Value of temporal.api.enums.v1.PendingActivityState: a worker has it. */
const STARTED = 2;
interface Timestamp {
  readonly seconds?: { toString(): string } | null;
  readonly nanos?: number | null;
}
const secondsOf = (time?: Timestamp | null) => Number(time?.seconds ?? 0) + (time?.nanos ?? 0) / 1e9;

/** Waits until an attempt behind the given one has asked for the voice and told Temporal that it waits for it; its number. */
async function restsAfter({ run }: Asking, before: number): Promise<number> {
  let attempt = before;
  await until('another attempt waits for the voice', async () => {
    const pending = (await run.describe()).raw.pendingActivities ?? [];
    const speaks = pending.find(({ activityType, state }) => activityType?.name === 'speak' && state === STARTED);
    const told = Buffer.from(speaks?.heartbeatDetails?.payloads?.[0]?.data ?? []).toString();
    attempt = speaks?.attempt ?? before;
    // Those of the attempt before are kept until this one has told something.
    return (
      attempt > before &&
      secondsOf(speaks?.lastHeartbeatTime) > secondsOf(speaks?.lastStartedTime) &&
      told.includes('"rests":true')
    );
  });
  return attempt;
}

/** A models file whose voice cannot be reached until it is told to come. */
async function withVoiceAway() {
  const own = JSON.parse(readFileSync(models, 'utf8')) as { tts: { endpoints: { url: string }[] } };
  const [endpoint] = own.tts.endpoints;
  const [, real] = /:(\d+)$/.exec(endpoint?.url ?? '') ?? [];
  if (!endpoint || real === undefined) throw new Error('the voice has no port');
  const port = await freePort();
  endpoint.url = endpoint.url.replace(/\d+$/, String(port));
  const path = models.replace(/\.json$/, '-away.json');
  writeFileSync(path, JSON.stringify(own));
  const voice = createServer((socket) => {
    const to = connectTo(Number(real), '127.0.0.1');
    socket.pipe(to).pipe(socket);
    for (const each of [socket, to]) each.on('error', () => each.destroy());
  });
  onTestFinished(() => void voice.close());
  const come = () => listenAt(voice, port);
  return { path, come };
}
