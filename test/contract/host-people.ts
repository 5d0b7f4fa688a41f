import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approve, pipeline, text } from '../../pipelines/index.js';
import type { GivenDecision, Wait } from '../../pipelines/run/index.js';
import { add, any, one } from './host-fixtures.js';
import type { SuiteHost, SuiteRun } from './host-suite.js';

/** What a run waits for, as soon as that is so much. */
export async function waitsOf(run: SuiteRun, count: number): Promise<readonly Wait[]> {
  for (;;) {
    const waits = await run.waiting();
    if (waits.length >= count) return waits;
    await sleep(20);
  }
}

/** Runs that wait for people; part of `hostSuite`. */
export function hostPeople(name: string, host: () => SuiteHost): void {
  describe(`${name}: people`, () => {
    const asked = any(
      pipeline('asked', { input: one, deadline: '1h' }, ({ input, stage }) => {
        const decision = stage('sign-off', approve({ timeout: '30m' }), { subject: 'it' });
        return { by: decision.by, approved: decision.approved, n: stage('a', add, { n: input.n }).n };
      }),
    );

    it('waits for a person, and takes what decides nothing for none', async () => {
      const refused: string[] = [];
      const end = await host().run(
        asked,
        { n: 1 },
        {
          act: async (run) => {
            const [wait] = await waitsOf(run, 1);
            const { nonce } = wait as Wait;
            const no = (given: object) =>
              run.decide(given as GivenDecision).catch((error: Error) => refused.push(error.message));
            await no({ nonce, approved: 'yes' });
            await no({ approved: true });
            await no({ nonce: 'another', approved: true });
            await no({ nonce, approved: true, path: 'another' });
            await no({ nonce, approved: true, by: 'timeout' });
            await run.decide({ nonce, approved: true, by: 'ada' });
          },
        },
      );
      expect(end.output).toEqual({ by: 'ada', approved: true, n: 2 });
      expect(refused.map((message) => message.split(':', 1)[0])).toEqual([
        'INVALID_INPUT',
        'INVALID_INPUT',
        'NOT_WAITING',
        'NOT_WAITING',
        'INVALID_INPUT',
      ]);
    });

    it('takes the first of two decisions at once, and the same one again as the same', async () => {
      const twice = any(
        pipeline('asked-twice', { input: one, deadline: '1h' }, ({ stage }) => {
          const first = stage('first', approve({ timeout: '30m' }), { subject: 'it' });
          const second = stage('second', approve({ timeout: '30m' }), { subject: text`what ${first.by} said` });
          return { first: first.by, second: second.by };
        }),
      );
      let outcomes: readonly PromiseSettledResult<void>[] = [];
      let winner = '';
      const end = await host().run(
        twice,
        { n: 1 },
        {
          act: async (run) => {
            const [wait] = await waitsOf(run, 1);
            const { nonce } = wait as Wait;
            const ada = { nonce, approved: true, by: 'ada' };
            const bob = { nonce, approved: false, by: 'bob' };
            outcomes = await Promise.allSettled([run.decide(ada), run.decide(bob), run.decide(ada)]);
            // Which comes first nobody can say.
            const [sent, late] = outcomes[0]?.status === 'fulfilled' ? [ada, bob] : [bob, ada];
            winner = sent.by;
            let next: Wait | undefined;
            while (next === undefined) next = (await run.waiting()).find(({ path }) => path === 'second');
            expect(next.nonce).not.toBe(nonce);
            await expect(run.decide(late)).rejects.toThrow('ALREADY_DECIDED');
            await run.decide(sent);
            await run.decide({ nonce: next.nonce, approved: true, by: 'cy' });
          },
        },
      );
      expect(end.output).toEqual({ first: winner, second: 'cy' });
      const [took, other] = winner === 'ada' ? ['fulfilled', 'rejected'] : ['rejected', 'fulfilled'];
      expect(outcomes.map(({ status }) => status)).toEqual([took, other, took]);
    });

    it('lists all waits, however much they are about together, and takes a decision on one', async () => {
      const votes = any(
        pipeline(
          'votes',
          { input: z.object({ text: z.string(), voters: z.array(z.number()) }), deadline: '1h' },
          ({ input, stage, each }) => {
            const vote = () => stage('vote', approve({ timeout: '30m' }), { subject: input.text }).by;
            return { all: each('votes', input.voters, vote, { concurrency: 256 }) };
          },
        ),
      );
      const voters = Array.from({ length: 256 }, (_, n) => n);
      let left: readonly Wait[] = [];
      const end = await host().run(
        votes,
        { text: 'x'.repeat(9_000), voters },
        {
          act: async (run) => {
            const waits = await waitsOf(run, 256);
            expect(new Set(waits.map(({ nonce }) => nonce)).size).toBe(256);
            await run.decide({ nonce: (waits[7] as Wait).nonce, approved: true });
            left = await run.waiting();
            await run.cancel();
          },
        },
      );
      expect(left).toHaveLength(255);
      expect(end.code).toBe('RUN_CANCELLED');
    });

    it('decides for a person who does not', async () => {
      const late = any(
        pipeline('asked-late', { input: one }, ({ stage }) => {
          const decision = stage('sign-off', approve({ timeout: '300ms', otherwise: true }), { subject: 'it' });
          return { by: decision.by, approved: decision.approved };
        }),
      );
      expect((await host().run(late, { n: 1 })).output).toEqual({ by: 'timeout', approved: true });
    });
  });
}
