// A chat server for recordings: it says what the first message asks it for, until the tools have said enough.
import { createServer } from 'node:http';

const TURNS = {
  all: [
    [
      ['count', { n: 1 }],
      ['doubled', { n: 2 }],
      ['count', { m: 1 }],
    ],
    [['count', { n: 2 }]],
  ],
  refund: [[['refund', { order: 'A1' }]]],
  book: [[['book', { order: 'A1' }]]],
  long: Array.from({ length: 18 }, (_, n) => [['pad', { n }]]),
  sum: [[['add', { a: 1, b: 2 }]]],
  heap: [[0, 1, 2, 3, 4].map((n) => ['heap', { n }])],
  rules: [[['count', { n: 1 }]], [0, 1, 2, 3, 4].map((n) => ['heap', { n }])],
};

function messageOf(messages, tools) {
  const spoken = messages.filter(({ role }) => role !== 'system');
  const began = spoken.findLastIndex(({ role, content }) => role === 'user' && Object.hasOwn(TURNS, content));
  const turn = spoken.slice(began).filter(({ role }) => role === 'assistant').length;
  const calls = tools ? TURNS[spoken[began].content][turn] : undefined;
  if (!calls) return { role: 'assistant', content: tools ? 'Done.' : '{"sum":3}' };
  const tool_calls = calls.map(([name, given], i) => {
    return { id: `call_${turn}_${i}`, type: 'function', function: { name, arguments: JSON.stringify(given) } };
  });
  return { role: 'assistant', content: null, tool_calls };
}

/** Resolves with the server; its base URL is `url`. */
export async function scriptedLlm() {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    if (!request.url.endsWith('/chat/completions')) return response.writeHead(404).end('{}');
    const { messages, tools } = JSON.parse(text);
    const message = messageOf(messages, tools);
    const choice = { index: 0, message, finish_reason: message.tool_calls ? 'tool_calls' : 'stop' };
    const usage = { prompt_tokens: 10 * messages.length, completion_tokens: 5 };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ choices: [choice], usage }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/v1`, close: () => server.close() };
}
