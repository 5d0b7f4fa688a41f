import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MillraceError, pipeline, pipelineTool, stageTool, tool } from '../../pipelines/index.js';
import type { ModelRequest, Said } from '../support/scripted-model.js';
import { agentOf, sum, weather } from './agents.js';
import { agentsAmongOthers } from './agents-among-others.js';
import { agentsAndPeople } from './agents-and-people.js';
import { agentsGuarded } from './agents-guarded.js';
import { agentsHandingOver } from './agents-handing-over.js';
import { agentsInContext } from './agents-in-context.js';
import { agentsSaying } from './agents-saying.js';
import { agentsSearching } from './agents-searching.js';
import { agentsUsage } from './agents-usage.js';
import type { SuiteHost } from './host-suite.js';
/** What every host has to do with an agent, and all do alike. */
export function agentSuite(name: string, host: () => SuiteHost): void {
  describe(`${name}: agents`, () => {
    it('answers without tools', async () => {
      const end = await host().run(agentOf('plain', [{ text: 'Paris.' }]), { q: 'Capital of France?' });
      expect(end.output).toMatchObject({ text: 'Paris.', turns: 1, toolCalls: [], stoppedBy: 'answer' });
    });

    it('runs the tools that the model asks for, side by side, and tells it what they gave', async () => {
      let lastRequest: ModelRequest | undefined;
      let weatherIsKnown = () => {};
      const known = new Promise<void>((resolve) => {
        weatherIsKnown = resolve;
      });
      const input = z.object({ city: z.string() });
      const fineWeather = tool({
        name: 'get_weather',
        description: 'The weather in a city now',
        input,
        run: ({ city }) => {
          weatherIsKnown();
          return { city, celsius: city.length };
        },
      });
      // Asked first, it ends last: one behind the other they would never end.
      const lateClock = tool({
        name: 'get_time',
        description: 'The time in a city now',
        input,
        run: async ({ city }) => {
          await known;
          return `noon in ${city}`;
        },
      });
      const both = agentOf(
        'both',
        (request) => {
          if (request.messages.length > 1) {
            lastRequest = request;
            return { text: 'Fine, and noon.' };
          }
          return {
            calls: [
              ['get_time', { city: 'Oslo' }],
              ['get_weather', { city: 'Oslo' }],
            ],
          };
        },
        { tools: [fineWeather, lateClock], instructions: 'Be brief.' },
      );
      const end = await host().run(both, { q: 'Oslo?' });
      expect(end.output).toMatchObject({
        text: 'Fine, and noon.',
        turns: 2,
        toolCalls: [
          { turn: 1, name: 'get_time', arguments: { city: 'Oslo' }, end: 'done', result: 'noon in Oslo' },
          { turn: 1, name: 'get_weather', end: 'done', result: { city: 'Oslo', celsius: 4 } },
        ],
      });
      expect(lastRequest?.tools).toEqual(['get_weather', 'get_time']);
      expect(lastRequest?.with).toMatchObject({ system: 'Be brief.' });
      expect(lastRequest?.messages.map(({ role, content }) => [role, content])).toEqual([
        ['user', 'Oslo?'],
        ['assistant', ''],
        ['tool', 'noon in Oslo'],
        ['tool', '{"city":"Oslo","celsius":4}'],
      ]);
      const [time, fine] = (lastRequest?.messages[1]?.toolCalls ?? []).map(({ id }) => id);
      expect(lastRequest?.messages.slice(2).map(({ toolCallId }) => toolCallId)).toEqual([time, fine]);
      // Which of two calls reaches a worker first, Temporal does not say.
      expect(end.events.toSorted()).toEqual(
        ['get_time', 'get_weather'].flatMap((name) => [`answer/turn-1/${name} ends`, `answer/turn-1/${name} starts`]),
      );
      expect(end.stages).toMatchObject([{ stage: 'answer', kind: 'agent', status: 'done' }]);
    });

    it('tells the model once of a wrong call, be it the name or the arguments', async () => {
      const received: string[] = [];
      const wrong = agentOf(
        'wrong-once',
        ({ messages }) => {
          received.push(messages.at(-1)?.content ?? '');
          const turns: Said[] = [
            {
              calls: [
                ['get_weather', { town: 'Oslo' }],
                ['get_wether', { city: 'Oslo' }],
              ],
            },
            { calls: [['get_weather', { city: 'Oslo' }]] },
            { text: 'Fine.' },
          ];
          return turns[received.length - 1] ?? {};
        },
        { tools: [weather] },
      );
      const end = await host().run(wrong, { q: 'Oslo?' });
      expect(end.output).toMatchObject({
        text: 'Fine.',
        toolCalls: [{ end: 'wrong', code: 'INVALID_TOOL_CALL' }, { end: 'wrong', name: 'get_wether' }, { end: 'done' }],
      });
      expect(received[1]).toContain('there is no tool "get_wether"');
      expect(end.events).toHaveLength(2);
    });

    it('carries out what is right beside a wrong call, and asks for an answer after three wrong turns', async () => {
      const calls = [
        ['get_weather', { city: 'Oslo' }],
        ['get_weather', { town: 'Oslo' }],
      ] as const;
      const script = ({ tools, messages }: ModelRequest): Said =>
        tools.length > 0 ? { calls } : { text: `asked: ${messages.at(-1)?.content}` };
      const end = await host().run(agentOf('wrong-thrice', script, { tools: [weather] }), { q: '?' });
      expect(end.output).toMatchObject({ turns: 4, stoppedBy: 'wrong-calls' });
      expect(end.output?.text).toMatch(/^asked: Answer now/);
      expect((end.output as { toolCalls: { end: string }[] }).toolCalls.map((call) => call.end)).toEqual(
        Array(3).fill(['done', 'wrong']).flat(),
      );
      expect(end.events.filter((event) => event.endsWith('ends'))).toHaveLength(3);
    });

    it('fails after as many wrong turns as it allows where it is told to, and says what was done', async () => {
      const calls = [
        ['get_weather', { city: 'Oslo' }],
        ['get_weather', { town: 'Oslo' }],
      ] as const;
      const options = { tools: [weather], wrongTurns: 2, onLimit: 'fail' } as const;
      const end = await host().run(agentOf('wrong-twice', [{ calls }, { calls }], options), { q: '?' });
      expect(end.code).toBe('INVALID_TOOL_CALL');
      expect(end.message).toContain('in 2 turns in a row');
      expect(end.message).toContain('get_weather: the arguments do not fit: city');
      expect(end.stages).toMatchObject([
        {
          stage: 'answer',
          status: 'failed',
          calls: [
            { turn: 1, name: 'get_weather', end: 'done' },
            { turn: 1, name: 'get_weather', end: 'wrong', code: 'INVALID_TOOL_CALL' },
            { turn: 2, name: 'get_weather', end: 'done' },
            { turn: 2, name: 'get_weather', end: 'wrong' },
          ],
        },
      ]);
    });

    it('counts wrong turns anew after a right one', async () => {
      const wrong = { calls: [['get_weather', { town: 'Oslo' }]] } as const;
      const right = { calls: [['get_weather', { city: 'Oslo' }]] } as const;
      const turns = [wrong, wrong, right, wrong, wrong, right, { text: 'Fine.' }];
      const end = await host().run(agentOf('wrong-and-right', turns, { tools: [weather] }), { q: '?' });
      expect(end.output).toMatchObject({ text: 'Fine.', stoppedBy: 'answer', turns: 7 });
    });

    it('asks for an answer without tools in the last turn', async () => {
      const offered: number[] = [];
      const endless = agentOf(
        'endless',
        ({ tools, messages }) => {
          offered.push(tools.length);
          if (tools.length > 0) return { calls: [['get_weather', { city: 'Oslo' }]] };
          return { text: `asked: ${messages.at(-1)?.content}` };
        },
        { tools: [weather], maxTurns: 3 },
      );
      const end = await host().run(endless, { q: '?' });
      expect(offered).toEqual([1, 1, 0]);
      expect(end.output).toMatchObject({ turns: 3, stoppedBy: 'turns' });
      expect(end.output?.text).toMatch(/^asked: Answer now/);
    });

    it('fails at the limit where it is told to', async () => {
      const calls = [['get_weather', { city: 'Oslo' }]] as const;
      const turns = Array.from({ length: 9 }, () => ({ calls }));
      const stopped = agentOf('limit-fails', turns, { tools: [weather], maxTurns: 2, onLimit: 'fail' });
      const end = await host().run(stopped, { q: '?' });
      expect(end).toMatchObject({ code: 'LIMIT_REACHED' });
      expect(end.events.filter((event) => event.endsWith('ends'))).toHaveLength(2);
    });

    it.each([
      ['tokens', { tokens: 250 }, 4],
      ['cost', { cost: 0.0004, price: { input: 1, output: 2 } }, 5],
    ] as const)('stops when the budget of %s is used up', async (limit, budget, turns) => {
      const name = `budget-${limit}`;
      const script = ({ tools }: ModelRequest): Said => {
        const usage = { inputTokens: 80, outputTokens: 10 };
        return tools.length > 0 ? { calls: [['get_weather', { city: 'Oslo' }]], usage } : { text: 'Enough.', usage };
      };
      const end = await host().run(agentOf(name, script, { tools: [weather], budget }), { q: '?' });
      expect(end.output).toMatchObject({ text: 'Enough.', stoppedBy: limit, turns });
      expect(end.output?.usage).toMatchObject({ inputTokens: 80 * turns, outputTokens: 10 * turns });
    });

    it('stops when the budget of time is used up', async () => {
      const script = async ({ tools }: ModelRequest): Promise<Said> => {
        await sleep(150);
        return tools.length > 0 ? { calls: [['get_weather', { city: 'Oslo' }]] } : { text: 'Enough.' };
      };
      const end = await host().run(agentOf('budget-time', script, { tools: [weather], budget: { time: '140ms' } }), {
        q: '?',
      });
      expect(end.output).toMatchObject({ text: 'Enough.', stoppedBy: 'time', turns: 2 });
    });

    it('tells the model of a tool that has failed, under the tool’s own policy', async () => {
      let calls = 0;
      const down = tool({
        name: 'down',
        description: 'Never works',
        input: z.object({}),
        retry: { attempts: 2, backoff: { initial: '5ms' } },
        run: () => {
          calls += 1;
          throw new MillraceError('BACKEND_UNAVAILABLE', 'it is down');
        },
      });
      const end = await host().run(
        agentOf('tool-fails', [{ calls: [['down', {}]] }, { text: 'Sorry.' }], { tools: [down] }),
        { q: '?' },
      );
      expect(end.output).toMatchObject({
        text: 'Sorry.',
        toolCalls: [{ end: 'failed', code: 'BACKEND_UNAVAILABLE', message: 'it is down' }],
      });
      expect(calls).toBe(2);
    });

    it('ends with a tool’s failure where the tool says so', async () => {
      const vital = tool({
        name: 'vital',
        description: 'Must work',
        input: z.object({}),
        retry: { attempts: 1 },
        onFailure: 'fail',
        run: () => {
          throw new MillraceError('BACKEND_REJECTED', 'no');
        },
      });
      const end = await host().run(agentOf('vital-fails', [{ calls: [['vital', {}]] }], { tools: [vital] }), {
        q: '?',
      });
      expect(end).toMatchObject({ code: 'BACKEND_REJECTED', message: 'stage "answer": no' });
    });

    it('takes what a function’s own schema says of the arguments for a wrong call', async () => {
      const even = tool({
        name: 'even',
        description: 'Takes even numbers',
        input: z.object({ n: z.number().refine((n) => n % 2 === 0, 'must be even') }),
        run: ({ n }) => n,
      });
      const turns = [{ calls: [['even', { n: 1 }]] }, { calls: [['even', { n: 2 }]] }, { text: 'Two.' }] as const;
      const end = await host().run(agentOf('even', turns, { tools: [even] }), { q: '?' });
      expect(end.output).toMatchObject({
        text: 'Two.',
        toolCalls: [
          { end: 'wrong', code: 'INVALID_INPUT', message: 'must be even' },
          { end: 'done', result: 2 },
        ],
      });
    });

    it('runs a pipeline as a tool, with the defaults of its input', async () => {
      const inner = pipeline(
        'inner-tool',
        { description: 'Adds', input: z.object({ n: z.number(), by: z.number().default(5) }), deadline: '1m' },
        ({ input, stage }) => ({ n: stage('sum', sum, { n: input.n, by: input.by }).n }),
      );
      const turns = [
        {
          calls: [
            ['inner-tool', { n: 2 }],
            ['inner-tool', { n: 3 }],
          ],
        },
        { text: 'Done.' },
      ] as const;
      const end = await host().run(agentOf('pipelined', turns, { tools: [pipelineTool(inner)] }), { q: '?' });
      expect(end.output).toMatchObject({
        text: 'Done.',
        toolCalls: [
          { name: 'inner-tool', end: 'done', result: { n: 7 } },
          { end: 'done', result: { n: 8 } },
        ],
      });
    });

    it('runs a stage kind as a tool', async () => {
      const summed = stageTool({ name: 'summed', description: 'Adds', use: sum, result: 'n' });
      const turns = [{ calls: [['summed', { n: 2, by: 2 }]] }, { text: 'Four.' }] as const;
      const end = await host().run(agentOf('staged', turns, { tools: [summed] }), { q: '?' });
      expect(end.output).toMatchObject({ text: 'Four.', toolCalls: [{ end: 'done', result: 4 }] });
    });
  });
  agentsAmongOthers(name, host);
  agentsAndPeople(name, host);
  agentsInContext(name, host);
  agentsUsage(name, host);
  agentsSearching(name, host);
  agentsHandingOver(name, host);
  agentsGuarded(name, host);
  agentsSaying(name, host);
}
