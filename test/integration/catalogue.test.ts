import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Artifact } from '../../pipelines/artifact.js';
import { pipelines } from '../../pipelines/catalog/index.js';
import { approve, classify, eq, not, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { Json } from '../../pipelines/json.js';
import type { Problem } from '../../pipelines/run/document.js';
import type { RunDocument } from '../../runs/document.js';
import { decideAt } from '../support/deciding.js';
import { connect, until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { openSpeech, type Speech, wordAccuracy } from '../support/speech.js';

/** The pipelines that Millrace ships, through the gateway, on real servers. */

const SAFE = 'What is the capital of France?';
const UNSAFE = 'I will kill you tonight.';
/** Frames, words and a summary, on a machine that does much else. */
const VIDEO_MS = 180_000;

/** The review of `moderated-chat`, whose person is not waited for. */
const impatientReview = pipeline(
  'impatient-review',
  { input: z.object({ message: z.string() }) },
  ({ input, stage, when }) => {
    const found = stage('moderate', classify({ model: 'moderation', labels: ['safe', 'unsafe'] }), {
      text: input.message,
    });
    return {
      decision: when('review', not(eq<string>(found.label, 'safe')), () =>
        stage('approve', approve({ timeout: '1s', otherwise: false }), { subject: input.message }),
      ),
    };
  },
);

let served: ServedPipelines;
let speech: Speech;
let client: Client;
beforeAll(async () => {
  [served, speech, client] = await Promise.all([
    servePipelines([...pipelines, impatientReview] as Pipeline<never>[]),
    openSpeech(),
    connect(),
  ]);
});
afterAll(async () => {
  speech.close();
  await client.connection.close();
  await served.close();
});

const json = { 'content-type': 'application/json' };
/** The stage table as `{ stage: status }`. */
const statuses = ({ stages = [] }: RunDocument) =>
  Object.fromEntries(stages.map(({ stage, status }) => [stage, status]));
const problemOf = async (response: Response) => (await response.json()) as Problem;
const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** The stages that a run has called, by its history: the servers' own counts have the calls of other tests too. */
async function called(id: string): Promise<string[]> {
  const { events } = await client.workflow.getHandle(id).fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled?.activityType?.name ? [scheduled.activityType.name] : [],
  );
}

async function bytesOf({ uri }: Artifact): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of speech.store.read('default', uri)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function ended(id: string, limitMs?: number): Promise<RunDocument> {
  let run = await served.get(id);
  const hasEnded = async () => {
    run = await served.get(id);
    return run.id === id && run.status !== 'running';
  };
  await until('the run ends', hasEnded, limitMs);
  return run;
}

describe('voice-assistant', () => {
  it('answers a spoken question out loud', async () => {
    const question = await bytesOf(await speech.speak('What is the capital of Italy?'));
    const response = await served.post('voice-assistant', new Uint8Array(question), {
      'content-type': 'audio/wav',
      'millrace-tenant': `t-${randomUUID()}`,
      prefer: 'wait=90',
    });
    const run = (await response.json()) as RunDocument;
    expect(response.status).toBe(200);
    expect(text(run.output?.transcript)).toMatch(/capital of Italy/i);
    expect(run.output?.speech).toMatchObject({ mime: 'audio/wav', sampleRate: 24_000, channels: 1 });
    expect(statuses(run)).toEqual({ transcribe: 'done', answer: 'done', speak: 'done' });
  });

  it('runs no speech synthesis when nobody wants to hear it', async () => {
    const question = await speech.speak('What is the capital of Italy?');
    const run = await served.run('voice-assistant?outputs=transcript,reply', { speech: { uri: question.uri } });
    expect(Object.keys(run.output ?? {}).sort()).toEqual(['reply', 'transcript']);
    expect(statuses(run)).toEqual({ transcribe: 'done', answer: 'done', speak: 'skipped' });
    expect((await called(run.id)).toSorted()).toEqual(['answer', 'transcribe']);
  });

  it.each([
    ['outputs=reply,mood', 'outputs', 'mood'],
    ['outputs=', 'outputs', 'names no field'],
    ['priority=urgent', 'priority', 'urgent'],
    ['output=reply', 'output', 'is not a parameter'],
  ])('refuses ?%s and says why', async (query, field, why) => {
    const response = await served.post(`voice-assistant?${query}`, '{}', json);
    expect(response.status).toBe(422);
    const { code, errors } = await problemOf(response);
    expect(code).toBe('INVALID_INPUT');
    expect(errors).toEqual([{ field, message: expect.stringContaining(why) }]);
  });

  it('takes a priority', async () => {
    const question = await speech.speak('What is the capital of Italy?');
    const run = await served.run('voice-assistant?priority=interactive&outputs=transcript', {
      speech: { uri: question.uri },
    });
    expect(statuses(run)).toEqual({ transcribe: 'done', answer: 'skipped', speak: 'skipped' });
  });
});

describe('assistant', () => {
  it('takes text and gives text without a call of a speech model', async () => {
    const run = await served.run('assistant?outputs=reply', { text: SAFE });
    expect(text(run.output?.reply)).toContain('Paris');
    expect(statuses(run)).toEqual({ transcribe: 'skipped', answer: 'done', speak: 'skipped' });
    expect(await called(run.id)).toEqual(['answer']);
  });

  it('takes speech and gives speech', async () => {
    const question = await speech.speak(SAFE);
    const run = await served.run('assistant', { speech: { uri: question.uri } });
    expect(wordAccuracy(SAFE, text(run.output?.question))).toBe(1);
    expect(statuses(run)).toEqual({ transcribe: 'done', answer: 'done', speak: 'done' });
    const said = await speech.recognise(run.output?.speech as unknown as Artifact);
    expect(said).toMatch(/Paris/i);
  });

  it.each([
    ['both', { text: SAFE, speech: true }],
    ['neither', {}],
  ])('refuses %s of them and names the field', async (_, given) => {
    const { uri } = await speech.speak(SAFE);
    const body = { ...given, ...('speech' in given && { speech: { uri } }) };
    const response = await served.post('assistant', JSON.stringify(body), json);
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([{ field: 'speech', message: 'give either speech or text' }]);
  });
});

describe('moderated-chat', () => {
  const waits = async () => {
    const response = await served.post('moderated-chat', JSON.stringify({ message: UNSAFE }), json);
    const { id } = (await response.json()) as RunDocument;
    await until('it waits for a person', async () => statuses(await served.get(id)).approve === 'running');
    return id;
  };
  const decide = (id: string, approved: boolean) =>
    decideAt(client.workflow.getHandle(id), 'approve', { approved, by: 'ada' });

  it('answers a safe message without a person', async () => {
    const run = await served.run('moderated-chat', { message: SAFE });
    expect(run.output).toMatchObject({
      label: 'safe',
      decidedBy: 'classifier',
      reply: expect.stringContaining('Paris'),
    });
    expect(statuses(run)).toEqual({ moderate: 'done', approve: 'skipped', answer: 'done' });
  });

  it('answers an unsafe one when a person approves it, and not before', async () => {
    const id = await waits();
    expect(statuses(await served.get(id))).toEqual({ moderate: 'done', approve: 'running', answer: 'waiting' });
    await decide(id, true);
    const run = await ended(id);
    expect(run.output).toMatchObject({ label: 'unsafe', decidedBy: 'ada' });
    expect(statuses(run)).toEqual({ moderate: 'done', approve: 'done', answer: 'done' });
  });

  it('does not answer one that a person refuses', async () => {
    const id = await waits();
    await decide(id, false);
    const run = await ended(id);
    expect(run.output).toEqual({ label: 'unsafe', decidedBy: 'ada', reply: 'This message was not answered.' });
    expect(statuses(run)).toEqual({ moderate: 'done', approve: 'done', answer: 'skipped' });
  });

  it('takes the default when nobody decides (a variant that waits a second)', async () => {
    const run = await served.run('impatient-review', { message: UNSAFE });
    expect(run.output).toEqual({ decision: { approved: false, by: 'timeout' } });
  });
});

describe('rag-answer', () => {
  it('answers from the passages that were ingested, which come with the answer', async () => {
    const tenant = { 'millrace-tenant': `t-${randomUUID()}` };
    const passages = [
      { id: 'tide', text: 'The harbour of Eastport is closed at low tide, from six until nine in the morning.' },
      { id: 'bread', text: 'Bread rises because yeast turns sugar into gas.' },
      { id: 'train', text: 'The night train to Vienna leaves at ten from platform four.' },
      { id: 'bees', text: 'Bees tell each other by a dance where flowers are.' },
    ];
    expect((await served.run('ingest', { passages }, tenant)).output).toEqual({ count: 4 });
    const run = await served.run('rag-answer', { question: 'When can ships not enter the port of Eastport?' }, tenant);
    const [best] = (run.output?.passages ?? []) as unknown as { id: string; score: number }[];
    expect(best?.id).toBe('tide');
    expect(text(run.output?.answer)).not.toBe('');
    expect(statuses(run)).toEqual({ retrieve: 'done', rerank: 'done', answer: 'done' });
  });
});

describe('captioned-video', () => {
  it('has frames with their times, captions of what Whisper hears, and a summary', async () => {
    const clip = {
      base64: readFileSync(new URL('../fixtures/media/question.mp4', import.meta.url)).toString('base64'),
    };
    const body = JSON.stringify({ clip });
    const { id } = (await (await served.post('captioned-video', body, json)).json()) as RunDocument;
    const run = await ended(id, VIDEO_MS);
    expect(run.error).toBeUndefined();
    const { frames, captions, summary } = run.output as Record<string, Json>;
    const shown = frames as unknown as { image: Artifact; atMs: number }[];
    expect(shown[0]).toMatchObject({ atMs: 0, image: { mime: 'image/jpeg' } });
    expect((await bytesOf(shown[0]?.image as Artifact)).subarray(0, 2).toString('hex')).toBe('ffd8');
    const [first] = captions as unknown as { startMs: number; text: string }[];
    expect(first?.startMs).toBe(0);
    expect(text(first?.text).toLowerCase()).toContain('capital of france');
    expect(text(summary)).not.toBe('');
  });
});

describe('meeting-minutes', () => {
  /** What is said, and words that each part must be recognised by. */
  const SAID = [
    ['budget', 'We begin with the budget. The accountant says that the money for the new kitchen is nearly spent.'],
    ['bridge', 'Next is the old bridge over the river. Two engineers looked at it and found cracks in the stone.'],
    ['library', 'The library needs more shelves. Many children borrow books about animals and about the stars.'],
    ['winter', 'Before winter comes we must repair the roof of the school. The carpenter can start on Monday morning.'],
    ['garden', 'The garden behind the hospital will get apple trees, and the patients will have a bench in the shade.'],
    ['festival', 'At the end we talk about the festival in summer. The band will play music until midnight.'],
  ] as const;

  /** Two idle cores take a fifth of it. */
  const LIMIT_MS = 180_000;

  it('hears a long recording in parts, several at once, and writes minutes', { timeout: 2 * LIMIT_MS }, async () => {
    const whole = SAID.map(([, sentence]) => `${sentence} ${sentence}`).join(' ');
    const recording = await speech.speak(whole);
    expect(recording.durationMs).toBeGreaterThan(60_000);
    const body = JSON.stringify({ recording: { uri: recording.uri } });
    const { id } = (await (await served.post('meeting-minutes', body, json)).json()) as RunDocument;
    const run = await ended(id, LIMIT_MS);
    expect(run.status).toBe('succeeded');
    const { transcript, notes, minutes } = run.output as Record<string, Json>;

    const recognised = text(transcript).toLowerCase();
    const places = SAID.map(([word]) => recognised.indexOf(word));
    expect(places, recognised).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(wordAccuracy(whole, text(transcript))).toBeGreaterThan(0.85);

    const parts = notes as unknown as { startMs: number; transcript: string; note: string }[];
    expect(parts.length).toBeGreaterThanOrEqual(3);
    expect(parts.map(({ transcript }) => transcript).join(' ')).toBe(transcript);
    expect(parts.every(({ note }) => note !== '')).toBe(true);
    expect(text(minutes)).not.toBe('');

    const row = run.stages?.find(({ stage }) => stage === 'parts/transcribe' || stage === 'transcribe');
    expect(row?.count).toEqual({ done: parts.length, started: parts.length });
    expect(await atOnce(run.id, 'transcribe')).toBe(Math.min(4, parts.length));
  });

  /** The most activities of a type that were scheduled and had not ended, by the run's history. */
  async function atOnce(id: string, type: string): Promise<number> {
    const { events } = await client.workflow.getHandle(id).fetchHistory();
    const open = new Set<string>();
    let most = 0;
    for (const event of events ?? []) {
      const scheduled = event.activityTaskScheduledEventAttributes;
      if (scheduled?.activityType?.name === type) open.add(String(event.eventId));
      most = Math.max(most, open.size);
      open.delete(String(event.activityTaskCompletedEventAttributes?.scheduledEventId));
    }
    return most;
  }
});
