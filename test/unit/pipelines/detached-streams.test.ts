import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  audio,
  chat,
  code,
  codeStream,
  eq,
  type Pipeline,
  pipeline,
  streamOf,
  synthesize,
  transcribe,
} from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { allSteps, isStage, type Plan, type SubPipelinePlan } from '../../../pipelines/plan/index.js';
import type { StageCall } from '../../../pipelines/run/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { contextOf } from '../../support/in-process.js';

const asked = z.object({ q: z.string() });
const voice = synthesize({ model: 'tts' });
const llm = chat({ model: 'llm' });
const read = code(
  'read',
  { input: z.object({ pieces: streamOf(z.object({ audio: audio(), text: z.string() })) }), output: z.object({}) },
  () => ({}),
);

/** Output of a run whose stages answer like this. */
async function outputOf(of: unknown, answers: Readonly<Record<string, JsonObject>>): Promise<JsonObject> {
  const run = async (_: JsonObject, call: StageCall) => ({
    output: answers[call.stage] ?? {},
    ...{ endpoint: 'e', device: 'd', attempt: 1, cache: 'off' as const, queueMs: 0, runMs: 0 },
  });
  return (await runInProcess({ q: 'x' }, contextOf(of as Pipeline), { runner: { run }, run: 'r' })).output;
}

/** The stages of a plan whose pieces something reads. */
const listed = (plan: Plan): string[] =>
  [...allSteps(plan)].filter((step) => isStage(step) && step.streamed?.includes('pieces')).map(({ id }) => id);

describe('the list of a stream that is a field of another value', () => {
  it('is the one that was bound, whatever is beside it', async () => {
    const made = pipeline('renamed', { input: asked }, ({ input, stage, when }) => {
      const spoken = stage('speak', voice, { text: input.q });
      const mixed = stage('mix', voice, { text: 'mixed' });
      const w = when('w', eq(input.q, 'x'), () => ({ pieces: spoken.chunks, audio: mixed.audio }));
      return { pieces: w.pieces };
    });
    expect(made.plan.output).toEqual({ pieces: { $ref: 'w.pieces' } });
    const chunks = ['One.', ' Two.'].map((text, number) => ({ audio: 'a', number, text, at: 0 }));
    const answers = { speak: { audio: 'spoken', chunks }, mix: { audio: 'mixed' } };
    expect(await outputOf(made, answers)).toEqual({ pieces: chunks });
  });

  it('is so in races and loops', () => {
    const { plan } = pipeline('flows', { input: asked }, ({ input, stage, race, repeat }) => {
      const answer = stage('answer', llm, { prompt: input.q });
      const cleaned = stage('clean', llm, { prompt: answer.text });
      const first = race('first', { one: () => answer.sentences, other: () => cleaned.sentences });
      const last = repeat(
        'again',
        { text: '', sentences: answer.sentences },
        (state) => ({ text: cleaned.text, sentences: state.sentences }),
        { until: (state) => eq(state.text, 'x'), atMost: 2 },
      );
      return { first: first.value, last: last.sentences };
    });
    expect(plan.output).toEqual({ first: { $ref: 'first.value' }, last: { $ref: 'again.sentences' } });
    expect(plan.stages.at(-1)).toMatchObject({ body: { output: { sentences: { $ref: 'again/state.sentences' } } } });
  });

  it('is so in the output of a pipeline that another one runs', async () => {
    const inner = pipeline('inner', { input: asked }, ({ input, stage }) => {
      const answer = stage('answer', llm, { prompt: input.q });
      return { text: stage('clean', llm, { prompt: answer.text }).text, sentences: answer.sentences };
    });
    const outer = pipeline('outer', { input: asked }, ({ input, run }) => ({
      sentences: run('x', inner, { q: input.q }).sentences,
    }));
    expect(outer.plan.output).toEqual({ sentences: { $ref: 'x.sentences' } });
    const answers = { 'x/answer': { text: 'One. Two.' }, 'x/clean': { text: 'Cleaned.' } };
    expect(await outputOf(outer, answers)).toEqual({ sentences: ['One.', 'Two.'] });
  });

  it('needs no field beside it that it is derived from', () => {
    const aloud = pipeline('aloud', { input: asked }, ({ input, stage }) => {
      const answer = stage('answer', llm, { prompt: input.q });
      return { sentences: answer.sentences, speech: stage('speak', voice, { text: answer.sentences }).audio };
    });
    const { plan } = pipeline('outer', { input: asked }, ({ input, run }) => ({
      sentences: run('x', aloud, { q: input.q }).sentences,
    }));
    expect(plan.output).toEqual({ sentences: { $ref: 'x.sentences' } });
    expect(JSON.stringify(aloud.outputSchema)).not.toContain('derived');
  });

  it('is still a stream for what reads one, and for each', () => {
    const { plan } = pipeline('kept', { input: asked }, ({ input, stage, when, each }) => {
      const [one, other] = [stage('one', voice, { text: input.q }), stage('other', voice, { text: 'other' })];
      const w = when(
        'w',
        eq(input.q, 'x'),
        () => ({ pieces: one.chunks }),
        () => ({ pieces: other.chunks }),
      );
      const bare = when(
        'bare',
        eq(input.q, 'x'),
        () => one.chunks,
        () => one.chunks,
      );
      const texts = each('texts', bare, (piece) => piece.text);
      return { read: stage('read', read, { pieces: w.pieces }), texts: texts.entries };
    });
    expect(plan.stages.find(({ id }) => id === 'read')).toMatchObject({ input: { pieces: { $ref: 'w.pieces' } } });
    expect(plan.output).toMatchObject({ texts: { $op: 'entries', of: [{ $ref: 'texts' }] } });
  });
});

describe('a stream of a value that is one of several', () => {
  it('is derived where the value is a stage’s, and bound where it is an object with the list', async () => {
    const made = pipeline('mixed', { input: asked }, ({ input, stage, when }) => {
      const answer = stage('answer', llm, { prompt: input.q });
      const own = when(
        'own',
        eq(input.q, 'x'),
        () => stage('again', llm, { prompt: 'again' }),
        () => ({ text: 'Other.', sentences: answer.sentences }),
      );
      const bound = when(
        'bound',
        eq(input.q, 'y'),
        () => stage('never', llm, { prompt: 'never' }),
        () => ({ text: 'Other.', sentences: answer.sentences }),
      );
      return { own: own.sentences, bound: bound.sentences };
    });
    expect(made.plan.output).toMatchObject({
      own: { $op: 'either', of: [{ $ref: 'own.sentences' }, { $op: 'sentences', of: [{ $ref: 'own.text' }] }] },
    });
    const answers = { answer: { text: 'One. Two.' }, again: { text: 'Again. Yes.' } };
    expect(await outputOf(made, answers)).toEqual({ own: ['Again.', 'Yes.'], bound: ['One.', 'Two.'] });
  });

  it('is derived from the field that the value has', async () => {
    const lines = codeStream('lines', { input: asked, entry: z.object({ text: z.string() }) }, async function* () {
      yield { text: 'a' };
    });
    const made = pipeline('several', { input: z.object({ q: z.string(), speech: audio() }) }, (trace) => {
      const { input, stage, when } = trace;
      const entries = when(
        'w',
        eq(input.q, 'x'),
        () => stage('hear', transcribe({ model: 'whisper', segments: 'segments' }), { audio: input.speech }),
        () => stage('lines', lines, { q: input.q }),
      ).entries;
      return { entries };
    });
    expect(made.plan.output).toEqual({
      entries: { $op: 'entries', of: [{ $op: 'either', of: [{ $ref: 'w.segments' }, { $ref: 'w.items' }] }] },
    });
    const segments = [{ start: 0, end: 1, text: 'Yes.' }];
    expect(await outputOf(made, { hear: { text: 'Yes.', segments } })).toEqual({ entries: segments });
  });
});

describe('the pieces of a voice that leaves a graph as a whole', () => {
  const spoken = pipeline('spoken', { input: asked }, ({ input, stage }) => ({
    voice: stage('speak', voice, { text: input.q }),
  }));

  it('are listed by each voice that it may be, and by no other', () => {
    const input = z.object({ q: z.string(), texts: z.array(z.string()) });
    const made = pipeline('outer', { input }, ({ input: given, stage, when, each, repeat, race, run }) => {
      const say = (id: string) => stage(id, voice, { text: given.q });
      const either = when(
        'either',
        eq(given.q, 'x'),
        () => say('a'),
        () => say('b'),
      );
      const all = each('all', given.texts, (text) => ({ own: stage('c', voice, { text }) }));
      const again = each('again', all, (item) => item.own.chunks);
      const last = repeat('last', say('d'), () => say('e'), { until: () => eq(given.q, 'x'), atMost: 2 });
      const first = race('first', { f: () => say('f'), g: () => say('g') });
      const inside = run('inside', spoken, { q: given.q });
      const unread = run('unread', spoken, { q: given.q });
      return {
        ...{ either: either.chunks, again, last: last.chunks, first: first.value.chunks },
        ...{ inside: inside.voice.chunks, unread: unread.voice.audio },
      };
    });
    expect(listed(made.plan)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'inside/speak']);
    expect(listed(spoken.plan)).toEqual([]);
  });

  it('are listed by the voice of a child run, whose plan is another one then', () => {
    const { plan } = pipeline('outer', { input: asked }, ({ input, run }) => {
      const heard = run('heard', spoken, { q: input.q }, { as: 'child' });
      const unread = run('unread', spoken, { q: input.q }, { as: 'child' });
      return { pieces: heard.voice.chunks, speech: unread.voice.audio };
    });
    const [first, second] = plan.stages as unknown as readonly [SubPipelinePlan, SubPipelinePlan];
    expect(listed(first.plan)).toEqual(['speak']);
    expect(first.plan.version).not.toBe(spoken.plan.version);
    expect(second.plan).toEqual(spoken.plan);
  });
});
