import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { wavHeader } from '../../media/index.js';

const SAMPLE_RATE = 24_000;
/** Length of a spoken sentence: five hundred of them are half an hour. */
const SENTENCE_S = 3.6;
const FRAMES = SENTENCE_S * SAMPLE_RATE;
const HOLD_POLL_MS = 20;

/** The sentences of every story of this length. */
export const storyOf = (sentences: number): string[] =>
  Array.from({ length: sentences }, (_, i) => `Sentence number ${i} of a story that takes half an hour.`);

/** The samples of a sentence: no two sentences have the same. */
export function samplesOf(sentence: string): Buffer {
  const pattern = createHash('sha256').update(sentence).digest();
  return Buffer.alloc(FRAMES * 2, pattern);
}

/**
 * A server of OpenAI's API whose LLM tells the story that it is asked for at the asked speed, and whose voice gives samples without any work.
 * So what grows, and what is lost, is Millrace's.
 */
export class ScriptedModels {
  /** The sentences that the voice was asked for, in order. */
  readonly asked: string[] = [];
  /** Stories that the LLM was asked for. */
  stories = 0;
  /** Before which sentence every story waits. */
  holdAt = Number.POSITIVE_INFINITY;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** @param port absent: a free one */
  static async open(port = 0): Promise<ScriptedModels> {
    const models = new ScriptedModels();
    models.#server.listen(port, '127.0.0.1');
    await once(models.#server, 'listening');
    return models;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString();
    if (request.url?.endsWith('/audio/speech')) this.#speak(JSON.parse(body) as { input: string }, response);
    else if (request.url?.endsWith('/chat/completions')) await this.#tell(body, response);
    else if (request.url?.endsWith('/models')) {
      const data = ['storyteller', 'voice'].map((id) => ({ id, object: 'model' }));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', data }));
    } else response.writeHead(404).end('{}');
  }

  #speak({ input }: { readonly input: string }, response: ServerResponse): void {
    this.asked.push(input);
    response.writeHead(200, { 'content-type': 'audio/wav' });
    response.write(wavHeader({ sampleRate: SAMPLE_RATE, channels: 1, frames: FRAMES }));
    response.end(samplesOf(input));
  }

  async #tell(body: string, response: ServerResponse): Promise<void> {
    const asked = /(\d+) sentences, one every (\d+) ms/.exec(body);
    // A call by which a pool sees that a server is well asks for no story.
    const [, count, everyMs] = asked ?? ['', '1', '0'];
    if (asked) this.stories += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const say = (delta: object, finish: string | null = null) =>
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
    for (const [i, sentence] of storyOf(Number(count)).entries()) {
      while (asked && i >= this.holdAt && !response.destroyed) await sleep(HOLD_POLL_MS);
      if (response.destroyed) return;
      const words = `${i > 0 ? ' ' : ''}${sentence}`.match(/\s*\S+/g) ?? [];
      for (const content of words) say({ content });
      await sleep(Number(everyMs));
    }
    say({}, 'stop');
    const usage = { prompt_tokens: 10, completion_tokens: 12 * Number(count) };
    response.write(`data: ${JSON.stringify({ choices: [], usage })}\n\n`);
    response.end('data: [DONE]\n\n');
  }
}
