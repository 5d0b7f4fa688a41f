/**
 * No model: a server of OpenAI's chat completions that answers every request after the same time, with one call of the first tool, and
 * with a text once a tool has answered. It listens on a loopback port, prints its base URL as a line, and ends with its standard input.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWER, LATENCY_MS, TOOL } from './turn.js';

interface Asked {
  readonly messages: readonly { readonly role: string }[];
  readonly stream?: boolean;
}

const envelope = { id: 'fixed', created: 0, model: 'assistant' };
const usage = { prompt_tokens: 40, completion_tokens: 10, total_tokens: 50 };
const call = {
  index: 0,
  id: 'call_1',
  type: 'function',
  function: { name: TOOL, arguments: JSON.stringify({ city: 'Oslo' }) },
};

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/v1/models')
    return json(response, { object: 'list', data: [{ id: 'assistant', object: 'model' }] });
  if (request.url !== '/v1/chat/completions') return void response.writeHead(404).end('{}');
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += piece;
  const { messages, stream } = JSON.parse(text) as Asked;
  await sleep(LATENCY_MS);
  const ended = messages.at(-1)?.role === 'tool';
  const said = ended ? { content: ANSWER } : { content: null, tool_calls: [call] };
  const finish_reason = ended ? 'stop' : 'tool_calls';
  if (stream !== true) {
    const choices = [{ index: 0, finish_reason, message: { role: 'assistant', ...said } }];
    return json(response, { ...envelope, object: 'chat.completion', choices, usage });
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = (more: object) =>
    response.write(`data: ${JSON.stringify({ ...envelope, object: 'chat.completion.chunk', ...more })}\n\n`);
  chunk({ choices: [{ index: 0, delta: { role: 'assistant', ...said }, finish_reason: null }] });
  chunk({ choices: [{ index: 0, delta: {}, finish_reason }] });
  chunk({ choices: [], usage });
  response.end('data: [DONE]\n\n');
}

const json = (response: ServerResponse, value: object): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1\n`);
});
process.stdin.on('end', () => process.exit()).resume();
