import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const HOST = '127.0.0.1';

/** A function's request to the receiver: one side effect, which takes some time. */
export interface EffectRequest {
  readonly run: number;
  /** Path of the stage. */
  readonly stage: string;
  /** The idempotency key passed to the function. */
  readonly key: string;
  readonly ms: number;
}

/** A requested side effect. */
export interface Effect extends Omit<EffectRequest, 'ms'> {
  /** Milliseconds since 1970; all records are made on one machine. */
  readonly at: number;
}

/** Stands for an external system such as a payment provider: it carries out every request and counts it. */
export class Receiver {
  readonly effects: Effect[] = [];
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });

  static async open(): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#server.listen(0, HOST);
    await once(receiver.#server, 'listening');
    return receiver;
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
    const { ms, ...effect } = JSON.parse(Buffer.concat(pieces).toString()) as EffectRequest;
    this.effects.push({ ...effect, at: Date.now() });
    await sleep(ms);
    response.end();
  }
}
