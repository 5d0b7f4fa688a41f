import { setTimeout as sleep } from 'node:timers/promises';
import type { Check } from '../attack.js';
import { exchange, json, outcomeOf, POST } from '../exchange.js';

const WAITED = { ...POST.headers, prefer: 'wait=30' };
const POLL_MS = 200;
const POLLS = 100;

interface Run {
  readonly id: string;
  readonly waiting?: readonly { readonly nonce: string }[];
  readonly output?: { readonly by?: string; readonly actor?: string; readonly text?: string };
}

/** Signs an approval with another's name: the key is recorded beside it. */
export const foreignSignature: Check = {
  name: 'foreign-signature',
  about: 'an approval signed as another: who was authenticated is recorded beside the name',
  must: ['202', 'by the chief, actor its key'],
  async answers({ doors, secrets, ids }) {
    const secret = secrets.attacker;
    const port = doors.http;
    const body = JSON.stringify({ text: 'pay?' });
    const { id } = json<Run>(await exchange({ port, path: '/v1/pipelines/held/runs', secret, body, ...POST }));
    const decide = async () => {
      // A decision may need the wait's nonce, which the run shows.
      const { waiting: [wait] = [] } = json<Run>(await exchange({ port, path: `/v1/runs/${id}`, secret }));
      const decision = { by: 'the chief', ...(wait && { nonce: wait.nonce }) };
      return await exchange({ port, path: `/v1/runs/${id}/approve`, secret, body: JSON.stringify(decision), ...POST });
    };
    // The run must first reach its wait.
    let decided = await decide();
    for (let i = 0; decided.status !== 202 && i < POLLS; i++) {
      await sleep(POLL_MS);
      decided = await decide();
    }
    for (let i = 0; i < POLLS; i++) {
      const { output } = json<Run>(await exchange({ port, path: `/v1/runs/${id}`, secret }));
      if (output) {
        const actor = output.actor === `key:${ids.attacker}` ? 'its key' : String(output.actor);
        return [outcomeOf(decided), `by ${output.by}, actor ${actor}`];
      }
      await sleep(POLL_MS);
    }
    return [outcomeOf(decided), 'the run has not ended'];
  },
};

/**
 * Continues a conversation of another key and of another pipeline. The model answers with the number of messages it was
 * sent.
 */
export const foreignSession: Check = {
  name: 'foreign-session',
  about: 'a session with the name of another key’s or another pipeline’s session',
  must: ['own: heard 1, then heard 3', 'another pipeline: heard 1', 'another key: heard 1'],
  async answers({ doors, secrets }) {
    const session = `s${Date.now()}`;
    const said = async (secret: string, pipeline: string) => {
      const body = JSON.stringify({ prompt: 'hello', session });
      const request = { port: doors.http, path: `/v1/pipelines/${pipeline}/runs`, secret, method: 'POST', body };
      const answer = await exchange({ ...request, headers: WAITED });
      return answer.status === 200 ? String(json<Run>(answer).output?.text) : outcomeOf(answer);
    };
    const own = [await said(secrets.first, 'agent-a'), await said(secrets.first, 'agent-a')];
    return [
      `own: ${own.join(', then ')}`,
      `another pipeline: ${await said(secrets.second, 'agent-b')}`,
      `another key: ${await said(secrets.third, 'agent-a')}`,
    ];
  },
};
