import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { agent, MillraceError, type Pipeline, pipeline, tool } from '../../pipelines/index.js';
import type { Wait } from '../../pipelines/run/index.js';
import { type ModelRequest, type Said, scripted } from '../support/scripted-model.js';
import { agentOf, clock, question, weather } from './agents.js';
import { waitsOf } from './host-people.js';
import type { SuiteHost } from './host-suite.js';

/** Agents with people, typed answers, and as stages among others; part of `agentSuite`. */
export function agentsAmongOthers(name: string, host: () => SuiteHost): void {
  describe(`${name}: agents and people`, () => {
    const turns = [
      {
        calls: [
          ['pay', { order: 'A1' }],
          ['get_weather', { city: 'Oslo' }],
        ],
      },
      { text: 'Settled.' },
    ] as const;
    const payer = (timeout: '1h' | '200ms', otherwise: boolean) =>
      tool({
        name: 'pay',
        description: 'Pays',
        input: z.object({ order: z.string() }),
        approval: { timeout, otherwise },
        run: ({ order }) => `${order} is paid`,
      });
    const desk = (of: string, timeout: '1h' | '200ms', otherwise = false) =>
      agentOf(of, turns, { tools: [payer(timeout, otherwise), weather], deadline: '2h' });

    it.each([
      ['allows', true, { end: 'done', result: 'A1 is paid' }],
      ['refuses', false, { end: 'refused', message: 'A person rejected the call.' }],
    ] as const)('waits for a person, who %s it', async (verb, approved, call) => {
      let doing: string | undefined;
      let waiting: Wait | undefined;
      const end = await host().run(
        desk(`desk-${verb}`, '1h'),
        { q: '?' },
        {
          act: async (run) => {
            while (!doing?.startsWith('waits')) {
              [doing] = (await run.rows()).map((row) => row.doing);
              await sleep(20);
            }
            const [wait] = await waitsOf(run, 1);
            waiting = wait;
            await run.decide({ nonce: wait?.nonce ?? '', approved, by: 'ada' });
          },
        },
      );
      const digest = createHash('sha256').update('{"order":"A1"}').digest('hex');
      const path = `answer/turn-1/pay:${digest.slice(0, 12)}`;
      expect(doing).toBe(`waits for a person: pay("A1"), ${path}`);
      expect(waiting).toMatchObject({
        path,
        stage: 'answer',
        subject: 'pay("A1")',
        call: { tool: 'pay', arguments: { order: 'A1' }, digest },
        otherwise: false,
      });
      expect(end.output).toMatchObject({ text: 'Settled.', toolCalls: [call, { name: 'get_weather', end: 'done' }] });
      expect(end.stages[0]?.doing).toBeUndefined();
    });

    it.each([
      [false, { end: 'refused', message: 'The call was not approved in time.' }],
      [true, { end: 'done', result: 'A1 is paid' }],
    ] as const)('decides with %s for a person who does not', async (otherwise, call) => {
      const end = await host().run(desk(`desk-late-${otherwise}`, '200ms', otherwise), { q: '?' });
      expect(end.output).toMatchObject({ text: 'Settled.', toolCalls: [call, { end: 'done' }] });
    });
  });

  describe(`${name}: an agent’s typed answer`, () => {
    const typed = (of: string, script: (request: ModelRequest) => Said, more: object = {}) => {
      const use = agent({ model: scripted(of, script), output: z.object({ city: z.string() }), ...more });
      return pipeline(of, { input: question }, ({ input, stage }) => {
        const { data, turns } = stage('answer', use, { prompt: input.q }, { retry: { attempts: 1 } });
        return { city: data.city, turns };
      }) as unknown as Pipeline;
    };

    it('is asked for once more where the free answer does not fit', async () => {
      const requests: unknown[] = [];
      const script = ({ messages, tools, with: { schema, bind } }: ModelRequest): Said => {
        requests.push([tools.length, schema !== undefined, bind ?? true, messages.at(-1)?.content]);
        return tools.length > 0 ? { text: 'It is Oslo.' } : { text: '{"city":"Oslo"}', data: { city: 'Oslo' } };
      };
      const end = await host().run(typed('shaped', script, { tools: [weather] }), { q: 'Where?' });
      expect(end.output).toEqual({ city: 'Oslo', turns: 2 });
      expect(requests).toEqual([
        [1, true, false, 'Where?'],
        [0, true, true, 'Give this answer in the form that is asked for.'],
      ]);
    });

    it('is taken as it is where it fits, and bound at once without tools', async () => {
      const script = (): Said => ({ text: '{"city":"Oslo"}', data: { city: 'Oslo' } });
      const fits = await host().run(typed('fits', script, { tools: [weather] }), { q: 'Where?' });
      expect(fits.output).toEqual({ city: 'Oslo', turns: 1 });
      const bound = await host().run(typed('bound', script), { q: 'Where?' });
      expect(bound.output).toEqual({ city: 'Oslo', turns: 1 });
    });
  });

  describe(`${name}: agents as stages`, () => {
    it('fall back on another agent, which begins anew', async () => {
      const lost = scripted('lost-model', () => {
        throw new MillraceError('BACKEND_UNAVAILABLE', 'gone');
      });
      const other = scripted('other-model', ({ messages }) => ({ text: `${messages.length}` }));
      const made = pipeline('fallback-agent', { input: question }, ({ input, stage }) => {
        const fallback = [agent({ model: other })];
        const options = { retry: { attempts: 1 }, fallback } as const;
        return { text: stage('answer', agent({ model: lost }), { prompt: input.q }, options).text };
      }) as unknown as Pipeline;
      const end = await host().run(made, { q: '?' });
      expect(end.output).toEqual({ text: '1' });
      expect(end.stages).toMatchObject([{ status: 'done', model: 'other-model', instead: 'BACKEND_UNAVAILABLE' }]);
    });

    it('run in loops, each on its own path', async () => {
      const model = scripted('looped-model', ({ messages }) =>
        messages.length > 1
          ? { text: messages.at(-1)?.content ?? '' }
          : { calls: [['get_time', { city: messages[0]?.content ?? '' }]] },
      );
      const made = pipeline('looped', { input: z.object({ all: z.array(z.string()) }) }, ({ input, stage, each }) => ({
        all: each('all', input.all, (q) => stage('answer', agent({ model, tools: [clock] }), { prompt: q }).text),
      })) as unknown as Pipeline;
      const end = await host().run(made, { all: ['Oslo', 'Rome'] });
      expect(end.output).toEqual({ all: ['noon in Oslo', 'noon in Rome'] });
      expect(end.events.filter((event) => event.endsWith('ends')).sort()).toEqual([
        'all[0]/answer/turn-1/get_time ends',
        'all[1]/answer/turn-1/get_time ends',
      ]);
    });

    it('are left out where they are optional and fail, and end with the run', async () => {
      const model = scripted('down-model', () => {
        throw new MillraceError('BACKEND_UNAVAILABLE', 'gone');
      });
      const made = pipeline('optional-agent', { input: question }, ({ input, stage }) => ({
        text: stage('answer', agent({ model }), { prompt: input.q }, { optional: true, retry: { attempts: 1 } }).text,
      })) as unknown as Pipeline;
      expect((await host().run(made, { q: '?' })).output).toEqual({ text: null });
      let begin = () => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const slow = tool({
        name: 'slow',
        description: 'Takes long',
        input: z.object({}),
        run: (_, { signal }) => {
          begin();
          return sleep(60_000, undefined, { signal });
        },
      });
      const stuck = agentOf('stuck', [{ calls: [['slow', {}]] }], { tools: [slow] });
      const end = await host().run(
        stuck,
        { q: '?' },
        {
          act: async (run) => {
            await begun;
            while (!(await run.rows())[0]?.doing?.includes('slow')) await sleep(20);
            await run.cancel();
          },
        },
      );
      expect(end.code).toBe('RUN_CANCELLED');
      const events = ['answer/turn-1/slow starts', 'answer/turn-1/slow aborted'];
      await vi.waitFor(() => expect(end.events).toEqual(events), { timeout: 60_000, interval: 20 });
    });
  });
}
