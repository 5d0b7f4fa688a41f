import { type Client, SdkHttpError } from '@modelcontextprotocol/client';
import { MillraceError } from '../../pipelines/errors.js';
import type { McpServerConfig } from './config.js';
import { open } from './connection.js';

const BAD_REQUEST = 400;
const NOT_FOUND = 404;

/** One connection, and how many calls use it. */
interface Opened {
  readonly client: Promise<Client>;
  uses: number;
}

/**
 * A worker's connection to an MCP server, which all calls use at once: opened by the first call, kept, and opened again after it was lost.
 * A remote server may forget the session of a connection, for instance when it restarts. It then refuses each request of it, while the client
 * takes the connection for open: further calls get a new one, and the old one is closed when the calls under way on it have ended.
 */
export class SharedConnection {
  readonly #config: McpServerConfig;
  /** The one for further calls. */
  #current: Opened | undefined;
  /** With those that are forgotten and still in use. */
  readonly #open = new Set<Opened>();
  #closed = false;

  constructor(config: McpServerConfig) {
    this.#config = config;
  }

  /**
   * Does the work of a call. A request that the server has not looked at, since it has forgotten the session (404: section “Session Management” of
   * “Transports”, MCP 2025-11-25), is made once more on a new connection. A 400 does not say that the request had no effect: it fails.
   * @param work makes at most one request that has effects, as its last one; it may be done twice
   */
  async use<T>(work: (client: Client) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let time = 1; ; time++) {
      const connection = this.#taken();
      try {
        const client = await waitFor(connection.client, signal);
        try {
          return await work(client);
        } catch (error) {
          const status = error instanceof SdkHttpError ? error.status : undefined;
          if (status !== NOT_FOUND && status !== BAD_REQUEST) throw error;
          if (this.#current === connection) this.#current = undefined;
          const hadSession = client.transport?.sessionId !== undefined;
          if (status !== NOT_FOUND || !hadSession || time > 1 || signal.aborted) throw error;
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

  #opened(): Opened {
    if (this.#closed) throw new MillraceError('TOOL_SERVER_UNAVAILABLE', 'the worker is shutting down');
    const lost = () => {
      this.#open.delete(opening);
      if (this.#current === opening) this.#current = undefined;
    };
    const opening: Opened = { client: open(this.#config, lost), uses: 0 };
    opening.client.catch(lost);
    this.#open.add(opening);
    this.#current = opening;
    return opening;
  }

  async #close(connection: Opened): Promise<void> {
    this.#open.delete(connection);
    await connection.client.then((client) => client.close()).catch(() => undefined);
  }
}

/** The connection is shared: a caller that stops waiting does not close it for the others. */
export function waitFor<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
