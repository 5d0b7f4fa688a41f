import pMap from 'p-map';
import { isErrorCode } from '../../pipelines/errors.js';
import type { Seeded } from '../chaos/seeded.js';
import { Found, type Outcome, type Problem } from './outcome.js';

const AT_ONCE = 8;
const ANSWER_MS = 30_000;

/** JSON-RPC’s own codes; the protocol’s codes for requests that a server refuses begin at -32000. */
const CODES: ReadonlySet<number> = new Set([-32_700, -32_600, -32_601, -32_602, -32_000]);
const INTERNAL = -32_603;

interface Message {
  readonly error?: { readonly code?: unknown };
  readonly result?: { readonly isError?: boolean; readonly _meta?: Readonly<Record<string, unknown>> };
}

/**
 * Sends messages of the Model Context Protocol: valid ones, ones with members of other types, and invalid texts. An
 * answer is documented if its status is one of the document’s, and each message in it is a result or an error with a
 * known code.
 * @param statuses that the gateway’s document lists for `/mcp`
 */
export async function fuzzMcp(
  base: string,
  requests: number,
  random: Seeded,
  statuses: ReadonlySet<number>,
): Promise<Outcome> {
  const found = new Found();
  const send = async () => {
    const { what, body, headers } = make(random);
    found.count(`mcp ${what}`, await judged(`${base}/mcp`, body, headers, statuses));
  };
  await pMap(Array.from({ length: requests }), send, { concurrency: AT_ONCE });
  return found.outcome();
}

async function judged(
  url: string,
  body: string,
  headers: Record<string, string>,
  statuses: ReadonlySet<number>,
): Promise<Problem | undefined> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(url, { method: 'POST', body, headers, signal });
    const { status } = response;
    const text = await response.text();
    if (status >= 500) return { problem: `HTTP ${status}`, server: true };
    if (!statuses.has(status)) return { problem: `HTTP ${status}`, server: false };
    for (const message of messagesIn(text, response.headers.get('content-type') ?? '')) {
      const problem = problemOf(message);
      if (problem) return problem;
    }
    return undefined;
  } catch (error) {
    return { problem: `no answer: ${(error as Error).name}`, server: true };
  }
}

/** Messages of a JSON body, or of the events of a stream. */
function messagesIn(text: string, type: string): Message[] {
  if (text === '') return [];
  const texts = type.startsWith('text/event-stream')
    ? text.split('\n').flatMap((line) => (line.startsWith('data: ') && line.length > 6 ? [line.slice(6)] : []))
    : [text];
  return texts.flatMap((each) => JSON.parse(each) as Message | Message[]);
}

function problemOf({ error, result }: Message): Problem | undefined {
  if (error !== undefined) {
    if (error.code === INTERNAL) return { problem: `error ${INTERNAL}`, server: true };
    return typeof error.code === 'number' && CODES.has(error.code)
      ? undefined
      : { problem: `error ${String(error.code)}`, server: false };
  }
  if (!result?.isError) return undefined;
  const code = result._meta?.['millrace/code'];
  if (code === 'INTERNAL') return { problem: 'result INTERNAL', server: true };
  return isErrorCode(code) ? undefined : { problem: `result ${String(code)}`, server: false };
}

const one = <T>(of: readonly T[], random: Seeded): T => of[random.below(of.length)] as T;

/** A value of any type, sometimes with members that have a meaning elsewhere. */
function anything(random: Seeded, depth = 0): unknown {
  const plain = [null, true, 0, -1, 1.5, 1e308, '', 'plain', 'é', '\u0000', '__proto__', '2025-06-18'];
  if (depth > 3 || random.below(3) > 0) return one(plain, random);
  if (random.below(2) === 0) return Array.from({ length: random.below(4) }, () => anything(random, depth + 1));
  const keys = ['text', 'name', 'arguments', '_meta', 'progressToken', 'uri', 'base64', 'subject', 'constructor'];
  return Object.fromEntries(
    Array.from({ length: random.below(4) }, () => [one(keys, random), anything(random, depth + 1)]),
  );
}

const METHODS = [
  'initialize',
  'ping',
  'tools/list',
  'tools/call',
  'tools/call',
  'tools/call',
  'notifications/cancelled',
];

function message(random: Seeded): { method: string; text: object } {
  const method = random.below(10) === 0 ? String(anything(random, 9)) : one(METHODS, random);
  const id = method.startsWith('notifications/') || random.below(20) === 0 ? {} : { id: random.below(1_000) };
  const text = {
    jsonrpc: '2.0',
    ...id,
    method,
    params: random.below(4) === 0 ? anything(random) : params(method, random),
  };
  if (random.below(8) > 0) return { method, text };
  return { method, text: { ...text, [one(['jsonrpc', 'id', 'method', 'params'], random)]: anything(random) } };
}

function params(method: string, random: Seeded): object {
  const name = one(['plain', 'plain', 'media', 'nobody'], random);
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: one(['2025-06-18', '2024-11-05', 'x'], random),
        capabilities: {},
        clientInfo: { name: 'fuzz', version: '1' },
      };
    case 'tools/call':
      return {
        name,
        arguments:
          random.below(2) === 0
            ? { text: 'hello', ...(random.below(3) === 0 && { tags: anything(random) }) }
            : anything(random),
        ...(random.below(3) === 0 && { _meta: { progressToken: anything(random) } }),
      };
    case 'notifications/cancelled':
      return { requestId: random.below(1_000) };
    default:
      return {};
  }
}

function make(random: Seeded): { what: string; body: string; headers: Record<string, string> } {
  const { method, text } = message(random);
  const headers: Record<string, string> = {
    'content-type': random.below(30) === 0 ? 'text/plain' : 'application/json',
    accept:
      random.below(20) === 0
        ? one(['*/*', 'application/json', 'text/event-stream'], random)
        : 'application/json, text/event-stream',
    ...(random.below(3) === 0 && { 'mcp-session-id': one(['a', 'b', ' ', 'x'.repeat(129)], random) }),
    ...(random.below(5) === 0 && { 'mcp-protocol-version': one(['2025-06-18', '2025-03-26', '1999-01-01'], random) }),
  };
  const way = random.below(12);
  const whole = JSON.stringify(text);
  if (way === 0) return { what: 'batch', body: JSON.stringify([text, message(random).text]), headers };
  if (way === 1) return { what: 'anything', body: JSON.stringify(anything(random)), headers };
  if (way === 2) return { what: 'half', body: whole.slice(0, random.below(whole.length)), headers };
  return { what: METHODS.includes(method) ? method : 'another method', body: whole, headers };
}
