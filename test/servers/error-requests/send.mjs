import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { inferenceApis } from '../../../dist/activities/connectors/torchserve-grpc/protocol.js';
import { inferenceService } from '../../../dist/protocols/open-inference/index.js';

const ANSWER_MS = 60_000;
/** What a connector may read. */
const HEADERS = ['allow', 'content-type', 'retry-after'];
/** Servers may answer with a traceback or a page. */
const LONGEST_TEXT = 2_000;

/**
 * One request, or `times` at the same time, of which the first error counts. A body that is no text is sent as JSON.
 * @param key sent as a bearer token, unless the request has another one
 * @returns status, headers and body of the answer
 */
export async function askedOverHttp(base, { times = 1, ...request }, key) {
  const all = await Promise.all(Array.from({ length: times }, () => once(base, request, key)));
  return all.find(({ ok }) => !ok) ?? all[0];
}

async function once(base, { method = 'POST', path, body, headers = {} }, key) {
  const text = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(base + path, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...headers,
    },
    ...(body !== undefined && { body: text ? body : JSON.stringify(body) }),
    redirect: 'manual',
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const { status } = response;
  const received = await response.text();
  const kept = HEADERS.flatMap((name) => (response.headers.has(name) ? [[name, response.headers.get(name)]] : []));
  return { ok: status < 400, status, headers: Object.fromEntries(kept), body: jsonOr(received) };
}

function jsonOr(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : text;
  } catch {
    return text.slice(0, LONGEST_TEXT);
  }
}

/** One call of a method of an inference service, or `times` at the same time, of which the first error counts. */
export async function askedOverGrpc(address, { times = 1, ...call }, key) {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
  try {
    const all = await Promise.all(Array.from({ length: times }, () => calledOnce(client, call, key)));
    return all.find(({ ok }) => !ok) ?? all[0];
  } finally {
    client.close();
  }
}

function calledOnce(client, { method = 'ModelInfer', path, request, metadata = {}, streams }, key) {
  const known = inferenceApis[method] ?? inferenceService[method];
  const all = new Metadata();
  if (key !== undefined) all.set('authorization', `Bearer ${key}`);
  for (const [name, value] of Object.entries(metadata)) all.set(name, value);
  const serialize = Buffer.isBuffer(request) ? (bytes) => bytes : known.requestSerialize;
  const about = [path ?? known.path, serialize, known.responseDeserialize, request, all];
  const limit = { deadline: Date.now() + ANSWER_MS };
  return new Promise((resolve) => {
    const end = (error) => {
      if (error) resolve({ grpc: error.code, details: error.details.slice(0, LONGEST_TEXT) });
      else resolve({ ok: true, status: 0 });
    };
    if (streams)
      client
        .makeServerStreamRequest(...about, limit)
        .on('data', () => {})
        .on('end', () => end())
        .on('error', end);
    else client.makeUnaryRequest(...about, limit, end);
  });
}
