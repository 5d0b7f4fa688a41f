import type { ErrorCode } from '../../../pipelines/errors.js';
import type { DefinedKind } from '../../../pipelines/stages/index.js';
import type { Call, CallContext, Capability, Connector, Reply } from '../connector.js';

/** What the suite needs of a test runner: vitest, jest and mocha have it; of node:test, `{ describe, it, after }`. */
export interface TestRunner {
  describe(name: string, suite: () => void): unknown;
  it(name: string, test: () => Promise<void>): unknown;
  /** Called with what runs after the last test of the enclosing suite. */
  after(end: () => void): unknown;
}

/** A call of a stage kind, and what must come back. */
export interface ContractCall {
  readonly call: Omit<Call, 'kind'>;
  /**
   * Throws if the reply is wrong; its form has been checked.
   * @param chunks what the connector has emitted
   */
  check?(reply: Reply, chunks: readonly (string | number)[]): void | Promise<void>;
}

/** What the suite needs to know of a connector and a real server of it. */
export interface Contract {
  readonly connector: Connector;
  /** Address of the server. */
  readonly endpoint: string;
  /** The key that the server requires. */
  readonly key?: string | undefined;
  /** An address of the connector's form at which nothing listens. */
  readonly deadEndpoint: string;
  /** Kinds made with `defineKind` that the connector serves. */
  readonly kinds?: readonly { readonly definition: DefinedKind }[];
  /** A call for every stage kind that the server can serve. */
  readonly calls: Readonly<Record<string, ContractCall>>;
  /**
   * For the stage kinds of the connector that this server does not have: a call, and the code that refuses it. If
   * given, it and `calls` together must have every kind of the connector.
   */
  readonly refused?: Readonly<Record<string, RefusedCall>>;
  /** For each capability: a call that needs it, and what must come back. */
  readonly beyond?: {
    readonly [capability in Capability]?: {
      readonly call: Call;
      check(reply: Reply): void | Promise<void>;
    };
  };
  /** A call that takes the server well over a second. */
  readonly longCall: Call;
  /** A call that the server refuses. */
  readonly badCall: Call;
  /** A call with more tokens than the model's context holds. Absent where models have none. */
  readonly overflow?: Call;
  /** Media of the calls. Default: none, and a connector that reads or writes audio fails. */
  readonly audio?: CallContext['audio'];
  readonly bytes?: CallContext['bytes'];
  /** Code of a call of a model that does not exist. Default `MODEL_NOT_FOUND`; null where the protocol names no model. */
  readonly unknownModel?: ErrorCode | null;
  /** Number of calls that the server works on, by its own count; then the long call is one that streams. */
  readonly working?: () => Promise<number>;
}

/** A call of a kind that the server of the contract does not have. */
export interface RefusedCall {
  readonly call: Omit<Call, 'kind'>;
  readonly code: ErrorCode;
  /** `false`: canaries of this kind ask the server nothing, since the smallest call would cost as much as any other. */
  readonly canary?: false;
}
