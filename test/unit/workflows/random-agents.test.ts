import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { agent, code, MillraceError, type Pipeline, pipeline, streamOf, tool } from '../../../pipelines/index.js';
import type { RunContext } from '../../../pipelines/run/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { changed } from '../../support/changed-host.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';
import { scripted } from '../../support/scripted-model.js';

/* What an agent says is the same text for who reads it while it works, whatever fails, and whatever histories it takes. */

const RUNS = Number(process.env.MILLRACE_PROPERTY_RUNS ?? 150);
const SEED = Number(process.env.MILLRACE_PROPERTY_SEED ?? 1);

interface Turn {
  readonly text: string;
  /** The call of the model fails once, and is made again. */
  readonly fails: boolean;
  /** The first agent fails for good here: in its turn, which the next one takes, or in the tool that it calls. */
  readonly lost?: 'turn' | 'tool' | undefined;
}

const turns: fc.Arbitrary<readonly Turn[]> = fc.array(
  fc.record({
    text: fc.constantFrom('', '  ', 'One moment.', 'I look. And wait', ' It is 3.5 km!\n', 'Fine.\n\nReally'),
    fails: fc.boolean(),
    lost: fc.option(fc.constantFrom('turn' as const, 'tool' as const), { nil: undefined, freq: 6 }),
  }),
  { minLength: 1, maxLength: 6 },
);

const failure = (code: 'BACKEND_UNAVAILABLE' | 'BACKEND_REJECTED'): never => {
  throw new MillraceError(code, 'as the script says');
};

/** An agent of these turns, another one that takes over, and what hears them; `streams` false: when they have ended. */
function told(script: readonly Turn[], streams: boolean): Pipeline {
  const failed = new Set<number>();
  const said = (first: boolean) =>
    scripted(first ? 'first' : 'second', ({ messages }) => {
      const i = messages.filter(({ role }) => role === 'tool').length;
      const { text, fails, lost } = script[i] ?? { text: '', fails: false };
      if (first && lost === 'turn') return failure('BACKEND_REJECTED');
      if (fails && !failed.has(i)) {
        failed.add(i);
        return failure('BACKEND_UNAVAILABLE');
      }
      if (i >= script.length - 1) return { text };
      return { text, calls: [['step', { fail: first && lost === 'tool' }]] };
    });
  const step = tool({
    name: 'step',
    description: 'Goes on',
    input: z.object({ fail: z.boolean() }),
    retry: { attempts: 1 },
    onFailure: 'fail',
    run: ({ fail }) => (fail ? failure('BACKEND_REJECTED') : 'done'),
  });
  const hear = code(
    'hear',
    {
      input: z.object({ said: streamOf(z.string()), turns: z.number().nullable() }),
      output: z.object({ heard: z.array(z.string()) }),
    },
    async ({ said }) => {
      const heard: string[] = [];
      for await (const sentence of said) heard.push(sentence);
      return { heard };
    },
  );
  return pipeline('told', { input: z.object({}), deadline: '10m' }, ({ stage }) => {
    const by = (first: boolean) => agent({ model: said(first), tools: [step], maxTurns: 20 });
    const policy = { retry: { attempts: 2, backoff: { initial: '1ms' } }, fallback: [by(false)] } as const;
    const answer = stage('answer', by(true), { prompt: '?' }, policy);
    // What also reads the whole has both when the agent has ended.
    const { heard } = stage('hear', hear, { said: answer.said.sentences, turns: streams ? null : answer.turns });
    return { text: answer.text, said: answer.said.text, heard };
  }) as unknown as Pipeline;
}

/** What is said: each turn once, whichever agent has it. */
const textsOf = (script: readonly Turn[]): string[] =>
  script.flatMap(({ text }) => (text.trim() === '' ? [] : [text.trimEnd()]));

/** Runs to the end, in histories that are full after so many looks. */
async function outputOf(made: Pipeline, looks: number) {
  const runner = new CodeRunner(made);
  let context: RunContext = contextOf(made);
  for (let more = 0; ; more += 1) {
    let left = looks + more;
    const host = changed(new InProcessHost({ runner, run: 'r' }), () => ({ full: () => left-- <= 0 }));
    const ended = await interpret({}, context, host);
    if (!('carried' in ended)) return ended.output;
    const carried = JSON.parse(JSON.stringify({ ...ended.carried, decided: {} })) as RunContext['carried'];
    context = { ...contextOf(made), ...(carried && { carried }) };
  }
}

describe('what a random agent says', () => {
  it('is the same in one history, in several, and collected', async () => {
    const property = fc.asyncProperty(turns, fc.integer({ min: 0, max: 3 }), async (script, looks) => {
      const streaming = told(script, true);
      expect(streaming.plan.stages[1]).toMatchObject({ streams: { said: { from: 'answer' } } });
      const whole = await outputOf(streaming, 1_000);
      expect(await outputOf(told(script, true), looks)).toEqual(whole);
      expect(await outputOf(told(script, false), 1_000)).toEqual(whole);
      expect(whole.said).toBe(textsOf(script).join('\n\n'));
      expect(whole.text).toBe(script.at(-1)?.text);
    });
    await fc.assert(property, { numRuns: RUNS, seed: SEED });
  });
});
