import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Part {
  readonly type: string;
  readonly text?: string;
  readonly image_url?: { readonly url: string };
}
interface Asked {
  readonly messages: readonly { readonly role: string; readonly content: string | readonly Part[] | null }[];
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
  readonly response_format?: object;
  readonly stream?: boolean;
}
interface Said {
  readonly content: string | null;
  readonly tool_calls?: readonly object[];
}

const USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

/**
 * A server of OpenAI's chat completions that does what its user says, since the embedded model is too small to call
 * tools: `CALL weather {"city":"Paris"}` calls a tool, as a question for the weather does, `JSON {"a":1}` answers in JSON, or by the first tool where a client
 * asks for structured output so; results of tools and sizes of images are repeated, other texts come back.
 */
export async function scriptedModel(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1`, close: () => server.close() };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (!request.url?.endsWith('/chat/completions')) return void response.writeHead(404).end('{}');
  const asked = JSON.parse(Buffer.concat(chunks).toString()) as Asked;
  const said = saidTo(asked);
  const finish = said.tool_calls === undefined ? 'stop' : 'tool_calls';
  const common = { id: 'scripted', created: 1, model: 'scripted' };
  if (asked.stream !== true) {
    const choice = { index: 0, finish_reason: finish, message: { role: 'assistant', ...said } };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...common, object: 'chat.completion', choices: [choice], usage: USAGE }));
    return;
  }
  response.setHeader('content-type', 'text/event-stream');
  const send = (delta: object, finish_reason: string | null = null) => {
    const choices = [{ index: 0, delta, finish_reason }];
    response.write(`data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', choices })}\n\n`);
  };
  for (const word of said.content?.split(/(?<= )/) ?? []) send({ content: word });
  if (said.tool_calls) send({ tool_calls: said.tool_calls.map((call, index) => ({ index, ...call })) });
  send({}, finish);
  const usage = { ...common, object: 'chat.completion.chunk', choices: [], usage: USAGE };
  response.end(`data: ${JSON.stringify(usage)}\n\ndata: [DONE]\n\n`);
}

function saidTo({ messages, tools = [], response_format }: Asked): Said {
  const last = messages.findLastIndex(({ role }) => role === 'user');
  const results = messages.slice(last + 1).filter(({ role }) => role === 'tool');
  if (results.length > 0) return { content: `Results: ${results.map(({ content }) => textOf(content)).join(' | ')}` };
  const content = messages[last]?.content ?? '';
  const text = textOf(content);
  const called = [...text.matchAll(/CALL (\S+) (\{[^}]*\})/g)].map(([, name = '', args = '']) => call(name, args));
  if (called.length > 0) return { content: null, tool_calls: called };
  const [, city] = /What is the weather in (\w+)\?/.exec(text) ?? [];
  const offered = tools.some(({ function: { name } }) => name === 'weather');
  if (city !== undefined && offered) return { content: null, tool_calls: [call('weather', JSON.stringify({ city }))] };
  const [, json] = /JSON (\{.*\})/.exec(text) ?? [];
  if (json !== undefined && response_format !== undefined) return { content: json };
  const [first] = tools;
  if (json !== undefined && first !== undefined)
    return { content: null, tool_calls: [call(first.function.name, json)] };
  const image = typeof content === 'string' ? undefined : content.find(({ type }) => type === 'image_url');
  if (image) return { content: `An image of ${image.image_url?.url.length} characters.` };
  return { content: `You said: ${text}` };
}

let calls = 0;
const call = (name: string, args: string) => ({
  id: `call_${calls++}`,
  type: 'function',
  function: { name, arguments: args },
});

const textOf = (content: string | readonly Part[] | null): string =>
  typeof content === 'string' ? content : (content ?? []).map(({ text = '' }) => text).join('\n');
