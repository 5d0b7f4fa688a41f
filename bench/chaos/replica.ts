import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { runOf } from './run-mark.js';
import type { Start } from './verdict.js';

const HOST = '127.0.0.1';

export interface ReplicaOptions {
  readonly port: number;
  /** Port of the server that it forwards to. */
  readonly target: number;
  /** Called for calls that it fails. */
  readonly onCall: (start: Start) => void;
}

/** A second LLM server that at times fails every call at once, and so always looks least busy. */
export class Replica {
  failing = false;
  /** Calls that it failed, and all that arrived meanwhile. */
  failed = 0;
  readonly #options: ReplicaOptions;
  readonly #server = createServer(
    (incoming, answer) => void this.#serve(incoming, answer).catch(() => answer.destroy()),
  );

  private constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    replica.#server.listen(options.port, HOST);
    await once(replica.#server, 'listening');
    return replica;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    if (this.failing) {
      const run = runOf(body);
      if (run !== undefined) {
        this.failed += 1;
        this.#options.onCall({ run, stage: 'answer', at: Date.now() });
      }
      answer.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"out of order"}}');
      return;
    }
    const { method, url: path, headers } = incoming;
    const passed = request({ host: HOST, port: this.#options.target, method, path, headers });
    passed.once('error', () => answer.destroy());
    answer.once('close', () => passed.destroy());
    passed.end(body);
    const [given] = (await once(passed, 'response')) as [IncomingMessage];
    answer.writeHead(given.statusCode ?? 502, given.headers);
    given.on('error', () => answer.destroy()).pipe(answer);
  }
}
