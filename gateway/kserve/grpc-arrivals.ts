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
import { GrpcCall } from './grpc-calls.js';

export interface ArrivalOptions {
  readonly authenticator: Authenticator;
  /** Of methods that need no key, by name: their answers, which take nothing of the request. */
  readonly open: Readonly<Record<string, () => Promise<object>>>;
  /** Longest time to receive the one message of a call, in milliseconds. */
  readonly receiveMs: number;
  /** Told of a call that is refused before it reaches its method. */
  readonly refused: (call: GrpcCall, error: unknown) => Partial<StatusObject>;
}

/**
 * What happens to a call before its method: whoever makes it is authenticated before anything of its body is read, as at
 * the HTTP doors, so that strangers cannot have the gateway hold messages.
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
        const { authenticator, open, receiveMs } = this.#options;
        const method = path.slice(path.lastIndexOf('/') + 1);
        const probe = open[method];
        let arrived: GrpcCall | undefined;
        let late: NodeJS.Timeout | undefined;
        const refuse = (error: unknown) => arrived && call.sendStatus(this.#status(arrived, error));
        next({
          onReceiveMetadata: (metadata, proceed) => {
            if (probe) return answer(call, probe);
            const one = new GrpcCall(metadata, call, method);
            arrived = one;
            this.#calls.set(metadata, one);
            one.authenticate(authenticator).then(() => {
              if (!requestStream) late = setTimeout(() => refuse(tooSlow(receiveMs)), receiveMs);
              proceed(metadata);
            }, refuse);
          },
          onReceiveMessage: (message, proceed) => {
            clearTimeout(late);
            proceed(message);
          },
          onReceiveHalfClose: (proceed) => proceed(),
          onCancel: () => {
            clearTimeout(late);
            arrived?.left();
          },
        });
      },
      sendMetadata: (metadata, next) => next(metadata),
      sendMessage: (message, next) => next(message),
      sendStatus: (sent, next) => next(sent),
    });

  /** The call whose metadata a method has got. */
  of(metadata: Metadata): GrpcCall {
    const call = this.#calls.get(metadata);
    if (call === undefined) throw new MillraceError('INTERNAL', 'a call has come past its authentication');
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

const tooSlow = (ms: number) =>
  new MillraceError('REQUEST_TIMEOUT', `the message was not received within ${ms / 1_000} s`);
