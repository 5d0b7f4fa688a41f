import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { StageOptions } from '../../../pipelines/definition/stage-options.js';
import { MillraceError } from '../../../pipelines/errors.js';
import {
  type AgentOptions,
  agent,
  audio,
  chat,
  code,
  eq,
  exact,
  gt,
  guardrail,
  type Pipeline,
  pipeline,
  semantic,
  size,
  streamOf,
  synthesize,
} from '../../../pipelines/index.js';
import { explain, explanationText, mermaid } from '../../../pipelines/inspect/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { allSteps, isStage, type StagePlan } from '../../../pipelines/plan/index.js';
import { planSchema } from '../../../pipelines/plan/plan-schema.js';
import { groupsOf, isInline } from '../../../pipelines/plan/segments.js';
import { wantedGraph } from '../../../pipelines/run/build-segment.js';
import type { Segment, StageCall } from '../../../pipelines/run/index.js';
import { type PoolDescription, place } from '../../../placement/place.js';
import { InProcessHost, runInProcess } from '../../../workers/hosts/in-process-host.js';
import { interpretSegment } from '../../../workflows/interpreter/index.js';

interface Given {
  readonly answer?: StageOptions;
  readonly speak?: StageOptions;
}

const narrator = ({ answer = {}, speak = {} }: Given = {}) =>
  pipeline('narrator', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
    const told = stage('answer', chat({ model: 'llm' }), { prompt: input.question }, answer as object);
    return {
      speech: stage('speak', synthesize({ model: 'tts' }), { text: told.sentences }, speak as object).audio,
    };
  });

const OTHER = { fallback: [synthesize({ model: 'other' })] } as unknown as StageOptions;

const stagesOf = (given?: Given) =>
  Object.fromEntries([...allSteps(narrator(given).plan)].filter(isStage).map((stage) => [stage.id, stage])) as Record<
    'answer' | 'speak',
    StagePlan
  >;

describe('a streaming edge', () => {
  it('marks both stages, beside the collected value', () => {
    const { answer, speak } = stagesOf();
    expect(answer.streamed).toEqual(['sentences']);
    expect(speak.streams).toEqual({ text: { from: 'answer', of: 'sentences' } });
    expect(speak.input).toEqual({ text: { $op: 'sentences', of: [{ $ref: 'answer.text' }] } });
  });

  it('tells readers that its producer may start over', () => {
    const { answer, speak } = stagesOf({ answer: { onCut: 'restart' } });
    expect(answer.onCut).toBe('restart');
    expect(speak.streams).toEqual({ text: { from: 'answer', of: 'sentences', restarts: true } });
    for (const onCut of ['end', 'fail'] as const)
      expect(stagesOf({ answer: { onCut } }).speak.streams).toEqual({ text: { from: 'answer', of: 'sentences' } });
  });

  it('keeps what its author wants when another voice follows in mid-stream', () => {
    for (const onCut of ['end', 'fallback'] as const)
      expect(stagesOf({ speak: { ...OTHER, onCut } }).speak.onCut).toBe(onCut);
    expect(stagesOf({ speak: { onCut: 'fail' } }).speak).not.toHaveProperty('onCut');
    const degraded = { degrade: [{ below: '1s', to: synthesize({ model: 'other' }) }] } as unknown as StageOptions;
    expect(stagesOf({ speak: { ...degraded, onCut: 'fallback' } }).speak.onCut).toBe('fallback');
  });

  it('is explained, with the reason where it is collected', () => {
    const textOf = (given?: Given) =>
      explanationText(explain(narrator(given), { groupsOf, isInline }, () => undefined));
    expect(textOf()).toContain('stream       text from answer.sentences, while it is made');
    expect(textOf({ answer: { execution: 'inline' } })).toContain('when it has ended: one of the two stages is inline');
  });

  it.each([['only one of the two is inline', { answer: { execution: 'inline' } }]] as const)(
    'is collected where %s',
    (_, given) => {
      const { answer, speak } = stagesOf(given as Given);
      expect(answer.streamed).toBeUndefined();
      expect(speak.streams).toBeUndefined();
    },
  );

  it.each([
    ['answer.hedge', { answer: { hedge: { after: '1s' } } }],
    ['answer.onCut', { answer: { onCut: 'maybe' } }],
    ['speak.onCut', { speak: { onCut: 'end' } }],
    ['speak.onCut', { speak: { onCut: 'restart' } }],
    ['speak.onCut', { speak: { ...OTHER, onCut: 'restart' } }],
    ['speak.onCut', { speak: { onCut: 'fallback' } }],
    ['speak.onCut', { speak: { optional: true, onCut: 'fallback' } }],
    ['answer.onCut', { answer: { onCut: 'fallback' } }],
  ])('refuses %s', (field, given) => {
    expect(() => narrator(given as Given)).toThrow(expect.objectContaining({ code: 'INVALID_PIPELINE' }));
    expect(() => narrator(given as Given)).toThrow(field);
  });

  it('refuses a cache whose key is the unfinished text', () => {
    const cached = () =>
      pipeline('cached', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
        const told = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
        const options = { cache: semantic({ key: told.text, ttl: '1h' }) };
        return { speech: stage('speak', synthesize({ model: 'tts' }), { text: told.sentences }, options).audio };
      });
    expect(cached).toThrow('speak.cache');
  });
});

describe('what an agent says', () => {
  const saying = (
    agentOptions: Partial<AgentOptions<never>> = {},
    stageOptions: StageOptions = {},
    read: 'said' | 'answer' = 'said',
  ) =>
    pipeline('saying', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
      const use = agent({ model: 'llm', ...agentOptions });
      const answer = stage('answer', use, { prompt: input.question }, stageOptions as object);
      const text = read === 'said' ? answer.said.sentences : answer.sentences;
      return { speech: stage('speak', synthesize({ model: 'tts' }), { text }).audio };
    });
  const guard = (on: 'input' | 'output' | 'tool') =>
    guardrail({ name: 'checked', on, check: () => ({ verdict: 'pass' }) });
  const textOf = (made: unknown) => explanationText(explain(made as Pipeline, { groupsOf, isInline }, () => undefined));
  const speakOf = ({ plan }: { readonly plan: { readonly stages: readonly unknown[] } }) => plan.stages[1] as StagePlan;

  it('is a stream of the agent, beside its collected value', () => {
    const { plan } = saying();
    expect(plan.stages[0]).toMatchObject({ kind: 'agent', streamed: ['sentences'] });
    expect(speakOf({ plan })).toMatchObject({
      streams: { text: { from: 'answer', of: 'sentences' } },
      input: { text: { $op: 'sentences', of: [{ $ref: 'answer.said.text' }] } },
    });
    expect(textOf(saying())).toContain('stream       text from answer.said.sentences, while it is made');
    expect(mermaid(plan, { groupsOf, isInline })).toContain('s_answer == "said.sentences" ==> s_speak');
  });

  it.each([
    ['its answer alone', saying({}, {}, 'answer'), 'known to be its answer when it has ended'],
    ['a prompt that is checked', saying({ guardrails: [guard('input')] }), 'a guardrail checks'],
    ['a text that is checked', saying({ guardrails: [guard('output')] }), 'a guardrail checks'],
    [
      'an alternative that is checked',
      saying({}, {
        fallback: [agent({ model: 'llm', guardrails: [guard('output')] })],
      } as unknown as StageOptions),
      'a guardrail checks',
    ],
  ])('is collected: %s', (_, made, why) => {
    expect(speakOf(made).streams).toBeUndefined();
    expect(textOf(made)).toContain(why);
  });

  it('is a stream where only calls are checked, and where it may end early', () => {
    expect(speakOf(saying({ guardrails: [guard('tool')] })).streams).toBeDefined();
    expect(saying({}, { onCut: 'end' }).plan.stages[0]).toMatchObject({ onCut: 'end', streamed: ['sentences'] });
  });

  it.each([
    ['answer.output', () => saying({ output: z.object({ city: z.string() }) } as object)],
    ['answer.hedge', () => saying({}, { hedge: { after: '1s' } })],
    ['answer.onCut', () => saying({}, { onCut: 'restart' })],
  ])('refuses %s', (field, made) => {
    expect(made).toThrow(expect.objectContaining({ code: 'INVALID_PIPELINE' }));
    expect(made).toThrow(field);
  });

  it('reads nothing of a form as text where only its data are read', () => {
    const made = () => saying({ output: z.object({ city: z.string() }) } as object, {}, 'answer');
    expect(speakOf(made()).streams).toBeUndefined();
  });
});

describe('the pieces of a voice', () => {
  const read = code(
    'read',
    { input: z.object({ pieces: streamOf(z.object({ audio: audio(), text: z.string() })) }), output: z.object({}) },
    () => ({}),
  );
  const piecewise = (speak: StageOptions = {}, reader: StageOptions = {}) =>
    pipeline('piecewise', { input: z.object({ text: z.string() }) }, ({ input, stage }) => {
      const spoken = stage('speak', synthesize({ model: 'tts' }), { text: input.text }, speak as object);
      stage('read', read, { pieces: spoken.chunks }, reader as object);
      return { speech: spoken.audio };
    });
  const stageOf = ({ plan }: { readonly plan: { readonly stages: readonly unknown[] } }, i: number) =>
    plan.stages[i] as StagePlan;
  const textOf = (made: unknown) => explanationText(explain(made as Pipeline, { groupsOf, isInline }, () => undefined));

  it('are a stream, beside the collected value, of a voice that says that they are read', () => {
    const made = piecewise();
    expect(stageOf(made, 0).streamed).toEqual(['chunks', 'pieces']);
    expect(stageOf(made, 1)).toMatchObject({
      streams: { pieces: { from: 'speak', of: 'chunks' } },
      input: { pieces: { $op: 'chunks', of: [{ $ref: 'speak' }] } },
    });
    expect(textOf(made)).toContain('stream       pieces from speak.chunks, while it is made');
    expect(mermaid(made.plan, { groupsOf, isInline })).toContain('s_speak == "chunks" ==> s_read');
    expect(planSchema.safeParse(made.plan).error).toBeUndefined();
  });

  it.each([
    ['one of the two is inline', piecewise({ execution: 'inline' }), 'inline, the other queued'],
    [
      'a semantic cache has whole texts',
      pipeline('cached', { input: z.object({ text: z.string() }) }, ({ input, stage }) => {
        const options = { cache: semantic({ key: input.text, ttl: '1h' }) };
        const spoken = stage('speak', synthesize({ model: 'tts' }), { text: input.text }, options);
        stage('read', read, { pieces: spoken.chunks });
        return { speech: spoken.audio };
      }),
      'the semantic cache of the stage has the audio of whole texts',
    ],
  ])('are collected where %s, and listed all the same', (_, made, why) => {
    expect(stageOf(made, 0).streamed).toContain('pieces');
    expect(stageOf(made, 1).streams).toBeUndefined();
    expect(textOf(made)).toContain(why);
  });

  it('are listed for whatever reads them, also inside other steps, and for nothing else', () => {
    const { plan } = pipeline('listed', { input: z.object({ texts: z.array(z.string()) }) }, (trace) => {
      const { input, stage, each, when } = trace;
      const say = (id: string) => stage(id, synthesize({ model: 'tts' }), { text: input.texts });
      const [first, second, third] = [say('first'), say('second'), say('third')];
      const some = when('some', gt(size(first.chunks), 1), () => second.chunks);
      const inside = each('inside', input.texts, (text) => stage('own', synthesize({ model: 'tts' }), { text }).chunks);
      return { some, inside, speech: third.audio };
    });
    const streamed = [...allSteps(plan)].filter(isStage).map(({ id, streamed }) => [id, streamed]);
    expect(streamed).toEqual([
      ['first', ['pieces']],
      ['second', ['pieces']],
      ['third', ['chunks']],
      ['own', ['pieces']],
    ]);
  });

  it('are kept where the output that is asked for has the list alone', () => {
    const { plan } = pipeline('partly', { input: z.object({ text: z.string() }) }, ({ input, stage }) => {
      const spoken = stage('speak', synthesize({ model: 'tts' }), { text: input.text });
      return { pieces: spoken.chunks, read: stage('read', read, { pieces: spoken.chunks }) };
    });
    expect(wantedGraph(plan, ['pieces']).stages).toMatchObject([{ id: 'speak', streamed: ['pieces'] }]);
  });

  it('refuse a hedge, of which it is known at the end who has spoken', () => {
    expect(() => piecewise({ hedge: { after: '1s' } })).toThrow('pass speak.audio');
  });
});

describe('a stream of a stage that may be skipped', () => {
  it('is the list of its text, and empty without one', () => {
    const { plan } = pipeline('optional', { input: z.object({ q: z.string() }) }, ({ input, stage, when }) => {
      const answer = stage('answer', chat({ model: 'llm' }), { prompt: input.q }, { optional: true });
      const either = when(
        'either',
        eq(input.q, 'x'),
        () => stage('one', chat({ model: 'llm' }), { prompt: 'one' }),
        () => stage('other', chat({ model: 'llm' }), { prompt: 'other' }),
      );
      return { sentences: answer.sentences, tokens: either.tokens };
    });
    expect(plan.output).toEqual({
      sentences: { $op: 'sentences', of: [{ $ref: 'answer.text' }] },
      tokens: { $op: 'tokens', of: [{ $ref: 'either.text' }] },
    });
  });
});

describe('a stage with an exact cache', () => {
  it('speaks sentence by sentence all the same: each has an entry of its own', () => {
    const cached = pipeline('cached', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
      const told = stage('answer', chat({ model: 'llm' }), { prompt: input.question });
      return {
        speech: stage('speak', synthesize({ model: 'tts' }), { text: told.sentences }, { cache: exact() }).audio,
      };
    });
    expect(cached.plan.stages.at(-1)).toMatchObject({
      cache: { kind: 'exact' },
      streams: { text: { from: 'answer' } },
    });
  });

  it('speaks a whole text sentence by sentence as well, unlike one with a semantic cache', () => {
    const { plan } = pipeline('saying', { input: z.object({ text: z.string() }) }, ({ input, stage }) => {
      const saying = (id: string, cache?: StageOptions['cache']) =>
        stage(id, synthesize({ model: 'tts' }), { text: input.text }, cache ? { cache } : {}).audio;
      return {
        bare: saying('bare'),
        exact: saying('exact', exact()),
        semantic: saying('semantic', semantic({ key: input.text, ttl: '1h' })),
      };
    });
    const streamed = plan.stages.map((step) => [step.id, isStage(step) && step.streamed]);
    expect(streamed).toEqual([
      ['bare', ['chunks']],
      ['exact', ['chunks']],
      ['semantic', undefined],
    ]);
  });
});

const poolOf = (model: string): PoolDescription => ({
  connector: 'scripted',
  kind: model === 'llm' ? 'chat' : 'synthesize',
  devices: ['cpu0'],
  capabilities: new Set(['stream']),
});

describe('the interpreter', () => {
  const context = (given?: Given) => {
    const { plan } = narrator(given);
    return { plan, placement: place(plan, poolOf, 'q'), tenant: 't' };
  };
  const served = (output: JsonObject) => ({
    output,
    ...{ endpoint: 'e', device: 'd', attempt: 1, cache: 'off' as const, queueMs: 0, runMs: 0 },
  });

  it('starts the reader when its producer begins, on a host with channels', async () => {
    let began = (_: StageCall) => {};
    const reader = new Promise<StageCall>((resolve) => {
      began = resolve;
    });
    const run = async (input: JsonObject, call: StageCall) => {
      if (call.stage === 'answer') {
        expect(call.writes).toEqual(['sentences']);
        const { reads, entryMs } = await reader;
        expect(reads).toEqual({ text: { path: 'answer', of: 'sentences' } });
        expect(entryMs).toBeGreaterThan(0);
        return served({ text: 'One. Two.' });
      }
      expect(input).toEqual({});
      began(call);
      return served({ audio: 'spoken' });
    };
    const { output } = await runInProcess({ question: 'q' }, context(), { runner: { streams: true, run }, run: 'r' });
    expect(output).toEqual({ speech: 'spoken' });
  });

  it('tells both stages of an edge that the producer may start over', async () => {
    const calls = new Map<string, StageCall>();
    const run = async (_: JsonObject, call: StageCall) => {
      calls.set(call.stage, call);
      return served(call.stage === 'answer' ? { text: 'One. Two.' } : { audio: 'spoken' });
    };
    const given = context({ answer: { onCut: 'restart' } });
    await runInProcess({ question: 'q' }, given, { runner: { streams: true, run }, run: 'r' });
    expect(calls.get('answer')).toMatchObject({ writes: ['sentences'], onCut: 'restart' });
    expect(calls.get('speak')?.reads).toEqual({ text: { path: 'answer', of: 'sentences', restarts: true } });
  });

  it('tells every voice of a stage what to do behind another one', async () => {
    const calls: StageCall[] = [];
    const run = async (_: JsonObject, call: StageCall) => {
      if (call.stage === 'answer') return served({ text: 'One. Two.' });
      calls.push(call);
      if (call.model === 'tts') throw new MillraceError('INVALID_OUTPUT', 'broken', { final: true });
      return served({ audio: 'spoken' });
    };
    const given = context({ speak: { ...OTHER, onCut: 'fallback' } });
    await runInProcess({ question: 'q' }, given, { runner: { streams: true, run }, run: 'r' });
    expect(calls.map(({ model, onCut }) => [model, onCut])).toEqual([
      ['tts', 'fallback'],
      ['other', 'fallback'],
    ]);
  });

  it.each([
    ['on a host without channels', false],
    ['when the channel is lost', true],
  ])('gives the reader the collected text %s', async (_, streams) => {
    const inputs: JsonObject[] = [];
    const run = async (input: JsonObject, call: StageCall) => {
      if (call.stage === 'answer') return served({ text: 'One. Two.' });
      inputs.push(input);
      if (call.reads) throw new MillraceError('STREAM_LOST', 'gone');
      return served({ audio: 'spoken' });
    };
    const { output } = await runInProcess({ question: 'q' }, context(), { runner: { streams, run }, run: 'r' });
    expect(output).toEqual({ speech: 'spoken' });
    expect(inputs.at(-1)).toEqual({ text: ['One.', 'Two.'] });
  });

  it('counts a reader whose channel is lost once, and tries no other server', async () => {
    const { plan } = narrator({ speak: OTHER });
    const models: string[] = [];
    const run = async (_: JsonObject, call: StageCall) => {
      if (call.stage === 'answer') return served({ text: 'One. Two.' });
      models.push(call.model);
      if (call.reads) throw new MillraceError('STREAM_LOST', 'gone');
      return served({ audio: 'spoken' });
    };
    const own = { plan, placement: place(plan, poolOf, 'q'), tenant: 't' };
    const { stages } = await runInProcess({ question: 'q' }, own, { runner: { streams: true, run }, run: 'r' });
    expect(models).toEqual(['tts', 'tts']);
    const row = stages.find(({ stage }) => stage === 'speak');
    expect(row).toMatchObject({ status: 'done', model: 'tts' });
    expect(row).not.toHaveProperty('count');
  });

  it('runs a reader in a segment that its producer is no part of', async () => {
    const inline = { execution: 'inline' } as const;
    const { plan } = narrator({ answer: inline, speak: inline });
    const steps = plan.stages.slice(1) as unknown as Segment['steps'];
    const { placement } = context();
    const segment: Segment = {
      ...{ path: 'speak', prefix: '', steps, leftMs: 5_000, reserved: {} },
      scope: { answer: { text: 'One. Two.' } },
      context: { plan, placement, tenant: 't' },
    };
    const run = async (input: JsonObject) => served({ audio: input.text as JsonObject });
    const host = new InProcessHost({ runner: { streams: true, run }, run: 'r' });
    expect((await interpretSegment(segment, host)).done).toMatchObject({
      below: { speak: { value: { audio: ['One.', 'Two.'] } } },
    });
  });
});
