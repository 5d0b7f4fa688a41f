// A2A's own client of version 0.3 against a gateway: node a2a-0-3.mjs URL.
import { randomUUID } from 'node:crypto';
import { A2AClient } from 'a2a-sdk-0-3/client';
import { tryAll } from './cases.mjs';

const [, , url] = process.argv;
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const TWO = 'CALL weather {"city":"Paris"} CALL weather {"city":"Rome"}';
const PAY = 'CALL pay {"invoice":"7"}';

const [full, desk] = await Promise.all(
  ['full', 'desk'].map((name) => A2AClient.fromCardUrl(`${url}/a2a/${name}/.well-known/agent-card.json`)),
);
const request = (parts, { configuration, ...more } = {}) => ({
  message: { kind: 'message', messageId: randomUUID(), role: 'user', parts, ...more },
  ...(configuration && { configuration }),
});
const told = (text) => request([{ kind: 'text', text }]);
const resultOf = ({ result, error }) => {
  if (error) throw new Error(error.message);
  return result;
};
const sent = async (client, asked) => resultOf(await client.sendMessage(asked));
const answer = ({ artifacts }) => artifacts.find(({ artifactId }) => artifactId === 'answer').parts[0].text;
const said = async (client, ...given) => answer(await sent(client, request(...given)));
const growing = async (stream, onTask = () => undefined) => {
  let text = '';
  for await (const event of stream) {
    if (event.kind === 'task') onTask(event.id);
    if (event.kind !== 'artifact-update' || event.artifact.artifactId !== 'answer') continue;
    text = (event.append ? text : '') + event.artifact.parts[0].text;
  }
  return text;
};
const taskAt = async (id) => resultOf(await desk.getTask({ id }));
async function until(id, state) {
  for (;;) {
    const task = await taskAt(id);
    if (task.status.state === state) return task;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
const decided = ({ id: taskId, contextId, status }) => {
  const { nonce } = status.message.parts.find(({ kind }) => kind === 'data').data;
  return request([{ kind: 'data', data: { nonce, approved: true } }], { taskId, contextId });
};

await tryAll(
  '@a2a-js/sdk',
  'a2a',
  {
    text: () => said(full, [{ kind: 'text', text: 'hello' }]),
    stream: () => growing(full.sendMessageStream(told('hello'))),
    image: () =>
      said(full, [
        { kind: 'text', text: 'see' },
        { kind: 'file', file: { bytes: PIXEL, mimeType: 'image/png' } },
      ]),
    'second turn': async () => {
      const { contextId } = await sent(full, told('hello'));
      return await said(full, [{ kind: 'text', text: 'again' }], { contextId });
    },
    agent: () => said(desk, [{ kind: 'text', text: TWO }]),
    'agent, streamed': () => growing(desk.sendMessageStream(told(TWO))),
    background: async () => {
      const { id } = await sent(desk, request([{ kind: 'text', text: TWO }], { configuration: { blocking: false } }));
      return answer(await until(id, 'completed'));
    },
    'connection lost': async () => {
      let id;
      for await (const event of desk.sendMessageStream(told(PAY))) {
        id = event.id;
        break;
      }
      const follows = growing(desk.resubscribeTask({ id }));
      await sent(desk, decided(await until(id, 'input-required')));
      return await follows;
    },
    approval: async () => answer(await sent(desk, decided(await sent(desk, told(PAY))))),
  },
  'a2a-sdk-0-3',
);
process.exit(0);
