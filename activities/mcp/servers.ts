import { type CallToolResult, type Client, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/client';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { refusedForeign } from '../../pipelines/json-schema/index.js';
import type { McpConfig, McpServerConfig } from './config.js';
import { open } from './connection.js';
import { type KeepMedia, resultValue, textIn } from './result.js';
import { awaitTask, type Connected, checkpointOf, keptTask, options, taskIn } from './task.js';

/** A tool as its server describes it. */
export interface McpTool {
  readonly name: string;
  readonly description: string;
  readonly schema: JsonObject;
}

/** Pages of a tool list. A server that returns more is assumed to loop. */
const MOST_PAGES = 50;
/** Tools of a server that are searched for those that an agent needs. */
const MOST_LISTED = 2_000;
/** Tools that an agent accepts from a server: as many as a model server accepts in one call. */
const MOST_TOOLS = 128;
/** Longest description of a tool, in UTF-16 units; every call of the model includes all of them. */
const LONGEST_DESCRIPTION = 16 * 1_024;

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly idempotencyKey: string;
  /** Stores the media of a result. Absent: they are left out. */
  readonly keep?: KeepMedia | undefined;
  /** Awaited when the server is connected, just before the call. */
  readonly mayBegin?: (() => Promise<void>) | undefined;
  /** Keeps what the next attempt finds in `resumeFrom`: the task that the call has become. */
  readonly checkpoint?: ((progress: Json) => void) | undefined;
  readonly resumeFrom?: Json | undefined;
}

/** Key of the idempotency key in a call's `_meta`: a server that supports it can drop a repeated call. */
const IDEMPOTENCY_META = 'millrace/idempotencyKey';

/**
 * A worker's connections to MCP servers: each is opened by its first call, kept, and reopened after it was lost. The
 * client never retries; the tool's policy does.
 */
export class McpServers {
  readonly #config: McpConfig;
  readonly #clients = new Map<string, Promise<Client>>();
  #closed = false;

  constructor(config: McpConfig) {
    this.#config = config;
  }

  /**
   * The tools of a server, or the named ones; others are not validated. Throws `TOOL_SERVER_NOT_CONFIGURED`,
   * `TOOL_SERVER_UNAVAILABLE`, and `TOOLS_REFUSED` for too many or too large tools.
   */
  async list(server: string, signal: AbortSignal, only?: readonly string[]): Promise<readonly McpTool[]> {
    return this.#use(server, signal, async (client) => {
      const found: McpTool[] = [];
      let listed = 0;
      let cursor: string | undefined;
      for (let page = 0; page < MOST_PAGES; page++) {
        const { tools, nextCursor } = await client.request(
          { method: 'tools/list', params: { ...(cursor !== undefined && { cursor }) } },
          options(signal),
        );
        listed += tools.length;
        if (listed > MOST_LISTED) throw refused(server, `it has more than ${MOST_LISTED} tools`);
        for (const { name, description = '', inputSchema } of tools) {
          if (only?.includes(name) === false) continue;
          const { $schema: _, ...schema } = inputSchema as unknown as JsonObject;
          found.push({ name, description, schema });
        }
        if (nextCursor === undefined) break;
        cursor = nextCursor;
      }
      expectModest(server, found);
      return found;
    });
  }

  /**
   * The result of a tool: its structured content, else its text; with media that `keep` has stored, also those. A tool
   * that the server makes a task is awaited, and an attempt that finds one in `resumeFrom` goes on with it and calls nothing. A
   * server in a process of the worker ends with it: its tasks are not kept. Throws as `list` does, `TOOL_FAILED` if the tool
   * reports a failure, and `INVALID_INPUT` if the server refuses the arguments.
   */
  async call(
    server: string,
    tool: string,
    given: JsonObject,
    { signal, idempotencyKey, keep, mayBegin, checkpoint, resumeFrom }: CallOptions,
  ): Promise<Json> {
    // The tasks of a server in a process of this worker end with the process: another one may have others by their ids.
    const outlives = 'url' in (this.#config[server] ?? {});
    let own: Client | undefined;
    let task = keptTask(resumeFrom);
    let result: CallToolResult | undefined;
    if (task === undefined) {
      const params = { name: tool, arguments: { ...given }, _meta: { [IDEMPOTENCY_META]: idempotencyKey } };
      result = await this.#use(server, signal, async (client) => {
        await mayBegin?.();
        own = client;
        return await client.callTool(params, options(signal));
      });
      task = taskIn(result);
      if (task && outlives) checkpoint?.(checkpointOf(task));
    }
    const connected: Connected = (work, until) =>
      this.#use(server, until, async (client) => {
        if (outlives || client === own) return await work(client);
        const why = `MCP server "${server}": its process has ended, and with it the task`;
        throw new MillraceError('TOOL_SERVER_UNAVAILABLE', why);
      });
    const limits = { givenUp: () => checkpoint?.(null), ...(!outlives && { mostFailures: 1 }) };
    const ended = task === undefined ? result : await awaitTask(connected, task, signal, limits);
    if (ended === undefined) throw new MillraceError('INTERNAL', 'a call has neither a result nor a task');
    if (ended.isError) throw new MillraceError('TOOL_FAILED', textIn(ended) || 'the tool failed without a message');
    return await resultValue(ended, keep);
  }

  /** Ends the processes it started and closes the sessions it opened. */
  async close(): Promise<void> {
    this.#closed = true;
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.all(clients.map((client) => client.then((open) => open.close()).catch(() => undefined)));
  }

  async #use<T>(server: string, signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T> {
    const config = Object.hasOwn(this.#config, server) ? this.#config[server] : undefined;
    if (!config) {
      const known = Object.keys(this.#config).join(', ') || 'none';
      throw new MillraceError('TOOL_SERVER_NOT_CONFIGURED', `no MCP server "${server}" (configured: ${known})`);
    }
    try {
      return await work(await waitFor(this.#client(server, config), signal));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw classified(server, error);
    }
  }

  #client(server: string, config: McpServerConfig): Promise<Client> {
    const known = this.#clients.get(server);
    if (known !== undefined) return known;
    if (this.#closed) throw new MillraceError('TOOL_SERVER_UNAVAILABLE', 'the worker is shutting down');
    const opening = open(config, () => {
      if (this.#clients.get(server) === opening) this.#clients.delete(server);
    });
    this.#clients.set(server, opening);
    opening.catch(() => {
      if (this.#clients.get(server) === opening) this.#clients.delete(server);
    });
    return opening;
  }
}

function expectModest(server: string, tools: readonly McpTool[]): void {
  if (tools.length > MOST_TOOLS)
    throw refused(server, `an agent accepts at most ${MOST_TOOLS} tools of a server; this one has ${tools.length}`);
  const wordy = tools.find(({ description }) => description.length > LONGEST_DESCRIPTION);
  if (wordy) throw refused(server, `"${wordy.name}" has a description of more than ${LONGEST_DESCRIPTION} characters`);
  const bad = refusedForeign(tools.map(({ name, schema }) => [name, schema]));
  if (bad) throw refused(server, `"${bad.name}" has an unsupported schema: ${bad.why}`);
}

const refused = (server: string, why: string): MillraceError =>
  new MillraceError('TOOLS_REFUSED', `MCP server "${server}": ${why}`);

/** The connection is shared: a caller that stops waiting does not close it for the others. */
function waitFor<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

function classified(server: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const message = `MCP server "${server}": ${messageOf(error)}`;
  if (error instanceof ProtocolError) {
    const code = error.code === ProtocolErrorCode.InvalidParams ? 'INVALID_INPUT' : 'TOOL_FAILED';
    return new MillraceError(code, code === 'INVALID_INPUT' ? messageOf(error) : message);
  }
  return new MillraceError('TOOL_SERVER_UNAVAILABLE', message, {}, { cause: error });
}
