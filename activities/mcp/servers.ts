import { type CallToolResult, type Client, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/client';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { refusedForeign } from '../../pipelines/json-schema/index.js';
import type { AskedQuestions } from '../../pipelines/run/index.js';
import { untilAborted } from '../../runtime/limited.js';
import { tooManyWait } from '../../runtime/waiting-room.js';
import type { HeldSlot } from '../stage/held-slot.js';
import { CallClock } from './call-clock.js';
import type { McpConfig, McpServerConfig } from './config.js';
import type { GoesOn } from './goes-on.js';
import { type Lease, Leases } from './leases.js';
import type { Ask } from './question.js';
import { type KeepMedia, resultValue, textIn } from './result.js';
import { sessionAfter } from './session.js';
import { SharedConnection } from './shared-connection.js';
import { type Called, type Connected, options } from './task.js';
import { callTool } from './tool-call.js';

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
/** Longest name of a tool, in UTF-16 units. The protocol recommends at most 128. */
const LONGEST_NAME = 1_024;

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

/** Whose call it is whose server may ask a person. */
interface Asker {
  readonly tenant: string;
  /** The slot of the attempt, which it gives up while it waits for a connection. Absent: its host has none that others wait for. */
  readonly slot?: Pick<HeldSlot, 'leave' | 'take'> | undefined;
}

/** How such a call is made. */
export interface Asking extends Asker {
  /** Longest time of the call in milliseconds, without its waits for a person. Absent: as long as its signal lets it. */
  readonly callMs?: number | undefined;
  /** Asks while the call is open. Absent: such questions get the answer `cancel`. */
  readonly ask?: Ask | undefined;
  /** What the part of the call before this one has left. Absent: it is the first part. */
  readonly goesOn?: GoesOn | undefined;
}

/** The connection of a call. */
interface Line {
  readonly connected: Connected;
  /** @param clean the call has its result */
  end(clean: boolean): void;
}

/**
 * A worker's connections to MCP servers: each is opened by its first call, kept, and reopened after it was lost. No call is
 * made twice that may have had an effect; the tool's policy retries.
 */
export class McpServers {
  readonly #config: McpConfig;
  readonly #shared = new Map<string, SharedConnection>();
  /** Of servers whose calls may be asked. */
  readonly #leases = new Map<string, Leases>();
  #closed = false;

  constructor(config: McpConfig) {
    this.#config = config;
  }

  /**
   * The tools of a server, or the named ones; others are not validated. Throws `TOOL_SERVER_NOT_CONFIGURED`,
   * `TOOL_SERVER_UNAVAILABLE`, and `TOOLS_REFUSED` for too many or too large tools.
   * @param asker for an agent whose calls of the server may be asked
   */
  async list(
    server: string,
    signal: AbortSignal,
    only?: readonly string[],
    asker?: Asker,
  ): Promise<readonly McpTool[]> {
    return await this.#on(this.#line(server, asker), ({ connected }) =>
      connected((client) => listed(client, server, signal, only), signal),
    );
  }

  /**
   * The result of a tool: its structured content, else its text; with media that `keep` has stored, also those. A tool
   * that the server makes a task is awaited, and an attempt that finds one in `resumeFrom` goes on with it and calls nothing. A
   * server in a process of the worker ends with it: its tasks are not kept. Throws as `list` does, `TOOL_FAILED` if the tool
   * reports a failure or asks for input, and `INVALID_INPUT` if the server refuses the arguments.
   */
  async call(server: string, tool: string, given: JsonObject, own: CallOptions): Promise<Json> {
    const called = await this.#call(server, tool, given, own);
    if ('asks' in called) throw new MillraceError('INTERNAL', 'a call that nobody can be asked about has questions');
    return await answerOf(called.result, own);
  }

  /**
   * The same of a tool whose server may ask a person: its result, or the questions with which the call has ended. Where the protocol keeps a call
   * open while its server asks (versions with a handshake, and tasks of a server in a process of the worker), `ask` asks.
   */
  async callAsking(
    server: string,
    tool: string,
    given: JsonObject,
    own: CallOptions & { readonly asking: Asking },
  ): Promise<{ readonly result: Json } | { readonly asks: AskedQuestions }> {
    const called = await this.#call(server, tool, given, own, own.asking);
    return 'asks' in called ? called : { result: await answerOf(called.result, own) };
  }

  async #call(
    server: string,
    tool: string,
    given: JsonObject,
    { keep: _, signal: outer, ...own }: CallOptions,
    asking?: Asking,
  ): Promise<Called> {
    // The tasks of a server in a process of this worker end with the process: another one may have others by their ids.
    const outlives = 'url' in (this.#config[server] ?? {});
    const clock = new CallClock(outer, asking?.callMs);
    const { signal } = clock;
    const { ask = nobody, goesOn } = asking ?? {};
    const waiting: Ask = (question) => clock.waiting(() => ask(question));
    const asked = asking && { asking: { ask: waiting, goesOn } };
    try {
      return await this.#on(this.#line(server, asking && { ...asking, ask: waiting }), ({ connected }) =>
        callTool({ ...own, connected, signal, server, tool, given, outlives, ...asked }),
      );
    } finally {
      clock.end();
    }
  }

  /** Ends the processes it started and closes the sessions it opened. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#shared.values(), ...this.#leases.values()].map((each) => each.close()));
  }

  async #on<T>(line: Line, work: (line: Line) => Promise<T>): Promise<T> {
    let clean = false;
    try {
      const result = await work(line);
      clean = true;
      return result;
    } finally {
      line.end(clean);
    }
  }

  /** The connection that all calls share, or one of its own for a call that may be asked. */
  #line(server: string, asked: (Asker & { readonly ask?: Ask }) | undefined): Line {
    if (asked) return this.#ownLine(server, asked);
    return {
      connected: (work, signal) =>
        this.#use(server, signal, async (config) => await this.#sharedTo(server, config).use(work, signal)),
      end: () => undefined,
    };
  }

  #ownLine(server: string, { tenant, slot, ask }: Asker & { readonly ask?: Ask }): Line {
    let lease: Lease | undefined;
    let leases: Leases | undefined;
    let uses = 0;
    let ended: { readonly clean: boolean } | undefined;
    // What a call still has to tell the server, as that its task is cancelled, goes by its own connection.
    const leave = () => {
      if (uses === 0 && ended && lease) leases?.give(lease, ended.clean);
    };
    const connected: Connected = async (work, signal) => {
      uses += 1;
      try {
        return await this.#use(server, signal, async (config) => {
          leases ??= this.#leasesOf(server, config);
          for (let time = 1; ; time++) {
            if (lease?.lost) leases.give(lease, false);
            if (lease === undefined || lease.lost) {
              lease = await leases.take(tenant, signal, () => {
                if (slot?.leave() === false) throw tooManyWait(`a connection to the MCP server "${server}"`);
              });
              lease.ask = ask;
              await slot?.take(signal);
            }
            const used = lease;
            const client = await untilAborted(signal, () => used.client);
            try {
              return await work(client);
            } catch (error) {
              const session = sessionAfter(error, client);
              if (session !== undefined) used.lost = true;
              // As in `SharedConnection.use`: the server has not looked at the request.
              if (session !== 'forgotten' || time > 1 || signal.aborted) throw error;
            }
          }
        });
      } finally {
        uses -= 1;
        leave();
      }
    };
    return {
      connected,
      end: (clean) => {
        ended = { clean };
        leave();
      },
    };
  }

  async #use<T>(server: string, signal: AbortSignal, work: (config: McpServerConfig) => Promise<T>): Promise<T> {
    const config = Object.hasOwn(this.#config, server) ? this.#config[server] : undefined;
    if (!config) {
      const known = Object.keys(this.#config).join(', ') || 'none';
      throw new MillraceError('TOOL_SERVER_NOT_CONFIGURED', `no MCP server "${server}" (configured: ${known})`);
    }
    try {
      return await work(config);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw classified(server, error);
    }
  }

  #leasesOf(server: string, config: McpServerConfig): Leases {
    if (this.#closed) throw new MillraceError('TOOL_SERVER_UNAVAILABLE', 'the worker is shutting down');
    const known = this.#leases.get(server);
    if (known) return known;
    const made = new Leases(config);
    this.#leases.set(server, made);
    return made;
  }

  #sharedTo(server: string, config: McpServerConfig): SharedConnection {
    if (this.#closed) throw new MillraceError('TOOL_SERVER_UNAVAILABLE', 'the worker is shutting down');
    const known = this.#shared.get(server);
    if (known) return known;
    const made = new SharedConnection(config);
    this.#shared.set(server, made);
    return made;
  }
}

const nobody: Ask = async () => ({ action: 'cancel' });

/** Throws `TOOL_FAILED` for a failure that the tool reports. */
async function answerOf(result: CallToolResult, { keep }: Pick<CallOptions, 'keep'>): Promise<Json> {
  if (result.isError) throw new MillraceError('TOOL_FAILED', textIn(result) || 'the tool failed without a message');
  return await resultValue(result, keep);
}

async function listed(
  client: Client,
  server: string,
  signal: AbortSignal,
  only: readonly string[] | undefined,
): Promise<readonly McpTool[]> {
  const found: McpTool[] = [];
  let count = 0;
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const { tools, nextCursor } = await client.request(
      { method: 'tools/list', params: { ...(cursor !== undefined && { cursor }) } },
      options(signal),
    );
    count += tools.length;
    if (count > MOST_LISTED) throw refused(server, `it has more than ${MOST_LISTED} tools`);
    for (const { name, description = '', inputSchema } of tools) {
      if (only?.includes(name) === false) continue;
      const { $schema: _, ...schema } = inputSchema as unknown as JsonObject;
      found.push({ name, description, schema });
    }
    // Page by page: what all of them have together would fill the memory.
    expectModest(server, found);
    if (nextCursor === undefined) break;
    cursor = nextCursor;
  }
  return found;
}

function expectModest(server: string, tools: readonly McpTool[]): void {
  if (tools.length > MOST_TOOLS)
    throw refused(
      server,
      `an agent accepts at most ${MOST_TOOLS} tools of a server; this one has at least ${tools.length}`,
    );
  if (tools.some(({ name }) => name.length > LONGEST_NAME))
    throw refused(server, `a tool has a name of more than ${LONGEST_NAME} characters`);
  const wordy = tools.find(({ description }) => description.length > LONGEST_DESCRIPTION);
  if (wordy) throw refused(server, `"${wordy.name}" has a description of more than ${LONGEST_DESCRIPTION} characters`);
  const bad = refusedForeign(tools.map(({ name, schema }) => [name, schema]));
  if (bad) throw refused(server, `"${bad.name}" has an unsupported schema: ${bad.why}`);
}

const refused = (server: string, why: string): MillraceError =>
  new MillraceError('TOOLS_REFUSED', `MCP server "${server}": ${why}`);

function classified(server: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const message = `MCP server "${server}": ${messageOf(error)}`;
  if (error instanceof ProtocolError) {
    // Not of the server: why its answer has ended (`TiedRequests`).
    if (error.data instanceof Error) return classified(server, error.data);
    const code = error.code === ProtocolErrorCode.InvalidParams ? 'INVALID_INPUT' : 'TOOL_FAILED';
    return new MillraceError(code, code === 'INVALID_INPUT' ? messageOf(error) : message);
  }
  return new MillraceError('TOOL_SERVER_UNAVAILABLE', message, {}, { cause: error });
}
