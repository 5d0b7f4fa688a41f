/**
 * An LLM server that uses no processor time: its first token comes after 10 ms, the others every 5 ms. It listens on a
 * loopback port, prints its base URL as a line, and ends with its standard input.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 10;
const EVERY_MS = 5;
const TOKENS = ['The', ' capital', ' of', ' France', ' is', ' Paris', '.'];

const envelope = { id: 'c', created: 0, model: 'assistant' };
const usage = { prompt_tokens: 28, completion_tokens: TOKENS.length, total_tokens: 28 + TOKENS.length };

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/v1/models') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ object: 'list', data: [{ id: 'assistant', object: 'model' }] }));
    return;
  }
  for await (const _ of request);
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  const chunk = (choices: readonly object[], more = {}) =>
    response.write(`data: ${JSON.stringify({ ...envelope, object: 'chat.completion.chunk', choices, ...more })}\n\n`);
  for (const [i, content] of TOKENS.entries()) {
    await sleep(i === 0 ? FIRST_MS : EVERY_MS);
    chunk([{ index: 0, delta: { ...(i === 0 && { role: 'assistant' }), content }, finish_reason: null }]);
  }
  chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]);
  chunk([], { usage });
  response.end('data: [DONE]\n\n');
}

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1\n`);
});
process.stdin.on('end', () => process.exit()).resume();
