import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { StruckCalls } from './struck-calls.js';
import { Http1Traffic, Http2Traffic, type Traffic } from './traffic.js';
import type { Start } from './verdict.js';

const HOST = '127.0.0.1';

export interface ProxyOptions {
  /** Port to listen on; 0 takes a free port. */
  readonly port: number;
  /** The server's port. */
  readonly target: number;
  readonly protocol: 'http1' | 'http2';
  readonly faults: Pick<StruckCalls, 'next' | 'strike'>;
  /** Called when a run's call has passed, or was struck on arrival. */
  readonly onCall: (start: Start) => void;
}

/** A TCP proxy in front of one server: bytes pass unchanged until a fault strikes a call. */
export class FaultyProxy {
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  private constructor(options: ProxyOptions) {
    this.#server = createServer({ noDelay: true }, (client) => {
      const server = connect({ port: options.target, host: HOST, noDelay: true });
      for (const socket of [client, server]) {
        this.#connections.add(socket);
        socket.on('close', () => this.#connections.delete(socket));
      }
      join(client, server, options);
    });
  }

  static async open(options: ProxyOptions): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(options);
    proxy.#server.listen(options.port, HOST);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#connections) socket.destroy();
  }
}

function join(client: Socket, server: Socket, { protocol, faults, onCall }: ProxyOptions): void {
  const traffic: Traffic = protocol === 'http1' ? new Http1Traffic() : new Http2Traffic();
  /** Calls whose answer is to be cut. */
  const marked = new Set<number>();
  let stalled = false;
  const reset = () => {
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  const stall = (ms: number) => {
    stalled = true;
    faults.strike(traffic.open);
    const over = setTimeout(reset, ms);
    client.once('close', () => clearTimeout(over));
  };

  client.on('data', (chunk: Buffer) => {
    for (const { id, run, stage } of traffic.request(chunk)) {
      if (run !== undefined && stage !== undefined) onCall({ run, stage, at: Date.now() });
      const fault = faults.next(traffic.open);
      if (stalled) faults.strike(1);
      else if (fault?.kind === 'cut') marked.add(id);
      else if (fault?.kind === 'stall') stall(fault.ms);
      else if (fault?.kind === 'refuse') {
        faults.strike(traffic.open);
        return reset();
      }
    }
    if (!stalled) pass(chunk, client, server);
  });

  server.on('data', (chunk: Buffer) => {
    const open = traffic.open;
    const answered = traffic.answer(chunk);
    if (stalled) return;
    if (!answered.some((id) => marked.has(id))) return pass(chunk, server, client);
    faults.strike(open);
    // Written bytes are flushed before the reset.
    client.write(chunk.subarray(0, chunk.length >> 1), reset);
    stalled = true;
  });

  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.on('end', () => to.end());
    // The other side gets the same as this side: a killed server is a reset connection.
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => to.destroySoon());
  }
}

function pass(chunk: Buffer, from: Socket, to: Socket): void {
  if (to.write(chunk)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
