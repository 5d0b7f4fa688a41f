import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerOf, MODEL_MS, numberIn, orderOf, TOOLS } from './turn.js';

const HOST = '127.0.0.1';
const NAMES = Object.keys(TOOLS);
const USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

interface Asked {
  readonly messages: readonly { readonly role: string; readonly content: string | null }[];
  readonly stream?: boolean;
}

/** A call of the model. */
export interface ModelCall {
  readonly run: number;
  readonly stage: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Name of the process that calls. */
  readonly by: string;
}

/**
 * A server of OpenAI's chat completions that calls the three tools one after the other and then answers: the embedded model is
 * too small to call tools reliably, and what is tested is everything around the model.
 */
export class ScriptedModel {
  readonly #onCall: (call: ModelCall) => void;
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  #calls = 0;

  private constructor(onCall: (call: ModelCall) => void) {
    this.#onCall = onCall;
  }

  static async open(onCall: (call: ModelCall) => void): Promise<ScriptedModel> {
    const model = new ScriptedModel(onCall);
    model.#server.listen(0, HOST);
    await once(model.#server, 'listening');
    return model;
  }

  get url(): string {
    return `http://${HOST}:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const [, by = '', path = ''] = /^\/([^/]+)\/v1(\/.*)$/.exec(request.url ?? '') ?? [];
    if (path === '/models') return void response.end(JSON.stringify({ object: 'list', data: [{ id: 'scripted' }] }));
    if (path !== '/chat/completions') return void response.writeHead(404).end('{}');
    const { messages, stream } = JSON.parse(Buffer.concat(pieces).toString()) as Asked;
    const asked = messages.map(({ content }) => content ?? '').join('\n');
    if (!/order \d{5}/.test(asked)) return await this.#say(response, stream, { text: ['Yes.'] });
    const number = numberIn(asked);
    const done = messages.filter(({ role }) => role === 'tool').length;
    this.#onCall({ run: number, stage: `turn-${done + 1}`, at: Date.now(), by });
    await sleep(MODEL_MS);
    const tool = NAMES[done];
    await this.#say(
      response,
      stream,
      tool === undefined ? { text: answerOf(number) } : { call: [tool, { order: orderOf(number) }] },
    );
  }

  async #say(
    response: ServerResponse,
    stream: boolean | undefined,
    { text = [], call }: { readonly text?: readonly string[]; readonly call?: readonly [name: string, given: object] },
  ): Promise<void> {
    const finish = call ? 'tool_calls' : 'stop';
    const calls = call && [
      {
        id: `call_${this.#calls++}`,
        type: 'function',
        function: { name: call[0], arguments: JSON.stringify(call[1]) },
      },
    ];
    const common = { id: 'scripted', created: 1, model: 'scripted' };
    if (stream !== true) {
      const message = { role: 'assistant', content: call ? null : text.join(''), ...(calls && { tool_calls: calls }) };
      const choices = [{ index: 0, finish_reason: finish, message }];
      response.setHeader('content-type', 'application/json');
      return void response.end(JSON.stringify({ ...common, object: 'chat.completion', choices, usage: USAGE }));
    }
    response.setHeader('content-type', 'text/event-stream');
    const send = (delta: object, finish_reason: string | null = null) => {
      const choices = [{ index: 0, delta, finish_reason }];
      response.write(`data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', choices })}\n\n`);
    };
    for (const piece of text) {
      send({ content: piece });
      await sleep(MODEL_MS / 5);
    }
    if (calls) send({ tool_calls: calls.map((each, index) => ({ index, ...each })) });
    send({}, finish);
    const usage = { ...common, object: 'chat.completion.chunk', choices: [], usage: USAGE };
    response.end(`data: ${JSON.stringify(usage)}\n\ndata: [DONE]\n\n`);
  }
}
