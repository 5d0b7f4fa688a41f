/**
 * A model server that stalls: 5 % of its chat completions take an additional second, the others 15 to 25 ms. It listens
 * on two loopback ports, as two endpoints would, prints their base URLs as one line of JSON, and ends with its standard
 * input.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mulberry32 } from '../random.js';

const USUAL_MS = { least: 15, most: 25 };
const STALL_MS = 1_000;
const STALLED_SHARE = 0.05;

const random = mulberry32(1);
let calls = 0;

const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
const envelope = { id: 'c', object: 'chat.completion', created: 0, model: 'slow' };

function answer(response: ServerResponse, streamed: boolean): void {
  const content = 'Yes.';
  if (!streamed) {
    const choice = { index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' };
    json(response, { ...envelope, choices: [choice], usage });
    return;
  }
  const chunk = (choices: unknown, more = {}) =>
    `data: ${JSON.stringify({ ...envelope, object: 'chat.completion.chunk', choices, ...more })}\n\n`;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(chunk([{ index: 0, delta: { role: 'assistant', content }, finish_reason: null }]));
  response.write(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }], { usage }));
  response.end('data: [DONE]\n\n');
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/calls') return json(response, { calls });
  if (request.url === '/v1/models') return json(response, { object: 'list', data: [{ id: 'slow', object: 'model' }] });
  let body = '';
  for await (const part of request) body += String(part);
  calls += 1;
  const stalled = random() < STALLED_SHARE ? STALL_MS : 0;
  const ms = USUAL_MS.least + random() * (USUAL_MS.most - USUAL_MS.least) + stalled;
  const timer = setTimeout(answer, ms, response, JSON.parse(body).stream === true);
  response.on('close', () => clearTimeout(timer));
}

async function listen(): Promise<string> {
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

process.stdout.write(`${JSON.stringify([await listen(), await listen()])}\n`);
process.stdin.on('end', () => process.exit()).resume();
