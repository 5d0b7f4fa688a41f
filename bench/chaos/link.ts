import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

const HOST = '127.0.0.1';

/** One process's connection to a server; cutting it makes the server away for this process alone. */
export class Link {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #cut: 'silent' | 'refused' | undefined;
  /** Clients that connected while it was silent. */
  #waiting: Socket[] = [];

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
      client.on('error', () => undefined);
      if (this.#cut === 'refused') client.resetAndDestroy();
      else if (this.#cut === 'silent') this.#waiting.push(client);
      else this.#join(client);
    });
  }

  static async open({ port, target }: { readonly port: number; readonly target: number }): Promise<Link> {
    const link = new Link(target);
    link.#server.listen(port, HOST);
    await once(link.#server, 'listening');
    return link;
  }

  /** From now on nothing passes: either both sides get no bytes, or connections are reset and refused. */
  cut(how: 'silent' | 'refused'): void {
    this.#cut = how;
    for (const socket of this.#sockets) {
      if (how === 'silent') socket.pause();
      else socket.resetAndDestroy();
    }
  }

  mend(): void {
    this.#cut = undefined;
    for (const socket of this.#sockets) socket.resume();
    for (const client of this.#waiting.splice(0)) if (!client.destroyed) this.#join(client);
  }

  close(): void {
    this.#server.close();
    for (const socket of [...this.#sockets, ...this.#waiting]) socket.destroy();
  }

  #join(client: Socket): void {
    const server = connect({ port: this.#target, host: HOST, noDelay: true });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk) => {
        if (to.write(chunk)) return;
        from.pause();
        to.once('drain', () => this.#cut === 'silent' || from.resume());
      });
      from.on('end', () => to.end());
      // The other side gets the same as this side: a killed server is a reset connection.
      from.on('error', () => to.resetAndDestroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroySoon();
      });
    }
    client.resume();
  }
}
