import type { Client } from '@modelcontextprotocol/client';
import { MillraceError } from '../../pipelines/errors.js';
import { untilAborted } from '../../runtime/limited.js';
import type { McpServerConfig } from './config.js';
import { open } from './connection.js';
import { endSession, sessionAfter } from './session.js';

/**
 * Shortest time between two connections that are given up for a 400, in milliseconds. A server that answers so to the arguments of calls would get a
 * new session with each of them.
 */
const DOUBT_MS = 10_000;

/** One connection, and how many calls use it. */
interface Opened {
  readonly client: Promise<Client>;
  uses: number;
  /** Its session is forgotten, or may be. */
  left: boolean;
}

/**
 * A worker's connection to an MCP server, which all calls use at once: opened by the first call, kept, and opened again after it was lost.
 * A remote server may forget the session of a connection, for instance when it restarts. It then refuses each request of it, while the client
 * takes the connection for open: further calls get a new one. The old one is closed when the calls under way on it have ended, and its session is ended
 * in case that the server knows it even so.
 */
export class SharedConnection {
  readonly #config: McpServerConfig;
  /** The one for further calls. */
  #current: Opened | undefined;
  /** When a connection was given up for a 400, on the clock of `performance`. */
  #doubtedAt = Number.NEGATIVE_INFINITY;
  /** With those that are left and still in use. */
  readonly #open = new Set<Opened>();
  #closed = false;

  constructor(config: McpServerConfig) {
    this.#config = config;
  }

  /**
   * Does the work of a call. A request that the server has not looked at, since it has forgotten the session (404), is made once more on a new
   * connection. A 400 does not say that the request had no effect: it fails.
   * @param work makes at most one request that has effects, as its last one; it may be done twice
   */
  async use<T>(work: (client: Client) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let time = 1; ; time++) {
      const connection = this.#taken();
      try {
        // It is shared: a caller that stops waiting does not close it for the others.
        const client = await untilAborted(signal, () => connection.client);
        try {
          return await work(client);
        } catch (error) {
          const session = sessionAfter(error, client);
          const again = session === 'forgotten' && time === 1;
          if (again || (session === 'doubtful' && this.#mayDoubt(connection))) this.#leave(connection);
          if (!again || signal.aborted) throw error;
        }
      } finally {
        connection.uses -= 1;
        if (connection.uses === 0 && connection !== this.#current) void this.#close(connection);
      }
    }
  }

  /** Ends calls that are under way with it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#current = undefined;
    await Promise.all([...this.#open].map((each) => this.#close(each)));
  }

  #taken(): Opened {
    const connection = this.#current ?? this.#opened();
    connection.uses += 1;
    return connection;
  }

  /** Further calls get another connection. */
  #leave(connection: Opened): void {
    connection.left = true;
    if (this.#current === connection) this.#current = undefined;
  }

  #mayDoubt(connection: Opened): boolean {
    const now = performance.now();
    if (this.#current !== connection || now - this.#doubtedAt < DOUBT_MS) return false;
    this.#doubtedAt = now;
    return true;
  }

  #opened(): Opened {
    if (this.#closed) throw new MillraceError('TOOL_SERVER_UNAVAILABLE', 'the worker is shutting down');
    const lost = () => {
      this.#open.delete(opening);
      if (this.#current === opening) this.#current = undefined;
    };
    const opening: Opened = { client: open(this.#config, lost), uses: 0, left: false };
    opening.client.catch(lost);
    this.#open.add(opening);
    this.#current = opening;
    return opening;
  }

  async #close(connection: Opened): Promise<void> {
    this.#open.delete(connection);
    const client = await connection.client.catch(() => undefined);
    // A worker that closes does not wait for the server.
    if (client && connection.left && connection.uses === 0) await endSession(client);
    await client?.close().catch(() => undefined);
  }
}
