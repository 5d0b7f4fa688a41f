import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Webhook } from 'standardwebhooks';
import { freePort } from './free-port.js';
import { listenAt } from './listen-at.js';

/** An event that has arrived and whose signature the reference library has found good. */
export interface Received {
  readonly id: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly event: { type: string; timestamp: string; data: Record<string, unknown> & { id: string; status: string } };
}

export const webhookSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

/** Writes a file for `MILLRACE_WEBHOOKS` and gives the settings that name it, private targets being allowed. */
export async function webhookSettings(tenants: object): Promise<Record<string, string>> {
  const file = path.join(await mkdtemp(path.join(tmpdir(), 'millrace-webhooks-')), 'webhooks.json');
  await writeFile(file, JSON.stringify(tenants));
  return { MILLRACE_WEBHOOKS: file, MILLRACE_WEBHOOK_PRIVATE_TARGETS: 'allow' };
}

const COUNT_MS = 100;

/** Somebody who is told: answers 204 to what verifies and 401 to what does not; `/hang` never answers, `/broken` says 500. */
export class WebhookReceiver {
  readonly received: Received[] = [];
  /** Requests by path, whatever the answer was. */
  readonly requests: string[] = [];
  /** The most requests that it has left without an answer at the same time. */
  mostHanging = 0;
  #hanging = 0;
  /** Of requests that did not verify. */
  readonly refused: string[] = [];
  #server: Server | undefined;

  private constructor(
    readonly port: number,
    readonly secret: string,
  ) {}

  static async at(secret: string): Promise<WebhookReceiver> {
    return new WebhookReceiver(await freePort(), secret);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async up(): Promise<void> {
    const verifier = new Webhook(this.secret);
    const server = createServer(async (request, response) => {
      const at = request.url ?? '';
      this.requests.push(at);
      if (at.startsWith('/hang')) {
        return this.#hang(response);
      }
      let body = '';
      for await (const chunk of request) body += String(chunk);
      if (at.startsWith('/broken')) return response.writeHead(500).end();
      const headers = request.headers as Record<string, string>;
      try {
        const event = verifier.verify(body, headers) as Received['event'];
        this.received.push({ id: headers['webhook-id'] ?? '', path: at, headers, body, event });
        response.writeHead(204).end();
      } catch {
        this.refused.push(at);
        response.writeHead(401).end();
      }
    });
    this.#server = server;
    await listenAt(server, this.port);
  }

  /** Counts a request a moment after it has come: the end of one that was given up for it may be read after it. */
  #hang(response: ServerResponse): void {
    const counted = setTimeout(() => {
      this.#hanging += 1;
      this.mostHanging = Math.max(this.mostHanging, this.#hanging);
      response.once('close', () => {
        this.#hanging -= 1;
      });
    }, COUNT_MS);
    response.once('close', () => clearTimeout(counted));
  }

  async down(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    this.#server = undefined;
  }

  /** Events about a run. */
  about(run: string): Received[] {
    return this.received.filter(({ event }) => event.data.id === run);
  }
}
