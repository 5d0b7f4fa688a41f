import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

const HOST = '127.0.0.1';

/** When a call was sent, in milliseconds since 1970, and from which port: which connection, and so which process. */
export interface TappedCall {
  readonly at: number;
  readonly port: number;
}

/** A TCP proxy in front of a model server, which passes all bytes and notes what its clients send, and when. */
export class Tap {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #sent: { at: number; port: number; bytes: Buffer }[] = [];

  private constructor(target: number) {
    this.#server = createServer({ noDelay: true }, (client) => {
      const server = connect({ port: target, host: HOST, noDelay: true });
      const port = client.remotePort ?? 0;
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (bytes: Buffer) => {
          if (from === client) this.#sent.push({ at: Date.now(), port, bytes });
          if (to.write(bytes)) return;
          from.pause();
          to.once('drain', () => from.resume());
        });
        from.on('end', () => to.end());
        from.on('error', () => to.resetAndDestroy());
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroySoon();
        });
      }
    });
  }

  static async open(port: number, target: number): Promise<Tap> {
    const tap = new Tap(target);
    tap.#server.listen(port, HOST);
    await once(tap.#server, 'listening');
    return tap;
  }

  /** Each occurrence of a text that was sent since `forget`. A text of a call is within one write, or two. */
  callsOf(text: string): TappedCall[] {
    const wanted = Buffer.from(text);
    const calls: TappedCall[] = [];
    let held = Buffer.alloc(0);
    for (const { at, port, bytes } of this.#sent) {
      const all = Buffer.concat([held, bytes]);
      let from = 0;
      for (let i = all.indexOf(wanted); i >= 0; i = all.indexOf(wanted, from)) {
        calls.push({ at, port });
        from = i + wanted.length;
      }
      held = all.subarray(Math.max(from, all.length - wanted.length + 1));
    }
    return calls;
  }

  forget(): void {
    this.#sent = [];
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
