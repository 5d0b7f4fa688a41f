import { randomUUID } from 'node:crypto';
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Histogram } from 'prom-client';
import { MillraceError } from '../../pipelines/errors.js';
import { wellFormed } from '../../pipelines/well-formed.js';
import type { Authenticator } from '../access/authenticator.js';
import type { Caller, Headers } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { headersOf } from '../http/problem.js';
import type { HeldResponse, ResponseMemory } from '../http/response-memory.js';
import type { BodyBudget, HeldBody } from '../input/body-budget.js';
import { publicError } from './door.js';
import { grpcStatus } from './grpc-status.js';

/** The peer's address and the requested host. */
interface Peers {
  getPeer(): string;
  getHost(): string;
}

/** A gRPC call and its log line. */
export class GrpcCall {
  readonly id = randomUUID();
  /** The call's metadata, without binary values. */
  readonly headers: Headers;
  /** Aborts when the client cancels or disconnects, or its deadline expires. */
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
  #response: HeldResponse | undefined;
  #ended = false;

  constructor(metadata: Metadata, peers: Peers, method: string) {
    this.#method = method;
    this.#address = addressOf(peers.getPeer());
    const texts = Object.entries(metadata.getMap()).filter(([, value]) => typeof value === 'string');
    this.headers = { ...(Object.fromEntries(texts) as Headers), ':authority': peers.getHost() };
  }

  /** To be called when the client has disconnected. */
  left(): void {
    this.#gone.abort();
  }

  /** The caller; set before the method is called. */
  get caller(): Caller {
    if (this.#caller === undefined) throw new MillraceError('INTERNAL', 'the call is not authenticated');
    return this.#caller;
  }

  /** The call's share of the memory for bodies; set on authentication. */
  get held(): HeldBody {
    if (this.#held === undefined) throw new MillraceError('INTERNAL', 'the call is not authenticated');
    return this.#held;
  }

  hold(bodies: BodyBudget): HeldBody {
    this.#held = bodies.open(this.caller.tenant);
    return this.#held;
  }

  /** The call's share of the memory for responses; set on authentication. */
  get response(): HeldResponse {
    if (this.#response === undefined) throw new MillraceError('INTERNAL', 'the call is not authenticated');
    return this.#response;
  }

  holdResponse(responses: ResponseMemory): HeldResponse {
    this.#response = responses.open(this.caller.tenant);
    return this.#response;
  }

  /** Verifies the caller, and counts as many requests of it. Throws the errors of the authenticator. */
  async authenticate(authenticator: Authenticator, requests = 1): Promise<Caller> {
    const caller = await authenticator.authenticate({ headers: this.headers, address: this.#address }, requests);
    this.#caller = caller;
    return caller;
  }

  /** The gRPC status of an error; its code of the error table is in the trailing metadata `millrace-code`. */
  statusOf(error: unknown): { known: MillraceError; status: Partial<StatusObject> } {
    const known = publicError(error, this.id);
    const metadata = new Metadata();
    metadata.set('millrace-code', known.code);
    for (const [name, value] of Object.entries(headersOf(known))) metadata.set(name, value);
    // gRPC encodes it as a URI, and throws over half of a character: the call would never end.
    const details = wellFormed(known.message.slice(0, LONGEST_DETAILS));
    return { known, status: { code: grpcStatus(known.code), details, metadata } };
  }

  /** Writes the call's log line and records its duration. */
  ended({ logger }: GatewayDeps, seconds: Histogram<'method' | 'code'>, error?: unknown, known?: MillraceError): void {
    if (this.#ended) return; // rejected while its method was running
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
    // Keeps a flood from filling the log; its start is logged.
    if (known?.code === 'RATE_LIMITED') logger.debug(fields, 'call');
    else if (code === status.INTERNAL) logger.error({ ...fields, err: error }, 'call failed');
    else logger.info(fields, 'call');
  }
}

/**
 * Longest status text, in characters: it is sent as a header, which clients limit to some KB, and may quote the
 * request.
 */
const LONGEST_DETAILS = 1_000;

/** `127.0.0.1:1234` and `[::1]:1234` without the port. */
const addressOf = (peer: string): string => peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
