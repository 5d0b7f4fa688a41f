import { randomUUID } from 'node:crypto';
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Histogram } from 'prom-client';
import { MillraceError } from '../../pipelines/errors.js';
import type { Authenticator } from '../access/authenticator.js';
import type { Caller, Headers } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { headersOf } from '../http/problem.js';
import type { BodyBudget, HeldBody } from '../input/body-budget.js';
import { told } from './door.js';
import { grpcStatus } from './grpc-status.js';

/** Where a call comes from, and whom it asks for. */
interface Peers {
  getPeer(): string;
  getHost(): string;
}

/** One call while it is served, and what its log line says in the end. */
export class GrpcCall {
  readonly id = randomUUID();
  /** The call's metadata; binary values are left out. */
  readonly headers: Headers;
  /** Aborts when the client has cancelled, has gone, or its deadline is over. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }
  runId: string | undefined;
  readonly #gone = new AbortController();
  readonly #address: string;
  readonly #method: string;
  readonly #start = performance.now();
  #caller: Caller | undefined;
  #held: HeldBody | undefined;
  #ended = false;

  constructor(metadata: Metadata, peers: Peers, method: string) {
    this.#method = method;
    this.#address = addressOf(peers.getPeer());
    const texts = Object.entries(metadata.getMap()).filter(([, value]) => typeof value === 'string');
    this.headers = { ...(Object.fromEntries(texts) as Headers), ':authority': peers.getHost() };
  }

  /** To be called when the client has. */
  left(): void {
    this.#gone.abort();
  }

  /** Who has made the call; known once it has reached its method. */
  get caller(): Caller {
    if (this.#caller === undefined) throw new MillraceError('INTERNAL', 'the call is not authenticated');
    return this.#caller;
  }

  /** What the call holds of the memory for bodies; there as soon as it has been authenticated. */
  get held(): HeldBody {
    if (this.#held === undefined) throw new MillraceError('INTERNAL', 'the call is not authenticated');
    return this.#held;
  }

  hold(bodies: BodyBudget): HeldBody {
    this.#held = bodies.open(this.caller.tenant);
    return this.#held;
  }

  /** Throws what the authenticator throws. */
  async authenticate(authenticator: Authenticator): Promise<Caller> {
    const caller = await authenticator.authenticate({
      headers: this.headers,
      address: this.#address,
    });
    this.#caller = caller;
    return caller;
  }

  /** The status of an error: the code of the error table is in the trailing metadata `millrace-code`. */
  statusOf(error: unknown): { known: MillraceError; status: Partial<StatusObject> } {
    const known = told(error, this.id);
    const metadata = new Metadata();
    metadata.set('millrace-code', known.code);
    for (const [name, value] of Object.entries(headersOf(known))) metadata.set(name, value);
    return {
      known,
      status: { code: grpcStatus(known.code), details: known.message.slice(0, LONGEST_DETAILS), metadata },
    };
  }

  /** Writes the call's log line and counts it. */
  ended({ logger }: GatewayDeps, seconds: Histogram<'method' | 'code'>, error?: unknown, known?: MillraceError): void {
    if (this.#ended) return; // refused while its method was at work
    this.#ended = true;
    const ms = performance.now() - this.#start;
    const code = known === undefined ? status.OK : grpcStatus(known.code);
    seconds.observe({ method: this.#method, code: status[code] }, ms / 1000);
    const fields = {
      rpc: this.#method,
      status: status[code],
      ms: Math.round(ms),
      requestId: this.id,
      ...(this.#caller && { tenant: this.#caller.tenant }),
      ...(this.#caller?.key && { key: this.#caller.key.id }),
      ...(this.runId !== undefined && { runId: this.runId }),
      ...(known !== undefined && { code: known.code }),
    };
    // A flood must not fill the log: its beginning is in it.
    if (known?.code === 'RATE_LIMITED') logger.debug(fields, 'call');
    else if (code === status.INTERNAL) logger.error({ ...fields, err: error }, 'call failed');
    else logger.info(fields, 'call');
  }
}

/** Characters of a status’ text: it travels as a header, of which clients take some KB, and may quote what was sent. */
const LONGEST_DETAILS = 1_000;

/** `127.0.0.1:1234`, `[::1]:1234` without the port. */
const addressOf = (peer: string): string => peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
