import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type AgentOptions, agent, MillraceError, type Pipeline, pipeline, tool } from '../../pipelines/index.js';
import { type ModelRequest, type Said, scripted } from '../support/scripted-model.js';
import { question, weather } from './agents.js';
import { waitsOf } from './host-people.js';
import type { SuiteHost } from './host-suite.js';

/** Agents that fail in the middle and another that goes on; part of `agentSuite`. */
export function agentsHandingOver(name: string, host: () => SuiteHost): void {
  describe(`${name}: an agent that takes over`, () => {
    const paid: string[] = [];
    const refund = tool({
      name: 'refund',
      description: 'Pays back',
      input: z.object({ order: z.string() }),
      approval: { timeout: '1h', otherwise: false },
      run: ({ order }, { idempotencyKey }) => {
        paid.push(idempotencyKey);
        return `${order} is paid back`;
      },
    });
    const away = (): never => {
      throw new MillraceError('BACKEND_UNAVAILABLE', 'gone');
    };
    type Script = (request: ModelRequest) => Said | Promise<Said>;
    const made = (
      of: string,
      scripts: readonly [Script, Script],
      options: Partial<AgentOptions> = { tools: [refund] },
    ): Pipeline => {
      const [first, second] = scripts.map((script, i) => agent({ ...options, model: scripted(`${of}-${i}`, script) }));
      if (!first || !second) throw new Error('two are needed');
      return pipeline(of, { input: question, deadline: '2h' }, ({ input, stage }) => {
        const policy = { retry: { attempts: 1 }, fallback: [second] } as const;
        const { text, turns, toolCalls, usage } = stage('answer', first, { prompt: input.q }, policy);
        return { text, turns, toolCalls, usage };
      }) as unknown as Pipeline;
    };

    it('has what was done in its output and before its eyes, and no approval that was not for it', async () => {
      paid.length = 0;
      let seen: ModelRequest | undefined;
      const desk = made('two-desks', [
        ({ messages }) => (messages.length > 1 ? away() : { calls: [['refund', { order: 'A-1' }]] }),
        (request) => {
          seen ??= request;
          const results = request.messages.filter(({ role }) => role === 'tool');
          return results.length > 1
            ? { text: results.map(({ content }) => content).join(', ') }
            : { calls: [['refund', { order: 'B-2' }]] };
        },
      ]);
      const refused: unknown[] = [];
      const waits: [path: string, nonce: string][] = [];
      const end = await host().run(
        desk,
        { q: 'A-1?' },
        {
          act: async (run) => {
            const [first] = await waitsOf(run, 1);
            const nonce = first?.nonce ?? '';
            waits.push([first?.path ?? '', nonce]);
            const both = await Promise.allSettled([
              run.decide({ nonce, approved: true, by: 'ada' }),
              run.decide({ nonce, approved: true, by: 'bob' }),
            ]);
            refused.push(...both.filter(({ status }) => status === 'rejected'));
            // Nobody has decided on what the other model asks for.
            let second = (await run.waiting())[0];
            while (!second || second.nonce === nonce) {
              await sleep(20);
              second = (await run.waiting())[0];
            }
            waits.push([second.path, second.nonce]);
            expect(second.call?.arguments).toEqual({ order: 'B-2' });
            await sleep(300);
            expect(paid).toHaveLength(1);
            await run.decide({ nonce: second.nonce, approved: false, by: 'cy' });
          },
        },
      );
      expect(refused).toHaveLength(1);
      expect(waits[0]?.[0]).toMatch(/^answer\/turn-1\/refund:[0-9a-f]{12}$/);
      expect(waits[1]?.[0]).toMatch(/^answer~1\/turn-2\/refund:[0-9a-f]{12}$/);
      expect(paid).toEqual([expect.stringMatching(/answer\/turn-1\/refund:[0-9a-f]{12}$/)]);
      expect(seen?.messages.map(({ role, content }) => [role, content])).toEqual([
        ['user', 'A-1?'],
        ['assistant', ''],
        ['tool', 'A-1 is paid back'],
      ]);
      expect(end.output).toMatchObject({
        text: 'A-1 is paid back, A person rejected the call.',
        turns: 3,
        toolCalls: [
          { turn: 1, name: 'refund', arguments: { order: 'A-1' }, end: 'done', result: 'A-1 is paid back' },
          { turn: 2, name: 'refund', arguments: { order: 'B-2' }, end: 'refused' },
        ],
      });
    });

    it('waits for what is under way of a turn that fails, and no longer for people', async () => {
      paid.length = 0;
      let begin = () => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const vital = tool({
        name: 'vital',
        description: 'Must work',
        input: z.object({}),
        retry: { attempts: 1 },
        onFailure: 'fail',
        run: async () => {
          // Which of two calls reaches a worker first, the host does not say.
          await begun;
          throw new MillraceError('BACKEND_REJECTED', 'no');
        },
      });
      const slow = tool({
        name: 'slow',
        description: 'Takes its time',
        input: z.object({}),
        run: async () => {
          begin();
          await sleep(700);
          return 'done after all';
        },
      });
      let seen: ModelRequest | undefined;
      const desk = made(
        'turn-fails',
        [
          () => ({
            calls: [
              ['vital', {}],
              ['slow', {}],
              ['refund', { order: 'A-1' }],
            ],
          }),
          (request) => {
            seen = request;
            return { text: 'Half.' };
          },
        ],
        { tools: [vital, slow, refund] },
      );
      const end = await host().run(desk, { q: '?' });
      expect(end.output).toMatchObject({
        text: 'Half.',
        turns: 2,
        toolCalls: [
          { name: 'vital', end: 'failed', code: 'BACKEND_REJECTED' },
          { name: 'slow', end: 'done', result: 'done after all' },
          { name: 'refund', end: 'refused', message: 'This call was not carried out.' },
        ],
      });
      expect(seen?.messages.filter(({ role }) => role === 'tool').map(({ content }) => content)).toEqual([
        'Error BACKEND_REJECTED: no',
        'done after all',
        'This call was not carried out.',
      ]);
      expect(paid).toEqual([]);
    });

    it('is told of a call that may have been made, though nobody knows its end', async () => {
      const unsure = tool({
        name: 'unsure',
        description: 'Breaks when it is done',
        input: z.object({}),
        run: () => {
          throw new MillraceError('INTERNAL', 'it broke afterwards');
        },
      });
      let seen: ModelRequest | undefined;
      const desk = made(
        'unsure-end',
        [
          () => ({ calls: [['unsure', {}]] }),
          (request) => {
            seen = request;
            return { text: 'To be looked at.' };
          },
        ],
        { tools: [unsure] },
      );
      const end = await host().run(desk, { q: '?' });
      expect(end.output).toMatchObject({ toolCalls: [{ name: 'unsure', end: 'failed', code: 'INTERNAL' }] });
      expect(seen?.messages.at(-1)).toMatchObject({
        role: 'tool',
        content: 'Error INTERNAL: it broke afterwards',
      });
    });

    it('has spent what was spent before it', async () => {
      const usage = { inputTokens: 80, outputTokens: 10 };
      const offered: number[] = [];
      const costly = made(
        'spent-before',
        [
          ({ messages }) => (messages.length > 3 ? away() : { calls: [['get_weather', { city: 'Oslo' }]], usage }),
          ({ tools }) => {
            offered.push(tools.length);
            return tools.length > 0 ? { calls: [['get_weather', { city: 'Rome' }]], usage } : { text: 'So.', usage };
          },
        ],
        { tools: [weather], budget: { tokens: 250 } },
      );
      const end = await host().run(costly, { q: '?' });
      expect(offered).toEqual([1, 0]);
      expect(end.output).toMatchObject({ text: 'So.', turns: 4, usage: { inputTokens: 320, outputTokens: 40 } });
    });
  });
}
