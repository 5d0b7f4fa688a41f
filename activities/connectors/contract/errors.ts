import type { ErrorDetails, MillraceError } from '../../../pipelines/errors.js';
import type { Backend, Call } from '../connector.js';
import { contextOf, limit } from './context.js';
import type { Contract, TestRunner } from './contract.js';
import { expectCode, expectThat, shortest } from './expect.js';

/** A refused connection is reported at once. */
const AT_ONCE_MS = 1_000;
const NO_MODEL = 'no-such-model';

/** @param some a call that succeeds */
export function errors({ it }: TestRunner, contract: Contract, backend: () => Backend, some: Call): void {
  const { connector, endpoint, deadEndpoint, badCall, overflow, key, unknownModel = 'MODEL_NOT_FOUND' } = contract;

  if (unknownModel !== null) {
    it(`an unknown model is ${unknownModel}`, async () => {
      const invoke = () => backend().invoke({ ...some, model: NO_MODEL }, contextOf(contract));
      await expectCode(invoke, unknownModel, endpoint, `a call of the model "${NO_MODEL}"`);
      const probe = () => backend().probe(NO_MODEL, some.kind, limit());
      await expectCode(probe, unknownModel, endpoint, `a canary of the model "${NO_MODEL}"`);
    });
  }

  it('a call that the server refuses is BACKEND_REJECTED', async () => {
    const invoke = () => backend().invoke(badCall, contextOf(contract));
    await expectCode(invoke, 'BACKEND_REJECTED', endpoint, 'badCall');
  });

  if (overflow) {
    it('a call beyond the context is CONTEXT_TOO_LONG, with both numbers', async () => {
      const invoke = () => backend().invoke(overflow, contextOf(contract));
      await expectCode(invoke, 'CONTEXT_TOO_LONG', endpoint, 'overflow');
      const { neededTokens = 0, contextTokens = 0 } = await invoke().then(
        (): ErrorDetails => ({}),
        (error: MillraceError) => error.details,
      );
      const both = contextTokens > 0 && neededTokens > contextTokens;
      expectThat(both, 'the error needs `contextTokens` and a higher number of `neededTokens`');
    });
  }

  it('a server that is down is BACKEND_UNAVAILABLE, at once and every time', async () => {
    const dead = connector.connect(deadEndpoint, key);
    try {
      for (let i = 0; i < 3; i++) {
        const ms = await shortest(AT_ONCE_MS, async () => {
          const started = performance.now();
          const probe = () => dead.probe(some.model, some.kind, limit());
          await expectCode(probe, 'BACKEND_UNAVAILABLE', deadEndpoint, 'a canary of a server that is down');
          return performance.now() - started;
        });
        expectThat(ms < AT_ONCE_MS, `a server that is down must be reported within ${AT_ONCE_MS} ms, not ${ms} ms`);
      }
      const invoke = () => dead.invoke(some, contextOf(contract));
      await expectCode(invoke, 'BACKEND_UNAVAILABLE', deadEndpoint, 'a call of a server that is down');
      const print = () => dead.fingerprint(some.model, limit());
      await expectCode(print, 'BACKEND_UNAVAILABLE', deadEndpoint, 'a fingerprint of a server that is down');
    } finally {
      dead.close();
    }
  });

  it('a call of a server that is down was never sent', async () => {
    const dead = connector.connect(deadEndpoint, key);
    try {
      const error: unknown = await dead.invoke(some, contextOf(contract)).catch((thrown: unknown) => thrown);
      const { details } = error as { details?: { unsent?: boolean } };
      const why = 'so that the stage waits for the server instead of using its attempts';
      expectThat(details?.unsent === true, `details.unsent of the error must be true, ${why}`);
    } finally {
      dead.close();
    }
  });
}
