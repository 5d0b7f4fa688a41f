import http2 from 'node:http2';
import { grpcStatus } from '../../gateway/kserve/grpc-status.js';
import { isErrorCode } from '../../pipelines/errors.js';
import { inferenceService, textTensor } from '../../protocols/open-inference/index.js';
import type { Seeded } from '../chaos/seeded.js';
import { Found, type Outcome } from './outcome.js';

const OK = 0;
const CANCELLED = 1;
const UNKNOWN = 2;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;

/** Requests per connection; some break it, and a new one replaces it. */
const AT_ONCE = 8;
/** A slower answer counts as a failure, in milliseconds. */
const ANSWER_MS = 30_000;

interface Made {
  readonly method: string;
  readonly type: string;
  readonly body: Buffer;
}
interface Answer {
  readonly http?: number;
  readonly status?: number;
  readonly code?: string;
}

/**
 * Sends calls of the inference protocol: valid ones, valid ones with changed bytes, and random bytes. An answer is
 * documented if its status is that of its code in the error table, or one that gRPC defines for an invalid call.
 */
export async function fuzzGrpc(address: string, requests: number, random: Seeded): Promise<Outcome> {
  const found = new Found();
  let left = requests;
  const worker = async () => {
    let session = connect(address);
    while (left > 0) {
      left -= 1;
      if (session.destroyed || session.closed) session = connect(address);
      const made = make(random);
      const answer = await ask(session, made);
      found.count(`grpc ${made.method}`, judged(made, answer));
    }
    session.destroy();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found.outcome();
}

function connect(address: string): http2.ClientHttp2Session {
  return http2.connect(`http://${address}`).on('error', () => undefined);
}

function judged({ type }: Made, { http, status, code }: Answer) {
  if (http === undefined) return { problem: 'no answer', server: true };
  if (http !== 200)
    return http === 415 && !type.startsWith('application/grpc')
      ? undefined
      : { problem: `HTTP ${http}`, server: http >= 500 };
  const said = `status ${status}${code === undefined ? '' : ` ${code}`}`;
  if (status === undefined) return { problem: 'no status', server: true };
  if ([UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS].includes(status)) return { problem: said, server: true };
  if (code !== undefined)
    return isErrorCode(code) && grpcStatus(code) === status ? undefined : { problem: said, server: false };
  // For a method that is not served, and for a call with no message or a second one.
  return [OK, CANCELLED, UNIMPLEMENTED].includes(status) ? undefined : { problem: said, server: false };
}

async function ask(session: http2.ClientHttp2Session, { method, type, body }: Made): Promise<Answer> {
  return await new Promise((resolve) => {
    let answer: Answer = {};
    const stream = session.request({
      ':method': 'POST',
      ':path': `/inference.GRPCInferenceService/${method}`,
      'content-type': type,
      te: 'trailers',
    });
    const late = setTimeout(() => stream.destroy(), ANSWER_MS);
    const note = (headers: http2.IncomingHttpHeaders) => {
      if (headers['grpc-status'] !== undefined) answer = { ...answer, status: Number(headers['grpc-status']) };
      const code = headers['millrace-code'];
      if (typeof code === 'string') answer = { ...answer, code };
    };
    stream.on('response', (headers) => {
      answer = { http: headers[':status'] ?? 0 };
      note(headers);
    });
    stream.on('trailers', note);
    stream.on('error', () => undefined).resume();
    stream.once('close', () => {
      clearTimeout(late);
      resolve(answer);
    });
    stream.end(body);
  });
}

const SERVED = Object.keys(inferenceService);

function make(random: Seeded): Made {
  const method = random.below(20) === 0 ? name(random) : (SERVED[random.below(SERVED.length)] as string);
  const type = random.below(50) === 0 ? 'application/json' : 'application/grpc';
  const messages = method === 'ModelStreamInfer' ? random.below(4) : 1;
  const parts = Array.from({ length: messages }, () => framed(messageOf(method, random), random));
  return { method: encodeURIComponent(method), type, body: Buffer.concat(parts) };
}

/** One in six is framed wrongly: another length, a compression flag, or nothing at all. */
function framed(message: Buffer, random: Seeded): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const way = random.below(24);
  if (way === 0) prefix[0] = 1 + random.below(255);
  if (way === 1) prefix.writeUInt32BE(random.below(2 ** 31), 1);
  if (way === 2) return message;
  if (way === 3) return Buffer.alloc(0);
  return Buffer.concat([prefix, message]);
}

function messageOf(method: string, random: Seeded): Buffer {
  const way = random.below(4);
  if (way === 0) return Buffer.from(Array.from({ length: random.below(200) }, () => random.below(256)));
  const infers = method === 'ModelInfer' || method === 'ModelStreamInfer' || random.below(10) === 0;
  const valid = infers
    ? inferMessage(random)
    : encoded('ModelMetadata', { name: name(random), version: random.below(3) === 0 ? name(random) : '' });
  return way === 1 ? changed(valid, random) : valid;
}

const encoded = (method: string, message: object): Buffer =>
  inferenceService[method]?.requestSerialize(message) ?? Buffer.alloc(0);

/** A message's bytes, some of them changed, removed or added. */
function changed(message: Buffer, random: Seeded): Buffer {
  const bytes = [...message];
  for (let i = random.below(8); i >= 0; i--) {
    const at = random.below(bytes.length + 1);
    const way = random.below(4);
    if (way === 0) bytes.splice(at, 1);
    else if (way === 1) bytes.splice(at, 0, random.below(256));
    else if (way === 2) bytes.length = at;
    else if (at < bytes.length) bytes[at] = random.below(256);
  }
  return Buffer.from(bytes);
}

const NAMES = [
  'plain',
  'media',
  'text',
  'language',
  'count',
  'tags',
  'speaker',
  'speech',
  'picture',
  'clips',
  '',
  '\u0000',
  '__proto__',
  'é'.repeat(40),
];
const name = (random: Seeded): string => NAMES[random.below(NAMES.length)] as string;
const DATATYPES = ['BYTES', 'BYTES', 'BYTES', 'INT64', 'FP64', 'FP32', 'INT16', 'BOOL', 'FP16', 'INT128', ''];
const SHAPES = [[1], [1], [1, 1], [0], [2], [-1], [1, 2], [], ['9223372036854775807'], [1_000_000, 1_000_000]];
const CONTENTS = [
  { bytes_contents: [Buffer.from('a')] },
  { int64_contents: ['-9223372036854775808'] },
  { fp64_contents: [Number.NaN] },
  { fp32_contents: [0.5, -1] },
  { bool_contents: [true] },
  {},
];
const PARAMETERS = [
  {},
  { priority: { string_param: 'batch' } },
  { priority: { int64_param: '1' } },
  { timeout: { int64_param: '5000000' } },
  { timeout: { double_param: -0.5 } },
  { sequence_id: { uint64_param: '18446744073709551615' } },
  { sample_rate: { string_param: 'x' }, deltas: { bool_param: true } },
];
const one = <T>(of: readonly T[], random: Seeded): T => of[random.below(of.length)] as T;

function inferMessage(random: Seeded): Buffer {
  const { raw: text, ...plain } = textTensor('text', [1], 'hello');
  if (random.below(3) === 0) {
    const parameters = random.below(4) === 0 ? one(PARAMETERS, random) : {};
    return encoded('ModelInfer', {
      model_name: 'plain',
      id: name(random),
      parameters,
      inputs: [plain],
      raw_input_contents: [text],
    });
  }
  const inputs = Array.from({ length: random.below(4) }, () => ({
    name: name(random),
    datatype: one(DATATYPES, random),
    shape: one(SHAPES, random),
    parameters: one(PARAMETERS, random),
    ...(random.below(2) === 0 && { contents: one(CONTENTS, random) }),
  }));
  const raws =
    random.below(2) === 0
      ? []
      : Array.from({ length: random.below(4) }, () => one([text, Buffer.alloc(0), Buffer.alloc(9)], random));
  const outputs = random.below(3) === 0 ? [{ name: name(random), parameters: one(PARAMETERS, random) }] : [];
  const model = one(['plain', 'media', name(random)], random);
  return encoded('ModelInfer', {
    model_name: model,
    id: name(random),
    parameters: one(PARAMETERS, random),
    inputs,
    outputs,
    raw_input_contents: raws,
  });
}
