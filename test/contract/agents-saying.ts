import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type AgentOptions,
  agent,
  code,
  guardrail,
  MillraceError,
  type Pipeline,
  pipeline,
  streamOf,
  tool,
} from '../../pipelines/index.js';
import { type ModelRequest, type Said, scripted } from '../support/scripted-model.js';
import { question, weather } from './agents.js';
import type { SuiteHost } from './host-suite.js';

type Script = (request: ModelRequest) => Said | Promise<Said>;

const MOMENT: Said = { text: 'One moment. I look', calls: [['get_weather', { city: 'Oslo' }]] };
const SAID = 'One moment. I look\n\nIt is fine. And warm.';
const HEARD = ['One moment.', 'I look', 'It is fine.', 'And warm.'];
const asked = ({ messages }: ModelRequest): boolean => messages.some(({ role }) => role === 'tool');

/** Agents whose words are read while they work; part of `agentSuite`. */
export function agentsSaying(name: string, host: () => SuiteHost): void {
  /** An agent, the ones that take over, and a function that hears what they say. */
  const made = (
    of: string,
    scripts: readonly Script[],
    options: Partial<AgentOptions> = { tools: [weather] },
    onHeard: (sentence: string) => void = () => undefined,
  ): Pipeline => {
    const hear = code(
      'hear',
      { input: z.object({ sentences: streamOf(z.string()) }), output: z.object({ heard: z.array(z.string()) }) },
      async ({ sentences }) => {
        const heard: string[] = [];
        for await (const sentence of sentences) {
          heard.push(sentence);
          onHeard(sentence);
        }
        return { heard };
      },
    );
    const [first, ...fallback] = scripts.map((script, i) =>
      agent({ ...options, model: scripted(`${of}-${i}`, script) }),
    );
    if (!first) throw new Error('one is needed');
    return pipeline(of, { input: question, deadline: '3m' }, ({ input, stage }) => {
      const policy = { retry: { attempts: 2, backoff: { initial: '5ms' } }, fallback } as const;
      const answer = stage('answer', first, { prompt: input.q }, policy);
      const { heard } = stage('hear', hear, { sentences: answer.said.sentences });
      return { text: answer.text, said: answer.said.text, heard };
    }) as unknown as Pipeline;
  };

  describe(`${name}: what an agent says`, () => {
    it('is read before the call that it is said before has ended', async () => {
      let hears = () => {};
      const heard = new Promise<void>((resolve) => {
        hears = resolve;
      });
      const patient = tool({
        name: 'get_weather',
        description: 'The weather in a city now',
        timeout: { attempt: '30s', total: '30s' },
        input: z.object({ city: z.string() }),
        run: async ({ city }, { signal }) => {
          await Promise.race([heard, sleep(60_000, undefined, { signal })]);
          return { city };
        },
      });
      const script: Script = (request) => (asked(request) ? { text: 'It is fine. And warm.' } : MOMENT);
      const end = await host().run(made('saying', [script], { tools: [patient] }, hears), { q: 'Oslo?' });
      expect(end.output).toEqual({ text: 'It is fine. And warm.', said: SAID, heard: HEARD });
      expect(end.events.indexOf('hear starts')).toBeLessThan(
        end.events.findIndex((event) => event.includes('get_weather') && event.endsWith('ends')),
      );
    });

    it('goes on in the same stream when the conversation is handed over, and when a call is made again', async () => {
      let failed = false;
      const script: Script = ({ tools, messages }) => {
        if (tools.includes('transfer_to_expert'))
          return { text: 'I know somebody.', calls: [['transfer_to_expert', {}]] };
        if (!failed) {
          failed = true;
          throw new MillraceError('BACKEND_UNAVAILABLE', 'gone');
        }
        return { text: `I am the expert. ${messages.length} messages` };
      };
      const handoffs = [{ name: 'expert', description: 'Knows it' }];
      const end = await host().run(made('saying-on', [script], { handoffs }), { q: '?' });
      expect(end.output).toMatchObject({
        said: 'I know somebody.\n\nI am the expert. 3 messages',
        heard: ['I know somebody.', 'I am the expert.', '3 messages'],
      });
    });

    it('is said once where another agent takes over, also before the call that failed', async () => {
      const vital = tool({
        name: 'vital',
        description: 'Must work',
        retry: { attempts: 1 },
        onFailure: 'fail',
        input: z.object({}),
        run: () => {
          throw new MillraceError('BACKEND_REJECTED', 'no');
        },
      });
      const first: Script = (request) => (asked(request) ? { text: 'I try.', calls: [['vital', {}]] } : MOMENT);
      const second: Script = () => ({ text: 'It is fine.' });
      const end = await host().run(made('saying-instead', [first, second], { tools: [weather, vital] }), { q: '?' });
      expect(end.output).toEqual({
        text: 'It is fine.',
        said: 'One moment. I look\n\nI try.\n\nIt is fine.',
        heard: ['One moment.', 'I look', 'I try.', 'It is fine.'],
      });
    });

    it('is what guardrails have left of it, when they have', async () => {
      const polite = guardrail({
        name: 'polite',
        on: 'output',
        check: ({ text = '' }) =>
          text.includes('damn') ? { verdict: 'redact', text: text.replace('damn ', '') } : { verdict: 'pass' },
      });
      const script: Script = (request) => (asked(request) ? { text: 'It is damn fine. And warm.' } : MOMENT);
      const options = { tools: [weather], guardrails: [polite] };
      const end = await host().run(made('saying-politely', [script], options), { q: '?' });
      expect(end.output).toEqual({ text: 'It is fine. And warm.', said: SAID, heard: HEARD });
    });
  });
}
