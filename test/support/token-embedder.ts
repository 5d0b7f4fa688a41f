import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of OpenAI's API that embeds tokens, in place of a model that the tests do not run: a fixture. */
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
}

const MODELS = { data: [{ id: 'embedder', owned_by: 'vllm' }] };

function embedded({ input }: { readonly input: number[] | number[][] | string }) {
  const lists = (Array.isArray(input) && Array.isArray(input[0]) ? input : [input]) as number[][];
  const data = lists.map((tokens, index) => ({ index, embedding: [tokens.length, Number(tokens[0])] }));
  return { data, usage: { prompt_tokens: lists.flat().length, total_tokens: lists.flat().length } };
}
