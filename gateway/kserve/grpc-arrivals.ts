import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Authenticator } from '../access/authenticator.js';
import { requirePermission } from '../access/caller.js';
import type { Permission } from '../access/permissions.js';
import type { ResponseMemory } from '../http/response-memory.js';
import type { BodyBudget } from '../input/body-budget.js';
import { GrpcBody } from './grpc-body.js';
import { GrpcCall } from './grpc-calls.js';

export interface ArrivalOptions {
  readonly authenticator: Authenticator;
  /** Methods without authentication, by name; their responses do not depend on the request. */
  readonly open: Readonly<Record<string, () => Promise<object>>>;
  readonly bodies: BodyBudget;
  readonly responses: ResponseMemory;
  /** How long a client may read nothing of what is ready for it, in milliseconds. Absent: a minute. */
  readonly stalledMs: number | undefined;
  /** Rules of the other methods, by name. */
  readonly methods: Readonly<Record<string, MethodRules>>;
  /** Timeout for receiving a message, in milliseconds. */
  readonly receiveMs: number;
  /** Called for a call that is rejected before it reaches its method. */
  readonly refused: (call: GrpcCall, error: unknown) => Partial<StatusObject>;
}

export interface MethodRules {
  /** Permissions that the key needs. */
  readonly permissions: readonly Permission[];
  /** Longest message, in bytes. */
  readonly most: number;
}

/** Longest message of the methods without tensors, in bytes: a name and a version. */
export const MOST_QUESTION_BYTES = 65_536;

/** Rules of unknown methods. */
const UNSERVED: MethodRules = { permissions: [], most: MOST_QUESTION_BYTES };

/**
 * Handles a call before its method: authenticates the caller and checks its permission before any of the body is read,
 * as at the HTTP doors, and counts the bytes of the body before they are kept.
 */
export class GrpcArrivals {
  readonly #calls = new WeakMap<Metadata, GrpcCall>();
  readonly #options: ArrivalOptions;

  constructor(options: ArrivalOptions) {
    this.#options = options;
  }

  readonly interceptor: ServerInterceptor = ({ path, requestStream }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        const { authenticator, bodies, responses, open, methods, receiveMs, stalledMs } = this.#options;
        const method = path.slice(path.lastIndexOf('/') + 1);
        const probe = Object.hasOwn(open, method) ? open[method] : undefined;
        let arrived: GrpcCall | undefined;
        const { permissions, most } = (Object.hasOwn(methods, method) && methods[method]) || UNSERVED;
        const refuse = (error: unknown) => arrived && call.sendStatus(this.#status(arrived, error));
        const body = new GrpcBody(call, { most, stream: requestStream, receiveMs, stalledMs, refuse });
        next({
          onReceiveMetadata: (metadata, proceed) => {
            if (probe) {
              body.drop();
              return answer(call, probe);
            }
            const one = new GrpcCall(metadata, call, method);
            arrived = one;
            this.#calls.set(metadata, one);
            one
              .authenticate(authenticator)
              .then((caller) => {
                requirePermission(caller, ...permissions);
                body.open(one.hold(bodies), one.holdResponse(responses));
                proceed(metadata);
              })
              .catch((error: unknown) => body.refuse(error));
          },
          onReceiveMessage: (message, proceed) => proceed(message),
          onReceiveHalfClose: (proceed) => {
            body.arrived();
            proceed();
          },
          onCancel: () => arrived?.left(),
        });
      },
      sendMetadata: (metadata, next) => next(metadata),
      sendMessage: (message, next) => next(message),
      sendStatus: (sent, next) => next(sent),
    });

  /** The call that has this metadata object. */
  of(metadata: Metadata): GrpcCall {
    const call = this.#calls.get(metadata);
    if (call === undefined) throw new MillraceError('INTERNAL', 'the call bypassed authentication');
    return call;
  }

  #status(call: GrpcCall, error: unknown): StatusObject {
    const refused = this.#options.refused(call, error);
    return { code: status.INTERNAL, details: '', metadata: null as never, ...refused };
  }
}

function answer(call: ServerInterceptingCallInterface, probe: () => Promise<object>): void {
  const end = (code: status, details: string) => call.sendStatus({ code, details });
  probe().then(
    (message) => call.sendMessage(message, () => end(status.OK, 'OK')),
    () => end(status.INTERNAL, 'the probe failed'),
  );
}
