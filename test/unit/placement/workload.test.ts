import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SEGMENTS } from '../../../cli/graph.js';
import {
  assistant,
  meetingMinutes,
  moderatedChat,
  ragAnswer,
  supportAgent,
  voiceAgent,
  voiceAssistant,
} from '../../../pipelines/catalog/index.js';
import { chat, code, codeStream, pipeline, semantic, streamOf, synthesize } from '../../../pipelines/index.js';
import { explain, explanationText } from '../../../pipelines/inspect/index.js';
import { type PipelineShape, readPipelineShape, shapeOf, withAssumptions } from '../../../placement/workload/index.js';
import { examples } from './reference-examples.js';
import { refusal } from './refusal.js';

const edges = ({ stages }: PipelineShape) =>
  stages.map(({ id, model, after }) => `${after.map((i) => stages[i]?.id).join('+') || '-'} > ${id} (${model})`);
const SHORT = examples('json')[2] ?? '';

const sentence = z.string();
const each = codeStream(
  'each',
  { input: z.object({ text: streamOf(sentence) }), entry: sentence },
  async function* ({ text }) {
    yield* text;
  },
);
const cut = codeStream('cut', { input: z.object({ text: sentence }), entry: sentence }, async function* ({ text }) {
  yield* text.split('.');
});
const toneOf = code(
  'tone',
  { input: z.object({ text: sentence }), output: z.object({ tone: sentence }) },
  async () => ({
    tone: 'calm',
  }),
);
const toned = codeStream(
  'toned',
  { input: z.object({ text: streamOf(sentence), tone: sentence }), entry: sentence },
  async function* ({ text, tone }) {
    for await (const each of text) yield `${tone}: ${each}`;
  },
);
const question = { input: z.object({ question: z.string() }) };

/** By how the answer comes to be spoken: the stage whose stream is read while it is made. */
const SPOKEN = {
  'sentence by sentence': pipeline('p', question, ({ input, stage }) => {
    const { sentences } = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
    return { speech: stage('speak', synthesize({ model: 'tts' }), { text: sentences }).audio };
  }),
  'by a function that reads sentences': pipeline('p', question, ({ input, stage }) => {
    const { sentences } = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
    const { entries } = stage('each', each, { text: sentences });
    return { speech: stage('speak', synthesize({ model: 'tts' }), { text: entries }).audio };
  }),
  'by a function that reads the whole': pipeline('p', question, ({ input, stage }) => {
    const { text } = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
    const { entries } = stage('cut', cut, { text });
    return { speech: stage('speak', synthesize({ model: 'tts' }), { text: entries }).audio };
  }),
  'by a function that reads the stream of such a one': pipeline('p', question, ({ input, stage }) => {
    const { text } = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
    const { entries } = stage('cut', cut, { text });
    const again = stage('each', each, { text: entries });
    return { speech: stage('speak', synthesize({ model: 'tts' }), { text: again.entries }).audio };
  }),
  'in a tone that the whole sets': pipeline('p', question, ({ input, stage }) => {
    const { sentences, text } = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
    const tone = stage('tone', toneOf, { text }).tone;
    const { entries } = stage('toned', toned, { text: sentences, tone });
    return { speech: stage('speak', synthesize({ model: 'tts' }), { text: entries }).audio };
  }),
  'in a tone that the question sets': pipeline('p', question, ({ input, stage }) => {
    const { sentences } = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
    const tone = stage('tone', toneOf, { text: input.question }).tone;
    const { entries } = stage('toned', toned, { text: sentences, tone });
    return { speech: stage('speak', synthesize({ model: 'tts' }), { text: entries }).audio };
  }),
} as const;

describe('a stage that reads a stream', () => {
  it.each([
    ['sentence by sentence', 'answer'],
    ['by a function that reads sentences', 'answer'],
    ['by a function that reads the whole', undefined],
    ['by a function that reads the stream of such a one', undefined],
    ['in a tone that the whole sets', undefined],
    ['in a tone that the question sets', 'answer'],
  ] as const)('%s, begins with %s', (how, from) => {
    const planned = shapeOf(SPOKEN[how].plan);
    const explained = readPipelineShape(JSON.stringify(explain(SPOKEN[how], SEGMENTS, () => undefined)), 'e.json');
    for (const { stages, assumptions } of [planned, explained]) {
      const speak = stages.find(({ id }) => id === 'speak');
      expect(stages[speak?.streamFrom ?? -1]?.id).toBe(from);
      expect(speak?.after.map((i) => stages[i]?.id)).toEqual(['answer']);
      expect(/speak reads .* in pieces/.test(assumptions.join())).toBe(from !== undefined);
    }
  });
});

describe('the shape of a pipeline', () => {
  it('is read in the short form of the reference', () => {
    const shape = readPipelineShape(SHORT, 'p.json');
    expect(edges(shape)).toEqual([
      '- > transcribe (whisper)',
      'transcribe > answer (assistant)',
      'answer > speak (tts)',
    ]);
    expect(shape.stages[1]).toMatchObject({ cacheHitRate: 0.3, cacheHitMs: 4, calls: 1, share: 1, attempts: 3 });
  });

  it('is that of a plan: data flow, the cache’s embedder, attempts', () => {
    expect(edges(readPipelineShape(JSON.stringify(voiceAssistant.plan), 'p.json'))).toEqual([
      '- > transcribe (whisper)',
      'transcribe > answer.embed (minilm)',
      'answer.embed > answer (assistant)',
      'answer > speak (tts)',
    ]);
    expect(shapeOf(voiceAssistant.plan).stages.map(({ attempts }) => attempts)).toEqual(
      expect.arrayContaining([
        voiceAssistant.plan.stages.flatMap((s) => ('policy' in s ? [s.policy.retry.attempts] : []))[0],
      ]),
    );
  });

  it('has the model that a cache’s verifier asks, behind the embedder, from a plan and from what explain prints', () => {
    const cached = pipeline('cached', { input: z.object({ text: sentence }) }, ({ input, stage }) => {
      const cache = semantic({ key: input.text, maxErrorRate: 0.05, verifier: { entailment: 'nli' } });
      return { text: stage('answer', chat({ model: 'assistant' }), { prompt: input.text }, { cache }).text };
    });
    const expected = [
      '- > answer.embed (minilm)',
      'answer.embed > answer.verify (nli)',
      'answer.verify > answer (assistant)',
    ];
    expect(edges(shapeOf(cached.plan))).toEqual(expected);
    expect(shapeOf(cached.plan).assumptions.join()).toContain('--assume answer.verify.share=0.3');
    const explained = explain(cached, SEGMENTS, () => undefined);
    expect(edges(readPipelineShape(JSON.stringify(explained), 'e.json'))).toEqual(expected);
    expect(explanationText(explained)).toContain(
      'verifier     nli, one call of two pairs for a text near a cached one, at most 500ms',
    );
  });

  it.each([
    [
      'voice-agent',
      voiceAgent,
      ['- > transcribe (whisper)', 'transcribe > answer (assistant)', 'answer > speak (tts)'],
      [1],
    ],
    ['support-agent', supportAgent, ['- > answer (assistant)'], []],
  ] as const)('has the model of the agent in %s', (_, agent, expected, streams) => {
    const explained = readPipelineShape(JSON.stringify(explain(agent, SEGMENTS, () => undefined)), 'e.json');
    for (const shape of [shapeOf(agent.plan), explained]) {
      expect(edges(shape)).toEqual(expected);
      expect(shape.stages.flatMap(({ streamFrom }) => streamFrom ?? [])).toEqual(streams);
      expect(shape.assumptions).toContain(
        'answer (agent): one model call a run (--assume answer.calls=4), and its tools take no time',
      );
    }
  });

  it('has the attempts of the policy in what explain prints, which is refused if it leaves out child runs', () => {
    const patient = pipeline('patient', question, ({ input, stage }) => ({
      text: stage('answer', chat({ model: 'llm' }), { prompt: input.question }, { retry: { attempts: 6 } }).text,
    }));
    const parent = pipeline('parent', question, ({ input, stage, run }) => {
      const { text } = stage('ask', chat({ model: 'llm' }), { prompt: input.question });
      return { text: run('again', patient, { question: text }, { as: 'child' }).text };
    });
    const explained = (of: Parameters<typeof explain>[0]) =>
      readPipelineShape(JSON.stringify(explain(of, SEGMENTS, () => undefined)), 'e.json');
    expect(explained(patient).stages).toEqual(shapeOf(patient.plan).stages);
    expect(shapeOf(parent.plan).stages.map(({ id }) => id)).toEqual(['ask', 'again/answer']);
    expect(refusal(() => explained(parent))).toEqual({
      code: 'INVALID_PIPELINE',
      fields: [expect.stringMatching(/^e\.json:1 children: child runs, .* pass the plan, or the pipeline’s name$/)],
    });
  });

  it('says what branches and loops were taken as', () => {
    expect(edges(shapeOf(moderatedChat.plan))).toEqual(['- > moderate (moderation)', 'moderate > answer (assistant)']);
    expect(shapeOf(moderatedChat.plan).assumptions.join()).toMatch(/when .*: every branch counts as taken/);
    expect(shapeOf(meetingMinutes.plan).assumptions.join()).toMatch(/each .*: one item a run/);
  });

  it.each([voiceAssistant, assistant, meetingMinutes, moderatedChat, ragAnswer].map((p) => [p.name, p] as const))(
    'of %s is the same from its plan and from what explain prints',
    (_, pipeline) => {
      const explained = readPipelineShape(JSON.stringify(explain(pipeline, SEGMENTS, () => undefined)), 'e.json');
      const planned = shapeOf(pipeline.plan);
      const parts = ({ stages }: PipelineShape) => stages.map(({ id, model }) => `${id} ${model}`);
      expect(parts(explained)).toEqual(parts(planned));
      // Around steps explain does not say what is read: more may wait, never less.
      for (const [i, { after }] of planned.stages.entries()) {
        const reach = (shape: PipelineShape, from: number): Set<number> =>
          new Set((shape.stages[from]?.after ?? []).flatMap((j) => [j, ...reach(shape, j)]));
        for (const before of after) expect(reach(explained, i), `${i}`).toContain(before);
      }
    },
  );

  it('takes stated figures', () => {
    const shapes = [readPipelineShape(SHORT, 'p.json')];
    const [changed] = withAssumptions(shapes, ['answer.calls=4', 'voice-assistant:speak.share=0.5']);
    expect(changed?.stages.map(({ calls, share }) => [calls, share])).toEqual([
      [1, 1],
      [4, 1],
      [1, 0.5],
    ]);
    const refused = (stated: string) => refusal(() => withAssumptions(shapes, [stated])).fields[0];
    expect(refused('answr.calls=4')).toMatch(/no stage "answr" \(did you mean "answer"/);
    expect(refused('answer.calls=0')).toMatch(/above 0/);
    expect(refused('answer.calls=Entries')).toMatch(/number/);
    expect(refused('answer.color=1')).toMatch(/figures are calls/);
  });

  it.each([
    [
      'a stage that is not there',
      SHORT.replace('["transcribe"]', '["transcrib"]'),
      /^p.json:6 stages\[1\].after\[0\]: there is no stage "transcrib" \(did you mean "transcribe"\?\)/,
    ],
    [
      'a circle',
      SHORT.replace('"model": "whisper"', '"model": "whisper", "after": ["speak"]'),
      /^p.json:5 stages\[0\].after: stages wait for each other/,
    ],
    [
      'a stage twice',
      SHORT.replace('"id": "speak"', '"id": "answer"'),
      /^p.json:7 stages\[2\].id: a second stage "answer"/,
    ],
    ['a share above 1', SHORT.replace('0.3', '30'), /^p.json:6 stages\[1\].cacheHitRate: from 0 to 1/],
    ['a plan that was changed', JSON.stringify({ ...voiceAssistant.plan, deadlineMs: 7 }), /the plan’s hash is/],
    ['no JSON', '{"a', /^p.json:1/],
  ])('is refused with %s', (_, text, message) => {
    const { code, fields } = refusal(() => readPipelineShape(text, 'p.json'));
    expect(code).toBe('INVALID_PIPELINE');
    expect(fields[0]).toMatch(message);
  });
});
