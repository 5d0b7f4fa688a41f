import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

const HOST = '127.0.0.1';

/** What stands in front of gateways: each connection goes to the next one that accepts it. */
export class Balancer {
  readonly #targets: readonly number[];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
    client.on('error', () => undefined);
    this.#next += 1;
    this.#join(client, this.#next, this.#targets.length);
  });
  #next = 0;

  private constructor(targets: readonly number[]) {
    this.#targets = targets;
  }

  static async open(port: number, targets: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(targets);
    balancer.#server.listen(port, HOST);
    await once(balancer.#server, 'listening');
    return balancer;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket, at: number, left: number): void {
    if (left === 0) return void client.resetAndDestroy();
    const server = connect({ port: this.#targets[at % this.#targets.length] ?? 0, host: HOST, noDelay: true });
    const refused = () => this.#join(client, at + 1, left - 1);
    server.once('error', refused);
    server.once('connect', () => {
      server.off('error', refused);
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('end', () => to.end());
        // The client of a gateway that was killed sees a connection that was reset, as it would without a balancer.
        from.on('error', () => to.resetAndDestroy());
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroySoon();
        });
        from.pipe(to, { end: false });
      }
    });
  }
}
