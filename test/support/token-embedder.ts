import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of OpenAI's API that embeds tokens, texts and images, in place of models that the tests do not run: a fixture. */
export class TokenEmbedder {
  readonly #server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = request.method === 'POST' ? embedded(JSON.parse(Buffer.concat(chunks).toString())) : MODELS;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Its pool, for a file of models. */
  get pool() {
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
    return { connector: 'openai', kind: 'embed', model: 'embedder', endpoints: [{ url, device: 'cpu0' }] };
  }

  /** The pool of its other model, which takes images beside texts. */
  get media() {
    return { ...this.pool, model: 'clip', options: { embedBy: 'objects' } };
  }
}

const MODELS = {
  data: [
    { id: 'embedder', owned_by: 'vllm' },
    { id: 'clip', owned_by: 'vllm' },
  ],
};

type Medium = { readonly text?: string; readonly image?: string };

function embedded({ input }: { readonly input: number[] | number[][] | Medium[] | string }) {
  if (Array.isArray(input) && typeof input[0] === 'object' && !Array.isArray(input[0])) {
    const media = input as readonly Medium[];
    const data = media.map(({ text, image }, index) => ({ index, embedding: [text?.length ?? 0, image?.length ?? 0] }));
    return { data, usage: { prompt_tokens: media.length, total_tokens: media.length } };
  }
  const lists = (Array.isArray(input) && Array.isArray(input[0]) ? input : [input]) as number[][];
  const data = lists.map((tokens, index) => ({ index, embedding: [tokens.length, Number(tokens[0])] }));
  return { data, usage: { prompt_tokens: lists.flat().length, total_tokens: lists.flat().length } };
}
