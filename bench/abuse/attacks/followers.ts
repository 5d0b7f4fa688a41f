import { Agent } from 'node:http';
import { type AttackContext, type Load, paced } from '../attack.js';
import { answerTo, exchange, json, outcomeOf, POST, readAnswer } from '../exchange.js';

/** More than a tenant's limit, opened at a tenant's default rate before the bystander starts. */
const COUNT = 1_500;
const PACE = { everyMs: 10, atOnce: COUNT, most: COUNT };
const HELD = JSON.stringify({ text: 'a' });
const RUNS = '/v1/pipelines/held/runs';
/** Connections per address are limited below 1,500. */
const addressOf = (n: number) => `127.0.0.${2 + (n % 3)}`;

/** Each opens a connection of its own and keeps it for the whole round. */
async function openAll(
  context: AttackContext,
  one: (to: {
    port: number;
    secret: string;
    from: string;
    end: AbortSignal;
    agent: Agent;
  }) => Promise<string | undefined>,
): Promise<void> {
  const { doors, secrets, over, begun } = context;
  let opened = 0;
  const agent = new Agent({ keepAlive: false, maxSockets: COUNT });
  await paced(PACE, { ...context, begun: () => undefined }, async (n) => {
    opened += 1;
    if (opened === COUNT) begun();
    try {
      return await one({ port: doors.http, secret: secrets.attacker, from: addressOf(n), end: over, agent });
    } catch (error) {
      if (over.aborted) return undefined; // aborted at the end of the round
      throw error;
    }
  });
  agent.destroy();
}

export const manyFollowers: readonly Load[] = [
  {
    name: 'followers',
    about: '1,500 clients that follow one run',
    must: ['200', '429 TOO_MANY_STREAMS'],
    async run(context) {
      const { doors, secrets, note, end } = context;
      const request = { port: doors.http, path: RUNS, secret: secrets.attacker, body: HELD, end, ...POST };
      const { id } = json<{ id: string }>(await exchange(request));
      await openAll(context, async (to) => {
        const response = await answerTo({ ...to, path: `/v1/runs/${id}/events` });
        if (response.statusCode !== 200) return outcomeOf(await readAnswer(response));
        note('200');
        for await (const _ of response); // never ends by itself
        return undefined;
      });
    },
  },
  {
    name: 'waiters',
    about: '1,500 clients that wait for one run',
    must: ['429 TOO_MANY_STREAMS'],
    may: ['202'],
    async run(context) {
      const headers = { ...POST.headers, 'idempotency-key': `waited-${Date.now()}`, prefer: 'wait=55' };
      await openAll(context, async (to) =>
        outcomeOf(await exchange({ ...to, path: RUNS, body: HELD, method: 'POST', headers })),
      );
    },
  },
];
