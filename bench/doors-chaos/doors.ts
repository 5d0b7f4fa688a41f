import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SendMessageRequest, StreamResponse } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { HttpAgent } from '@ag-ui/client';
import Anthropic from '@anthropic-ai/sdk';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import OpenAI from 'openai';
import { MillraceClient } from '../../client/index.js';

/** What a client has learnt of its run before it fails. */
export interface Seen {
  run?: string | undefined;
}

/**
 * Asks the agent through a door, with the protocol's own client as it comes, and returns the answer's text. What a client can go on
 * with by itself (retries, streams that resume) is part of it.
 */
export type Door = (base: string, message: string, seen: Seen) => Promise<string>;

const MODEL = 'clerk';
/**
 * Longest silence of a turn's progress, by far: a lost worker is noticed within 5 s. The client does not notice a stream that broke
 * off, and waits until then; the point's other turns are over long before.
 */
const MCP_SILENCE_MS = 30_000;
const POLL_MS = 500;

const openai = (base: string) => new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none' });
const anthropic = (base: string) => new Anthropic({ baseURL: base, apiKey: 'none' });
const said = (content: string) => [{ role: 'user' as const, content }];

const chat: Door = async (base, message, seen) => {
  const { data, response } = await openai(base)
    .chat.completions.create({ model: MODEL, messages: said(message) })
    .withResponse();
  seen.run = response.headers.get('millrace-run') ?? undefined;
  return data.choices[0]?.message.content ?? '';
};

const chatStream: Door = async (base, message, seen) => {
  const { data, response } = await openai(base)
    .chat.completions.create({ model: MODEL, messages: said(message), stream: true })
    .withResponse();
  seen.run = response.headers.get('millrace-run') ?? undefined;
  let text = '';
  for await (const { choices } of data) text += choices[0]?.delta.content ?? '';
  return text;
};

const responses: Door = async (base, message) =>
  (await openai(base).responses.create({ model: MODEL, input: message })).output_text;

/** A stream that breaks off goes on behind the last event, as OpenAI documents. */
const responsesStream: Door = async (base, message) => {
  const client = openai(base);
  let [id, last, text] = ['', -1, ''];
  const read = async (events: AsyncIterable<OpenAI.Responses.ResponseStreamEvent>) => {
    for await (const event of events) {
      last = event.sequence_number;
      if (event.type === 'response.created') ({ id } = event.response);
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') return true;
    }
    return false;
  };
  let isWhole = await read(await client.responses.create({ model: MODEL, input: message, stream: true })).catch(broken);
  for (let left = 20; !isWhole && id !== '' && left > 0; left--) {
    await sleep(POLL_MS);
    const more = client.responses.retrieve(id, { stream: true, starting_after: last });
    isWhole = await read(await more).catch(broken);
  }
  if (!isWhole) throw new Error('the stream has no end');
  return text;
};
const broken = (): false => false;

const background: Door = async (base, message) => {
  const client = openai(base);
  let response = await client.responses.create({ model: MODEL, input: message, background: true });
  while (response.status === 'queued' || response.status === 'in_progress') {
    await sleep(POLL_MS);
    response = await client.responses.retrieve(response.id);
  }
  return response.output_text;
};

const messages: Door = async (base, message, seen) => {
  const { data, response } = await anthropic(base)
    .messages.create({ model: MODEL, max_tokens: 512, messages: said(message) })
    .withResponse();
  seen.run = response.headers.get('millrace-run') ?? undefined;
  return data.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
};

const messagesStream: Door = async (base, message, seen) => {
  const { data, response } = await anthropic(base)
    .messages.create({ model: MODEL, max_tokens: 512, messages: said(message), stream: true })
    .withResponse();
  seen.run = response.headers.get('millrace-run') ?? undefined;
  let [text, isWhole] = ['', false];
  for await (const event of data) {
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
    isWhole ||= event.type === 'message_stop';
  }
  if (!isWhole) throw new Error('the stream has no end');
  return text;
};

const mcp: Door = async (base, message, seen) => {
  const client = new Client({ name: 'doors-chaos', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${base}/mcp`)));
  try {
    const { structuredContent } = await client.callTool(
      { name: MODEL, arguments: { message } },
      {
        timeout: MCP_SILENCE_MS,
        resetTimeoutOnProgress: true,
        onprogress: ({ message: told = '' }) => {
          seen.run ??= /^run (\S+)$/.exec(told)?.[1];
        },
      },
    );
    return String((structuredContent as { text?: unknown } | undefined)?.text ?? '');
  } finally {
    await client.close();
  }
};

const agui: Door = async (base, message, seen) => {
  const agent = new HttpAgent({ url: `${base}/v1/agui/${MODEL}`, threadId: randomUUID() });
  agent.messages = [{ id: '1', role: 'user', content: message }];
  agent.subscribe({
    onStateSnapshotEvent: ({ event }) => {
      seen.run ??= (event.snapshot as { millrace?: { run?: string } } | undefined)?.millrace?.run;
    },
  });
  const { newMessages } = await agent.runAgent();
  const last = newMessages.findLast(({ role }) => role === 'assistant');
  return String(last?.content ?? '');
};

const a2a: Door = async (base, message, seen) => {
  const client = await new ClientFactory().createFromUrl(`${base}/a2a/${MODEL}/`);
  const request = SendMessageRequest.fromJSON({
    message: { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text: message }] },
    configuration: {},
  });
  let [text, isWhole] = ['', false];
  for await (const each of client.sendMessageStream(request)) {
    const { task, statusUpdate, artifactUpdate } = StreamResponse.toJSON(each) as {
      task?: { id: string };
      statusUpdate?: { status?: { state?: string } };
      artifactUpdate?: { append?: boolean; artifact?: { artifactId?: string; parts?: { text?: string }[] } };
    };
    if (task) seen.run ??= task.id;
    if (artifactUpdate?.artifact?.artifactId === 'answer') {
      const more = (artifactUpdate.artifact.parts ?? []).map((part) => part.text ?? '').join('');
      text = artifactUpdate.append === true ? text + more : more;
    }
    isWhole ||= statusUpdate?.status?.state === 'TASK_STATE_COMPLETED';
  }
  if (!isWhole) throw new Error('the stream has no end');
  return text;
};

const rest: Door = async (base, message) => {
  const { output } = await new MillraceClient({ baseUrl: base }).run(MODEL, { message });
  return String((output as { text?: unknown }).text ?? '');
};

/** Every door that runs an agent and has a client of its own for Node. */
export const DOORS: Readonly<Record<string, Door>> = {
  rest,
  chat,
  'chat, streamed': chatStream,
  responses,
  'responses, streamed': responsesStream,
  'responses, background': background,
  messages,
  'messages, streamed': messagesStream,
  mcp,
  agui,
  a2a,
};
