import { once } from 'node:events';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { type ConnectionInjector, type Server, ServerCredentials } from '@grpc/grpc-js';
import type { RationedWarnings } from '../../telemetry/warnings.js';
import type { GatewayLimits } from '../deps.js';
import { boundConnections, PROBED } from '../http/connections.js';
import { boundCallHeaders } from './grpc-headers.js';

/** Length of the start of an HTTP/2 connection: the client preface, and an empty SETTINGS frame (RFC 9113 §3.4). */
const GREETING_BYTES = 24 + 9;

/** The gRPC listener. Applies the connection limits of the HTTP listener before the protocol starts, and its limits of headers before grpc-js reads them. */
export class GrpcListener {
  readonly #listener: NetServer;
  readonly #connections: ConnectionInjector;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server, limits: GatewayLimits, warnings: RationedWarnings) {
    this.#connections = server.createConnectionInjector(ServerCredentials.createInsecure());
    boundCallHeaders(server, warnings);
    this.#listener = createServer({ noDelay: true, ...PROBED });
    boundConnections(this.#listener, limits, warnings);
    this.#listener.on('connection', (socket) => {
      if (socket.destroyed) return;
      this.#sockets.add(socket);
      const late = limits.headersTimeoutMs && setTimeout(() => endUngreeted(socket), limits.headersTimeoutMs);
      socket.once('close', () => {
        clearTimeout(late);
        this.#sockets.delete(socket);
      });
      this.#connections.injectConnection(socket);
    });
  }

  /** Throws if the port is not available. */
  async listen(host: string, port: number): Promise<number> {
    this.#listener.listen(port, host);
    await once(this.#listener, 'listening');
    const address = this.#listener.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Stops accepting connections and waits up to `graceMs` for running calls. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.#connections.drain(graceMs);
    // A connection without its preface has no session that could be drained.
    const late = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    for (const socket of this.#sockets) endUngreeted(socket);
    await closed;
    clearTimeout(late);
  }
}

function endUngreeted(socket: Socket): void {
  if (socket.bytesRead < GREETING_BYTES) socket.destroy();
}
