import { vi } from 'vitest';
import type { Backend, Call, CallContext, Joining, Reply } from '../../../../../activities/connectors/connector.js';
import { MicroBatches } from '../../../../../activities/pools/micro-batch/micro-batches.js';
import { Suspects } from '../../../../../activities/pools/micro-batch/suspects.js';
import { MillraceError } from '../../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../../pipelines/json.js';
import { settle } from '../fakes.js';

interface Sent {
  readonly call: Call;
  readonly context: CallContext;
  answer(reply: Reply): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** The texts that a request has for the model. */
export const textsOf = ({ text, texts, pairs }: JsonObject): readonly string[] =>
  (texts ?? (pairs as JsonObject[] | undefined)?.map((pair) => pair.text) ?? [text]) as string[];

export function open({
  most = 8,
  tenants = 'together',
  inFlight = () => undefined,
  answers,
}: {
  readonly most?: number;
  readonly tenants?: Joining['tenants'];
  readonly inFlight?: () => number | undefined;
  /** What the server makes of a request at once. Absent: it stays open. */
  readonly answers?: (call: Call) => Reply;
} = {}) {
  const sent: Sent[] = [];
  const sizes: number[] = [];
  const invoke = (call: Call, context: CallContext) =>
    new Promise<Reply>((resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(context.signal.reason));
      const then = async (end: () => void) => {
        end();
        await settle();
      };
      sent.push({
        call,
        context,
        answer: (reply) => then(() => resolve(reply)),
        fail: (error) => then(() => reject(error)),
      });
      if (!answers) return;
      try {
        resolve(answers(call));
      } catch (error) {
        reject(error);
      }
    });
  const batches = new MicroBatches({
    backend: { invoke } as unknown as Backend,
    config: { waitMs: 5, most },
    joining: { tenants },
    suspects: new Suspects(),
    inFlight,
    sent: (calls) => void sizes.push(calls),
  });
  let calls = 0;
  const call = (input: JsonObject, context: Partial<CallContext> = {}, more: Partial<Call> = {}) => {
    const reply = batches.invoke(
      { kind: 'embed', model: 'm', with: {}, input, ...more },
      {
        signal: new AbortController().signal,
        audio: { read: never, write: never },
        emit: () => undefined,
        checkpoint: () => undefined,
        idempotencyKey: `call-${calls++}`,
        ...context,
      },
    );
    reply.catch(() => undefined);
    return reply;
  };
  const nth = (i: number): Sent => {
    const found = sent[i];
    if (!found) throw new Error(`no request ${i}`);
    return found;
  };
  const pass = async (ms = 5) => {
    await vi.advanceTimersByTimeAsync(ms);
    await settle();
  };
  return { call, sent, nth, pass, sizes, texts: () => sent.map(({ call: { input } }) => textsOf(input)) };
}

function never(): never {
  throw new Error('no audio');
}

/** A vector that tells its text. */
export const vectorOf = (text: string): number[] => [text.length, text.charCodeAt(0)];
export const embedded = (call: Call): Reply => {
  const texts = textsOf(call.input);
  const bad = texts.filter((text) => text.startsWith('bad'));
  if (bad.length > 0) throw new MillraceError('BACKEND_REJECTED', `the server refuses ${bad.join(', ')}`);
  const embeddings = texts.map(vectorOf);
  return { output: call.input.texts ? { embeddings } : { embedding: embeddings[0] as Json } };
};
