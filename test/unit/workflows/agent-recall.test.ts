import { expect, it } from 'vitest';
import { z } from 'zod';
import { states } from '../../../bench/agent/sessions/judge.js';
import { type Conversation, conversationOf } from '../../../bench/agent/sessions/planted.js';
import { agent, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { type ScriptFunction, type TestRun, testPipeline, used } from '../../../testing/index.js';
import { WORTH, worthOf } from '../../../workflows/interpreter/agent/worth.js';

/** Conversations that exceed their model's context, with a model whose summaries are worth nothing: what is kept, code keeps. */

const CONTEXT = 1_024;

const talk = (summarizeOver: number, { tokens = CONTEXT, maxTokens = 96 } = {}) =>
  pipeline('talk', { input: z.object({ says: z.string(), session: z.string() }) }, ({ input, stage }) => {
    const use = agent({
      ...{ model: 'm', instructions: 'Answer in one short sentence.', maxTokens, context: { tokens } },
      session: { summarizeOver },
    });
    return { text: stage('answer', use, { prompt: input.says, session: input.session }).text };
  }) as unknown as Pipeline;

interface Session {
  readonly summary?: string;
  readonly messages: readonly JsonObject[];
  readonly parts: number;
}

interface SavedPart {
  readonly messages: readonly JsonObject[];
  readonly summary?: { readonly text: string };
}

/** As the store does it. */
function withPart({ messages, parts, summary: before }: Session, { calls }: TestRun<unknown>): Session {
  const saved = calls.find(({ path }) => path === 'answer/session/save');
  const part = saved?.input.part as unknown as SavedPart;
  const summary = part.summary?.text ?? before;
  return {
    ...(summary !== undefined && { summary }),
    messages: part.summary ? part.messages : [...messages, ...part.messages],
    parts: parts + 1,
  };
}

const notesIn = ({ summary = '' }: Session): string[] =>
  summary.split('\n').flatMap((line) => (line.startsWith('• ') ? [line.slice(2)] : []));

const asksForSummary = (input: JsonObject) => JSON.stringify(input.history).includes('Sum up this conversation');

/** A model whose summaries say the same of every conversation. */
const modelOf =
  (summary: string, charactersOfToken = 4): ScriptFunction =>
  (input, { with: options }) => {
    const inputTokens = Math.ceil(JSON.stringify([input, options]).length / charactersOfToken);
    return used({ inputTokens, outputTokens: 10 }, { text: asksForSummary(input) ? summary : 'I have noted it.' });
  };

/** The facts that the model was sent when it was asked for them, and how often the conversation was summed up. */
async function held({ turns }: Conversation, made: Pipeline) {
  let session: Session = { messages: [], parts: 0 };
  let summaries = 0;
  const kept: string[] = [];
  const lost: string[] = [];
  for (const { says, asked } of turns) {
    const run = await testPipeline(
      made,
      { says, session: 's' },
      { stages: { 'answer/session/load': session as unknown as JsonObject, answer: modelOf('They talked.') } },
    );
    expect(run.error).toBeUndefined();
    session = withPart(session, run);
    const models = run.calls.filter(({ kind }) => kind === 'chat');
    summaries += models.filter(({ input }) => asksForSummary(input)).length;
    const sent = models.findLast(({ input }) => !asksForSummary(input));
    if (!asked) continue;
    const request = JSON.stringify([sent?.with.system, sent?.input]);
    (states(request, asked.wordings) ? kept : lost).push(asked.says);
  }
  return { summaries, kept, lost };
}

const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1);
/** Of names and numbers, and of other sentences. */
const LEAST = 0.95;

it.each([
  ['after a run', 700],
  ['within a run', 1_000_000],
])('what conversations that are summed up %s have said is sent when it is asked for', async (_, summarizeOver) => {
  const [kept, lost]: [string[], string[]] = [[], []];
  for (const seed of SEEDS) {
    const ended = await held(conversationOf(seed), talk(summarizeOver));
    expect(ended.summaries).toBeGreaterThan(1);
    kept.push(...ended.kept);
    lost.push(...ended.lost);
  }
  const shareOf = (isMeant: (says: string) => boolean) => {
    const of = (all: readonly string[]) => all.filter(isMeant).length;
    return of(kept) / (of(kept) + of(lost));
  };
  const isNamed = (says: string) => worthOf(says) === WORTH.particulars;
  expect(shareOf(isNamed)).toBeGreaterThanOrEqual(LEAST);
  // Sentences without a name or a number have been set aside.
  expect(shareOf((says) => !isNamed(says))).toBeGreaterThanOrEqual(LEAST);
});

it('notes for which there is no room any more are in the text that the model sums up', async () => {
  const lost: string[] = [];
  const made = talk(400);
  let session: Session = { messages: [], parts: 0 };
  for (let i = 0; i < 60; i++) {
    const says = `Number ${i} is ${47_000 + i}.`;
    const run = await testPipeline(
      made,
      { says, session: 's' },
      { stages: { 'answer/session/load': session as unknown as JsonObject, answer: modelOf('They talked.') } },
    );
    const before = notesIn(session);
    session = withPart(session, run);
    const gone = before.filter((note) => !notesIn(session).includes(note));
    const asked = run.calls.find(({ kind, input }) => kind === 'chat' && asksForSummary(input));
    for (const note of gone) expect(JSON.stringify(asked?.input.history)).toContain(JSON.stringify(note).slice(1, -1));
    lost.push(...gone);
  }
  expect(lost.length).toBeGreaterThan(1);
});

it('notes leave room for further runs where each character is a token', async () => {
  const RUNS = 60;
  const room = { tokens: 4_096, maxTokens: 512 };
  const made = talk(3_000, room);
  let session: Session = { messages: [], parts: 0 };
  let summaries = 0;
  for (let i = 0; i < RUNS; i++) {
    const says = Array.from({ length: 10 }, (_, page) => `第${i}号文件的第${page}页在${i + page}号楼。`).join('');
    const answer = modelOf('他们谈过了。', 1);
    const run = await testPipeline(
      made,
      { says, session: 's' },
      { stages: { 'answer/session/load': session as unknown as JsonObject, answer } },
    );
    expect(run.error).toBeUndefined();
    session = withPart(session, run);
    for (const { kind, input, with: options } of run.calls) {
      if (kind !== 'chat') continue;
      expect(JSON.stringify([input, options]).length).toBeLessThan(room.tokens - room.maxTokens);
      if (asksForSummary(input)) summaries += 1;
    }
  }
  expect(summaries).toBeGreaterThan(1);
  expect(summaries).toBeLessThan(RUNS / 3);
});
