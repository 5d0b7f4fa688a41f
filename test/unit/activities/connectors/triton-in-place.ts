import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { afterEach, beforeEach } from 'vitest';
import { TritonClient } from '../../../../activities/connectors/triton/client.js';
import { inferenceService } from '../../../../protocols/open-inference/protocol.js';
import { textTensor } from '../../../../protocols/open-inference/tensors.js';
import { freePort } from '../../../support/free-port.js';
import { whenFree } from '../../../support/listen-at.js';

type Handler = (request: Record<string, unknown>, call: ServerUnaryCall<unknown, unknown>) => object | Promise<object>;

export const limit = () => AbortSignal.timeout(110_000);
export const inputs = [textTensor('TEXT', [1, 1], 'x')];

/** A gRPC server in Triton's place for the tests of a file, for what a real one shows seldom or at great length, and a client of it. */
export function tritonInPlace() {
  let server: Server;
  let address: string;
  const triton = {
    client: undefined as unknown as TritonClient,
    handlers: {} as Record<string, Handler>,
    /** Answers a request on a stream. */
    onStream: (_request: Record<string, unknown>, _call: ServerDuplexStream<unknown, object>): void => undefined,
    calls: [] as string[],
    address: () => address,
    /** Again at the same address after `stop`. */
    listen: () => whenFree(bind),
    stop: () => server.forceShutdown(),
  };
  // A server that could not bind its port cannot try it again.
  const bind = async (): Promise<void> => {
    server = new Server();
    const handle =
      (method: string) =>
      (call: ServerUnaryCall<Record<string, unknown>, object>, done: sendUnaryData<object>): void => {
        triton.calls.push(method);
        Promise.resolve()
          .then(() => triton.handlers[method]?.(call.request, call) ?? {})
          .then(
            (answer) => done(null, answer),
            (error: Error) => done(error),
          );
      };
    server.addService(inferenceService, {
      ...Object.fromEntries(Object.keys(inferenceService).map((method) => [method, handle(method)])),
      ModelStreamInfer(call: ServerDuplexStream<Record<string, unknown>, object>) {
        triton.calls.push('ModelStreamInfer');
        call.on('data', (request) => triton.onStream(request, call));
        call.on('end', () => call.end());
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    address = `127.0.0.1:${port}`;
  };
  beforeEach(async () => {
    triton.handlers = {};
    triton.calls = [];
    // Nobody else is given it while a test has it free.
    address = `127.0.0.1:${await freePort()}`;
    await triton.listen();
    triton.client = new TritonClient(address);
  });
  afterEach(() => {
    triton.client.close();
    triton.stop();
  });
  return triton;
}
