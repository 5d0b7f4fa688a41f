import { createServer, type Server } from 'node:http';
import { listenAt } from './listen-at.js';

export interface Answer {
  /** 200 answers the question; 0 never answers. */
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers chat completions in OpenAI's shape as told, since a real server cannot be made to; keeps the time of each call. */
export class StormyLlm {
  /** Times of the calls, those of `performance.now()`, by the prompt. */
  readonly calls = new Map<string, number[]>();
  /** Told how many calls of the same prompt there were before. */
  answer: (before: number) => Answer = () => ({ status: 200 });
  readonly #server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (!request.url?.endsWith('/chat/completions')) {
      response.writeHead(404).end('{}');
      return;
    }
    const { messages } = JSON.parse(Buffer.concat(chunks).toString()) as { messages: { content: unknown }[] };
    const prompt = JSON.stringify(messages.at(-1)?.content);
    const times = this.calls.get(prompt) ?? [];
    this.calls.set(prompt, times);
    const { status, headers = {} } = this.answer(times.push(performance.now()) - 1);
    if (status === 0) return;
    const choice = { index: 0, message: { role: 'assistant', content: 'Yes.' }, finish_reason: 'stop' };
    const error = { message: status === 429 ? 'Rate limit reached' : 'The engine is overloaded', type: 'server_error' };
    const body = status === 200 ? { object: 'chat.completion', model: 'assistant', choices: [choice] } : { error };
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  });

  /** The base URL of its API. */
  async listen(port = 0): Promise<string> {
    return `http://127.0.0.1:${await listenAt(this.#server, port)}/v1`;
  }

  /** How often each prompt came. */
  counts(): number[] {
    return [...this.calls.values()].map(({ length }) => length);
  }

  /** Waits between the calls of the only prompt, in milliseconds. */
  waits(): number[] {
    const [times = []] = [...this.calls.values()];
    return times.slice(1).map((time, i) => time - (times[i] as number));
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
