import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonObject } from '../../pipelines/json.js';
import type { AgentMessage } from '../../pipelines/plan/index.js';
import type { Said, Script } from './scripted-model.js';

interface Request {
  readonly model: string;
  readonly messages: readonly {
    readonly role: AgentMessage['role'];
    readonly content: string | null;
    readonly tool_calls?: readonly { readonly id: string; readonly function: { name: string; arguments: string } }[];
    readonly tool_call_id?: string;
  }[];
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
}

/**
 * A server of OpenAI's chat completions that says what a script says, streamed: no real model says the same thing twenty
 * times, and small ones hardly call a tool. Usage is one token for each character.
 */
export class ScriptedLlm {
  /** How often the model was asked, by the path of no one: all calls. */
  calls = 0;
  /** What all answers have used, as it has told. */
  readonly tokens = { input: 0, output: 0 };
  /** `traceparent` of each call. */
  readonly traces: (string | undefined)[] = [];
  readonly #script: Script;
  readonly #server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (!request.url?.endsWith('/chat/completions')) return void response.writeHead(404).end('{}');
    this.calls += 1;
    this.traces.push(request.headers.traceparent as string | undefined);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Request;
    const tools = (body.tools ?? []).map(({ function: { name } }) => name);
    const messages = body.messages.filter(({ role }) => role !== 'system').map(messageOf);
    const said = await this.#script({ messages, tools, with: {} });
    if (said.tooLongFor !== undefined) {
      const message = `the request exceeds the available context size (${said.tooLongFor} tokens), try increasing it`;
      const error = { code: 400, message, type: 'exceed_context_size_error', n_ctx: said.tooLongFor };
      return void response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const asked = JSON.stringify(body.messages).length;
    this.tokens.input += asked;
    this.tokens.output += said.text?.length ?? 0;
    for (const event of eventsOf(said, asked)) {
      response.write(`data: ${JSON.stringify(event)}\n\n`);
    }
    response.end('data: [DONE]\n\n');
  });

  constructor(script: Script) {
    this.#script = script;
  }

  /**
   * Starts it. Gives the path of a models file whose pool `name` it serves.
   * @param others pools besides
   * @param price of a million tokens
   */
  async listen(name = 'scripted', others: JsonObject = {}, price?: JsonObject): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'models.json');
    const pool = { connector: 'openai', kind: 'chat', model: 'scripted', endpoints: [{ url, device: 'cpu0' }] };
    writeFileSync(file, JSON.stringify({ [name]: { ...pool, ...(price && { price }) }, ...others }));
    return file;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const messageOf = ({ role, content, tool_calls, tool_call_id }: Request['messages'][number]): AgentMessage => ({
  role,
  content: content ?? '',
  ...(tool_calls && {
    toolCalls: tool_calls.map(({ id, function: { name, arguments: given } }) => ({
      id,
      name,
      arguments: JSON.parse(given) as JsonObject,
    })),
  }),
  ...(tool_call_id !== undefined && { toolCallId: tool_call_id }),
});

function eventsOf({ text = '', calls = [] }: Said, requests: number): object[] {
  const chunk = (delta: object, finish: string | null = null) => ({
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  const words = text.match(/\S+\s*/g) ?? [];
  const deltas = calls.map(([name, given], index) => ({
    index,
    id: `call_${index}`,
    type: 'function',
    function: { name, arguments: JSON.stringify(given) },
  }));
  return [
    ...words.map((content) => chunk({ content })),
    ...deltas.map((delta) => chunk({ tool_calls: [delta] })),
    chunk({}, calls.length > 0 ? 'tool_calls' : 'stop'),
    { choices: [], usage: { prompt_tokens: requests, completion_tokens: text.length } },
  ];
}
