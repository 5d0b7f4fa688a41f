import { createServer, type Server, type ServerResponse } from 'node:http';
import { listenAt } from '../listen-at.js';

/** A model server that Millrace knows nothing of: keywords of a text, as JSON over HTTP. */
export class AcmeServer {
  static readonly key = 'acme-secret';
  /** Texts that have come, canaries included. */
  readonly texts: string[] = [];
  /** Answers that come first, in place of real ones; a canary of the pool takes none. */
  readonly faults: ((response: ServerResponse) => void)[] = [];
  #server: Server | undefined;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it; again on the same port after `stop`: one that the system has chosen may be somebody else's by then. */
  async start(port = this.#port): Promise<this> {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.headers.authorization !== `Bearer ${AcmeServer.key}`)
        return respond(response, 401, { error: 'no key' });
      if (request.method === 'GET') return this.#model(request.url ?? '', response);
      this.#keywords(JSON.parse(Buffer.concat(chunks).toString()) as KeywordsRequest, response);
    });
    this.#port = await listenAt(this.#server, port);
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  }

  #model(url: string, response: ServerResponse): unknown {
    if (url === '/v1/models/words') return respond(response, 200, { name: 'words', version: 7 });
    return respond(response, 404, { error: 'there is no such model' });
  }

  #keywords({ model, text, most }: KeywordsRequest, response: ServerResponse): unknown {
    this.texts.push(text);
    const fault = text === CANARY ? undefined : this.faults.shift();
    if (fault) return fault(response);
    if (model !== 'words') return respond(response, 404, { error: 'there is no such model' });
    if (text === '') return respond(response, 400, { error: 'the text is empty' });
    const words = [...new Set(text.match(/\p{L}{4,}/gu) ?? [])].slice(0, most);
    const keywords = words.map((word, i) => ({ word, score: 1 / (i + 1) }));
    if (text !== 'slow') return respond(response, 200, { keywords });
    const later = setTimeout(() => respond(response, 200, { keywords }), SLOW_MS);
    return response.on('close', () => clearTimeout(later));
  }
}

const SLOW_MS = 5_000;
/** The text that the connector's probe sends. */
const CANARY = 'ok';

interface KeywordsRequest {
  readonly model: string;
  readonly text: string;
  readonly most: number;
}

export function respond(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) {
  return response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
