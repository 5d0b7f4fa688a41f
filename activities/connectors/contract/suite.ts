import { STAGE_KINDS } from '../../../pipelines/stages/index.js';
import type { Backend } from '../connector.js';
import { cancellation } from './cancellation.js';
import { contextOf, limit } from './context.js';
import type { Contract, TestRunner } from './contract.js';
import { errors } from './errors.js';
import { expectCode, expectFit, expectJson, expectReason, expectThat } from './expect.js';
import { schemasOf } from './schemas.js';

/**
 * Tests a connector against a real server: stage kinds and capabilities, the form of every answer, canaries,
 * fingerprints, cancellation and errors. Millrace's own connectors pass the same suite.
 *
 * ```ts
 * import { afterAll, describe, it } from 'vitest';
 * connectorContract({ describe, it, after: afterAll }, { connector: acme(), endpoint, … });
 * ```
 */
export function connectorContract(runner: TestRunner, contract: Contract): void {
  const { describe, it, after } = runner;
  const { connector, endpoint, calls, refused = {}, beyond = {} } = contract;
  const { name, kinds, capabilities } = connector;
  const schemas = schemasOf(contract);
  const served = Object.entries(calls);
  const [some] = served;
  if (some === undefined) throw new Error('a contract needs a call of a stage kind');
  const [someKind, { call: someCall }] = some;

  describe(`connector ${name}`, () => {
    let opened: Backend | undefined;
    /** Opened by the first test, so that a mistake in `connect` fails tests and not their collection. */
    const backend = (): Backend => {
      opened ??= connector.connect(endpoint, contract.key);
      return opened;
    };
    after(() => opened?.close());

    it('serves stage kinds that exist, all of those tried here among them', async () => {
      for (const kind of kinds) {
        const what = `"${kind}" is no stage kind of Millrace: give what defineKind returns for it in \`kinds\``;
        expectThat(schemas.has(kind), what);
      }
      for (const kind of [...Object.keys(calls), ...Object.keys(refused)]) {
        expectThat(kinds.has(kind), `the contract tries "${kind}", which is not in the connector's kinds`);
      }
      if (contract.refused === undefined) return;
      const untried = [...kinds].filter((kind) => !(kind in calls) && !(kind in refused));
      expectThat(untried.length === 0, `the contract has no call of ${untried.join(', ')}`);
    });

    it('refuses a stage kind that it does not serve', async () => {
      const other = Object.keys(STAGE_KINDS).find((kind) => !kinds.has(kind));
      if (other === undefined) return;
      const call = { ...someCall, kind: other };
      const what = `a call of the kind "${other}"`;
      await expectCode(() => backend().invoke(call, contextOf(contract)), 'BACKEND_REJECTED', endpoint, what);
    });

    for (const [capability, needs] of Object.entries(beyond)) {
      it(`${capability}: does what it says`, async () => {
        expectThat(
          capabilities.has(capability as keyof typeof beyond),
          `"${capability}" is missing in the connector's capabilities`,
        );
        await needs.check(await backend().invoke(needs.call, contextOf(contract)));
      });
    }

    for (const [kind, { call, code, canary }] of Object.entries(refused)) {
      it(`${kind}: what this server does not have is refused, not tried again`, async () => {
        const invoke = () => backend().invoke({ ...call, kind }, contextOf(contract));
        await expectCode(invoke, code, endpoint, 'a call');
        if (canary === false) return;
        await expectCode(() => backend().probe(call.model, kind, limit()), code, endpoint, 'a canary');
      });
    }

    for (const [kind, { call, check }] of served) {
      describe(kind, () => {
        it('answers in the form of the stage kind', async () => {
          const chunks: (string | number)[] = [];
          const emit = (chunk: string | number) => void chunks.push(chunk);
          const reply = await backend().invoke({ ...call, kind }, contextOf(contract, limit(), emit));
          const schema = schemas.get(kind);
          if (schema) expectFit(schema, reply.output, 'the output');
          expectJson(reply.output, 'the output');
          await check?.(reply, chunks);
          const streams = capabilities.has('stream');
          expectThat(streams || chunks.length === 0, 'a connector that emits chunks has the capability "stream"');
          if (!streams || kind !== 'chat') return;
          expectThat(chunks.length > 1, `a streamed answer arrives in more than one chunk, not in ${chunks.length}`);
          expectThat(chunks.join('') === reply.output.text, 'the chunks together must be the text of the output');
        });

        it('answers a canary', async () => {
          await backend().probe(call.model, kind, limit());
        });

        it('has a fingerprint on which two clients agree', async () => {
          const other = connector.connect(endpoint, contract.key);
          try {
            const [own, same] = [
              await backend().fingerprint(call.model, limit()),
              await other.fingerprint(call.model, limit()),
            ];
            const form = 'a fingerprint has 1 to 128 letters, digits, ".", ":", "/", "_" and "-"';
            expectThat(/^[\w.:/-]{1,128}$/.test(own), `${form}; it is "${own}"`);
            expectThat(own === same, `two clients have the fingerprints "${own}" and "${same}"`);
          } finally {
            other.close();
          }
        });

        it('does not begin a call that is aborted already', async () => {
          const reason = new Error('too late');
          const aborted = AbortSignal.abort(reason);
          const invoke = () => backend().invoke({ ...call, kind }, contextOf(contract, aborted));
          await expectReason(invoke, reason, 'an aborted call');
          await expectReason(() => backend().probe(call.model, kind, aborted), reason, 'an aborted canary');
        });
      });
    }

    describe('cancellation', () => cancellation(runner, contract, backend));

    describe('errors', () => errors(runner, contract, backend, { ...someCall, kind: someKind }));

    it('leaves the client usable', async () => {
      await backend().probe(someCall.model, someKind, limit());
    });
  });
}
