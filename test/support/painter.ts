import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** A server of jobs that paint, in place of a model of images, which does not run in the tests: a fixture. */
export class Painter {
  /** Requests, in order: `POST /pictures`. */
  readonly asked: string[] = [];
  /** What submissions had as their bodies. */
  readonly submitted: { prompt: string; size: string }[] = [];
  /** How far the job is that is asked for, in percent; 100 and more: it is done. */
  percent = 100;
  /** Bytes after those of the picture. */
  padding = 0;
  readonly #server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = '', url = '' } = request;
    this.asked.push(`${method} ${url}`);
    if (method === 'POST') {
      this.submitted.push(JSON.parse(Buffer.concat(chunks).toString()));
      return json(response, 202, { id: `p${this.submitted.length}` });
    }
    if (method === 'DELETE') return json(response, 200, {});
    if (url.endsWith('/file')) return response.writeHead(200).end(Buffer.concat([PNG, Buffer.alloc(this.padding)]));
    return json(response, 200, { percent: this.percent, state: this.percent < 100 ? 'painting' : 'done' });
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
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return {
      connector: 'http',
      kind: 'generate',
      model: 'painter',
      endpoints: [{ url, device: 'cpu0' }],
      options: {
        accepts: {
          type: 'object',
          properties: { size: { enum: ['512x512', '1024x1024'], default: '1024x1024' } },
          additionalProperties: false,
        },
        request: { path: '/pictures', json: { prompt: '$/input/prompt', size: '$/with/options/size' } },
        job: {
          id: '$/body/id',
          poll: { method: 'GET', path: '/pictures/{/job}' },
          everyMs: 20,
          progress: { at: '/body/percent', of: 100 },
          done: { at: '/body/state', is: 'done' },
          cancel: { method: 'DELETE', path: '/pictures/{/job}' },
        },
        response: { output: { files: [{ url: '/pictures/file' }] } },
      },
    };
  }
}

const json = (response: ServerResponse, status: number, body: object) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
