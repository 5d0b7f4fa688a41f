import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const HOST = '127.0.0.1';
/** Almost matches a pattern such as `^(a+)+$`: a backtracking engine tries 2³⁴ ways. */
const ALMOST = JSON.stringify({ a: `${'a'.repeat(34)}!` });
const DIMENSIONS = 8;

interface Chat {
  readonly stream?: boolean;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
}

/**
 * A model server with the replies that the attacks need: to `hostile` a text that almost matches a hostile pattern, as
 * text or as arguments of the first tool; otherwise the number of messages received, which shows a session's content.
 * It uses next to no processor time.
 */
export async function openModelServer(): Promise<string> {
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  server.listen(0, HOST);
  await once(server, 'listening');
  return `http://${HOST}:${(server.address() as AddressInfo).port}/v1`;
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const body = Buffer.concat(pieces).toString();
  if (request.url?.endsWith('/chat/completions')) return complete(JSON.parse(body) as Chat, response);
  const embedding = Array.from({ length: DIMENSIONS }, (_, i) => (i === body.length % DIMENSIONS ? 1 : 0.1));
  const answer = request.url?.endsWith('/embeddings')
    ? { object: 'list', data: [{ object: 'embedding', index: 0, embedding }] }
    : { object: 'list', data: [{ id: 'model', object: 'model' }] };
  send(response, answer);
}

function complete({ stream, messages, tools }: Chat, response: ServerResponse): void {
  const conversation = messages.filter(({ role }) => role !== 'system');
  const hostile = conversation.at(-1)?.content === 'hostile';
  const name = tools?.[0]?.function.name;
  const called = hostile && name !== undefined;
  const message = called
    ? { tool_calls: [{ index: 0, id: 'call', type: 'function', function: { name, arguments: ALMOST } }] }
    : { content: hostile ? ALMOST : `heard ${conversation.length}` };
  const finish_reason = called ? 'tool_calls' : 'stop';
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  const head = { id: 'c', created: 0, model: 'model' };
  const role = 'assistant';
  if (!stream) {
    const choices = [{ index: 0, message: { role, ...message }, finish_reason }];
    send(response, { ...head, object: 'chat.completion', choices, usage });
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = (choices: readonly object[], more = {}) =>
    response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...more })}\n\n`);
  chunk([{ index: 0, delta: { role, ...message }, finish_reason: null }]);
  chunk([{ index: 0, delta: {}, finish_reason }]);
  chunk([], { usage });
  response.end('data: [DONE]\n\n');
}

const send = (response: ServerResponse, body: object): void =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
