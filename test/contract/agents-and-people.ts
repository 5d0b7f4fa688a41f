import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { agent, approve, type Pipeline, pipeline, tool } from '../../pipelines/index.js';
import { type ModelRequest, type Said, scripted } from '../support/scripted-model.js';
import { question } from './agents.js';
import { waitsOf } from './host-people.js';
import type { SuiteHost } from './host-suite.js';

/** What people say about calls besides yes and no; part of `agentSuite`. */
export function agentsAndPeople(name: string, host: () => SuiteHost): void {
  describe(`${name}: people who change and explain`, () => {
    const pay = tool({
      name: 'pay',
      description: 'Pays',
      input: z.object({ order: z.string() }),
      approval: { timeout: '1h' },
      run: ({ order }) => `${order} is paid`,
    });
    /** Pays each order in a turn of its own, then repeats what it was told. */
    const payer = (of: string, orders: readonly string[]) => {
      const script = ({ messages }: ModelRequest): Said => {
        const told = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
        const order = orders[told.length];
        return order === undefined ? { text: told.join(' / ') } : { calls: [['pay', { order }]] };
      };
      return pipeline(of, { input: question, deadline: '2h' }, ({ input, stage }) => {
        const answer = stage('answer', agent({ model: scripted(of, script), tools: [pay] }), { prompt: input.q });
        return { text: answer.text, toolCalls: answer.toolCalls };
      }) as unknown as Pipeline;
    };

    it('a call is made with the arguments that a person has put in, and the model is told', async () => {
      const end = await host().run(
        payer('edited', ['A1']),
        { q: '?' },
        {
          act: async (run) => {
            const [wait] = await waitsOf(run, 1);
            const given = { nonce: wait?.nonce ?? '', approved: true, by: 'ada', reason: 'A1 is closed.' };
            await run.decide({ ...given, arguments: { order: 'B2' } });
          },
        },
      );
      const note = 'A person changed the arguments to {"order":"B2"}: A1 is closed.';
      expect(end.output).toMatchObject({
        text: `${note}\nB2 is paid`,
        toolCalls: [{ end: 'done', arguments: { order: 'B2' }, result: 'B2 is paid', note }],
      });
      expect(end.stages[0]?.decisions).toMatchObject([
        { tool: 'pay', by: 'ada', reason: 'A1 is closed.', arguments: { order: 'B2' } },
      ]);
    });

    it('the model is told why a call was rejected', async () => {
      const end = await host().run(
        payer('explained', ['A1']),
        { q: '?' },
        {
          act: async (run) => {
            const [wait] = await waitsOf(run, 1);
            await run.decide({ nonce: wait?.nonce ?? '', approved: false, reason: 'Too much.' });
          },
        },
      );
      expect(end.output).toMatchObject({
        text: 'A person rejected the call: Too much.',
        toolCalls: [{ end: 'refused', message: 'A person rejected the call: Too much.' }],
      });
    });

    it('an approval for the run covers the later calls of the tool', async () => {
      let asked = 0;
      const end = await host().run(
        payer('always', ['A1', 'B2', 'C3']),
        { q: '?' },
        {
          act: async (run) => {
            const [wait] = await waitsOf(run, 1);
            asked += 1;
            await run.decide({ nonce: wait?.nonce ?? '', approved: true, by: 'ada', scope: 'run' });
          },
        },
      );
      expect(end.output).toMatchObject({ text: 'A1 is paid / B2 is paid / C3 is paid' });
      expect(asked).toBe(1);
      expect(end.stages[0]?.decisions?.map(({ by }) => by)).toEqual(['ada', 'ada', 'ada']);
    });

    it('what is no call of a tool has no arguments to change', async () => {
      const refused: string[] = [];
      const asks = pipeline('asks-plainly', { input: question, deadline: '1h' }, ({ stage }) => ({
        reason: stage('sign-off', approve({ timeout: '30m' }), { subject: 'it' }).reason,
      })) as unknown as Pipeline;
      const end = await host().run(
        asks,
        { q: '?' },
        {
          act: async (run) => {
            const [wait] = await waitsOf(run, 1);
            const given = { nonce: wait?.nonce ?? '', approved: true };
            const refuse = async (more: object) =>
              run
                .decide({ ...given, ...more })
                .catch((error: Error) => refused.push(error.message.split(':')[0] ?? ''));
            await refuse({ arguments: { order: 'B2' } });
            await refuse({ scope: 'run' });
            await run.decide({ ...given, reason: 'It is fine.' });
          },
        },
      );
      expect(refused).toHaveLength(2);
      expect(end.output).toEqual({ reason: 'It is fine.' });
    });
  });
}
