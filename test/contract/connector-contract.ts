import { afterAll, describe, expect, it } from 'vitest';
import type {
  Backend,
  Call,
  CallContext,
  Capability,
  Connector,
  Reply,
} from '../../activities/connectors/connector.js';
import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import { STAGE_KINDS, type StageKindName } from '../../pipelines/stages/index.js';

/** What the shared suite needs to know of a connector and its real server. */
export interface Contract {
  readonly connector: Connector;
  /** Address of the real server. */
  readonly endpoint: string;
  /** An address of the connector's form where nothing listens. */
  readonly deadEndpoint: string;
  /** For every stage kind that the server can serve: a call and what must come back, at the end and by way of `emit`. */
  readonly calls: Partial<
    Record<
      StageKindName,
      { call: Omit<Call, 'kind'>; check(reply: Reply, chunks: readonly (string | number)[]): void | Promise<void> }
    >
  >;
  /**
   * For the stage kinds of the connector that this server does not have: a call, and the code that refuses it. Given, it
   * and `calls` together must have every kind of the connector.
   */
  readonly refused?: Partial<Record<StageKindName, { call: Omit<Call, 'kind'>; code: ErrorCode }>>;
  /** For what the connector can do beyond a plain call: a call that needs it, and what must come back. */
  readonly beyond?: Partial<Record<Capability, { call: Call; check(reply: Reply): void | Promise<void> }>>;
  /** A call that takes the server well over a second. */
  readonly longCall: Call;
  /** A call that the server refuses. */
  readonly badCall: Call;
  /** Makes a context's media; connectors without media get none. */
  readonly audio: CallContext['audio'];
  readonly bytes?: CallContext['bytes'];
  /** What a call of a model that does not exist is. Default `MODEL_NOT_FOUND`; null where the protocol names no model. */
  readonly unknownModel?: ErrorCode | null;
  /** The calls that the server works on, by its own count; then the long call is one that streams. */
  readonly working?: () => Promise<number>;
}

/** Far above what a call takes on a loaded machine, far below a test's limit. */
const LIMIT_MS = 60_000;

/** The suite that every connector runs, against a real server. */
export function connectorContract({
  connector,
  endpoint,
  deadEndpoint,
  calls,
  refused,
  beyond = {},
  longCall,
  badCall,
  audio,
  bytes,
  unknownModel = 'MODEL_NOT_FOUND',
  working,
}: Contract): void {
  const backend = connector.connect(endpoint);
  const limit = () => AbortSignal.timeout(LIMIT_MS);
  const context = (signal = limit(), emit: CallContext['emit'] = () => undefined): CallContext => ({
    signal,
    audio,
    ...(bytes && { bytes }),
    checkpoint: () => undefined,
    emit,
  });
  const lacking = Object.entries(refused ?? {}) as [
    StageKindName,
    NonNullable<NonNullable<typeof refused>[StageKindName]>,
  ][];
  const able = Object.entries(beyond) as [Capability, NonNullable<(typeof beyond)[Capability]>][];
  const streams = connector.capabilities.has('stream');
  const served = Object.entries(calls) as [StageKindName, NonNullable<(typeof calls)[StageKindName]>][];
  const [[someKind, some] = fail('a contract needs a call')] = served;

  afterAll(() => backend.close());

  describe(`${connector.name}: capabilities`, () => {
    it('names stage kinds that exist, all of those tried here among them', () => {
      for (const kind of connector.kinds) expect(Object.keys(STAGE_KINDS)).toContain(kind);
      for (const [kind] of [...served, ...lacking]) expect(connector.kinds).toContain(kind);
    });

    if (refused) {
      it('has every stage kind of the connector tried here', () => {
        const tried = [...served, ...lacking].map(([kind]) => kind);
        expect([...connector.kinds].filter((kind) => !tried.includes(kind))).toEqual([]);
      });
    }

    it.each(able)('%s: does what it says', async (capability, { call, check }) => {
      expect(connector.capabilities).toContain(capability);
      await check(await backend.invoke(call, context()));
    });

    it.each(lacking)('%s: what this server does not have is refused, not tried again', async (kind, { call, code }) => {
      await expectCode(backend.invoke({ ...call, kind }, context()), code, endpoint);
      await expectCode(backend.probe(call.model, kind, limit()), code, endpoint);
    });

    it('refuses a stage kind that it does not serve', async () => {
      const kind = (Object.keys(STAGE_KINDS) as StageKindName[]).find((each) => !connector.kinds.has(each));
      if (kind === undefined) return;
      await expectCode(backend.invoke({ ...some.call, kind }, context()), 'BACKEND_REJECTED', endpoint);
    });
  });

  describe.each(served)(`${connector.name}: %s`, (kind, { call, check }) => {
    it('answers in the form of the stage kind', async () => {
      const chunks: (string | number)[] = [];
      const emit = (chunk: string | number) => void chunks.push(chunk);
      const reply = await backend.invoke({ ...call, kind }, context(limit(), emit));
      expect(STAGE_KINDS[kind].output.safeParse(reply.output).error).toBeUndefined();
      expect(JSON.parse(JSON.stringify(reply.output))).toEqual(reply.output);
      await check(reply, chunks);
      if (!streams) expect(chunks).toEqual([]);
      if (streams && kind === 'chat') {
        expect(chunks.length).toBeGreaterThan(1);
        expect(chunks.join('')).toBe(reply.output.text);
      }
    });

    it('answers a canary', async () => {
      await backend.probe(call.model, kind, limit());
    });

    it('knows a fingerprint that two clients agree on', async () => {
      const other = connector.connect(endpoint);
      const fingerprint = await backend.fingerprint(call.model, limit());
      expect(fingerprint).toMatch(/^[\w.:/-]{1,128}$/);
      expect(await other.fingerprint(call.model, limit())).toBe(fingerprint);
      other.close();
    });

    it('does not begin a call that is aborted already', async () => {
      const reason = new Error('too late');
      await expect(backend.invoke({ ...call, kind }, context(AbortSignal.abort(reason)))).rejects.toBe(reason);
      await expect(backend.probe(call.model, kind, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });

  describe(`${connector.name}: cancellation`, () => {
    it('ends a running call within a second, with the caller’s reason', async () => {
      const controller = new AbortController();
      const reason = new Error('the run was cancelled');
      let chunks = 0;
      const emit = () => void chunks++;
      const call = backend.invoke(longCall, context(controller.signal, emit));
      let abortedAt = 0;
      setTimeout(() => {
        abortedAt = performance.now();
        controller.abort(reason);
      }, 300);
      await expect(call).rejects.toBe(reason);
      expect(abortedAt).toBeGreaterThan(0);
      expect(performance.now() - abortedAt).toBeLessThan(1_000);
      const atTheEnd = chunks;
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(chunks, 'nothing comes after the end').toBe(atTheEnd);
    });

    if (working) {
      // On a loaded machine the server may be late to tell: the best of three tries counts.
      it('frees the server within a second, or some of its steps, by its own count', { retry: 2 }, async () => {
        // What the test before has cancelled, a slow server may still count.
        await expect.poll(working, { timeout: 30_000 }).toBe(0);
        const controller = new AbortController();
        const arrivals: number[] = [];
        const emit = () => void arrivals.push(performance.now());
        const call = backend.invoke(longCall, context(controller.signal, emit)).catch(() => undefined);
        try {
          await expect.poll(() => arrivals.length, { timeout: 30_000, interval: 20 }).toBeGreaterThan(3);
          expect(await working()).toBe(1);
        } finally {
          // Else it goes on for minutes, and the next tests find the server at work.
          controller.abort(new Error('the run was cancelled'));
        }
        const abortedAt = performance.now();
        await call;
        await expect.poll(working, { timeout: 30_000, interval: 20 }).toBe(0);
        const steps = arrivals.slice(1).map((at, i) => at - (arrivals[i] ?? at));
        expect(performance.now() - abortedAt).toBeLessThan(1_000 + 3 * Math.max(...steps));
      });
    }

    it('leaves the client usable', async () => {
      await backend.probe(some.call.model, someKind, limit());
    });
  });

  describe(`${connector.name}: errors`, () => {
    if (unknownModel !== null) {
      it(`an unknown model is ${unknownModel}`, async () => {
        const call = { ...some.call, kind: someKind, model: 'no-such-model' };
        await expectCode(backend.invoke(call, context()), unknownModel, endpoint);
        await expectCode(backend.probe('no-such-model', someKind, limit()), unknownModel, endpoint);
      });
    }

    it('a call that the server refuses is BACKEND_REJECTED', async () => {
      await expectCode(backend.invoke(badCall, context()), 'BACKEND_REJECTED', endpoint);
    });

    it('a server that is down is BACKEND_UNAVAILABLE, at once and every time', async () => {
      const dead = connector.connect(deadEndpoint);
      for (let i = 0; i < 3; i++) {
        const started = performance.now();
        await expectCode(dead.probe(some.call.model, someKind, limit()), 'BACKEND_UNAVAILABLE', deadEndpoint);
        expect(performance.now() - started).toBeLessThan(1_000);
      }
      await expectCode(dead.invoke({ ...some.call, kind: someKind }, context()), 'BACKEND_UNAVAILABLE', deadEndpoint);
      await expectCode(dead.fingerprint(some.call.model, limit()), 'BACKEND_UNAVAILABLE', deadEndpoint);
      dead.close();
    });
  });
}

async function expectCode(promise: Promise<unknown>, code: ErrorCode, endpoint: string): Promise<void> {
  const error: unknown = await promise.then(
    (value) => value,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(MillraceError);
  const { code: given, details, message } = error as MillraceError;
  expect({ code: given, endpoint: details.endpoint }, message).toEqual({ code, endpoint });
}

function fail(message: string): never {
  throw new Error(message);
}

/** Media of connectors that have none. */
export const noAudio: CallContext['audio'] = {
  read: () => fail('no audio here'),
  write: () => fail('no audio here'),
};

/** A backend's reply to one call, for tests beside the shared ones. */
export const invoke = (
  backend: Backend,
  call: Call,
  audio = noAudio,
  emit: CallContext['emit'] = () => undefined,
): Promise<Reply> =>
  backend.invoke(call, { signal: AbortSignal.timeout(LIMIT_MS), audio, checkpoint: () => undefined, emit });
