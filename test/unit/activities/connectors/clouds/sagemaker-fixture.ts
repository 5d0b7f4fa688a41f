import { createHash, createHmac } from 'node:crypto';
import { asking, bytes, callsOf, silence } from '../../../../support/preset-calls.js';
import { type Asked, chatDelta, type Told } from '../servers/fixture-server.js';
import { exception, part } from './frames.js';

export const AWS_KEYS = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'FwoGZXIvYXdzEXAMPLETOKEN==',
};

/** What the contract asks of both presets. */
export const contractCalls = {
  calls: callsOf(['chat', 'classify', 'embed', 'transcribe', 'infer'], {
    chat: { text: 'Paris, of course', finish: 'length' },
    transcribe: { text: 'RIFF heard' },
  }),
  audio: silence,
  bytes,
  longCall: asking('slow'),
  badCall: asking('bad'),
};

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const hash = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');

/** A refusal in the words of AWS, which repeat what was to be signed. */
const refused = (type: string, message: string, more: Told['headers'] = {}): Told => ({
  status: 403,
  headers: { 'x-amzn-errortype': type, ...more },
  json: { message },
});

/**
 * What an endpoint's front makes of a request's signature; undefined: it is right.
 * @param at the front's clock, in milliseconds since 1970
 * @param service whose front it is
 */
export function signatureFault(
  { method, path, query, headers, bytes }: Asked,
  at = Date.now(),
  service = 'sagemaker',
): Told | undefined {
  const [, key, day, region, signedFor, names = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=(\w{64})$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  const date = String(headers['x-amz-date']);
  if (signature === undefined) return refused('MissingAuthenticationTokenException', 'Missing Authentication Token');
  if (key !== AWS_KEYS.accessKeyId || headers['x-amz-security-token'] !== AWS_KEYS.sessionToken)
    return refused('UnrecognizedClientException', 'The security token included in the request is invalid.');
  const signed = names.split(';');
  for (const needed of ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz'))])
    if (!signed.includes(needed)) return refused('IncompleteSignatureException', `${needed} is not signed`);
  const canonical = [
    method,
    path,
    query.toString(),
    ...signed.map((name) => `${name}:${headers[name]}`),
    '',
    names,
    hash(bytes),
  ].join('\n');
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/${signedFor}/aws4_request\n${hash(canonical)}`;
  const signing = hmac(
    hmac(hmac(hmac(`AWS4${AWS_KEYS.secretAccessKey}`, String(day)), String(region)), String(signedFor)),
    'aws4_request',
  );
  const clock = { date: new Date(at).toUTCString() };
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  const of = Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s));
  if (service === 's3' && headers['x-amz-content-sha256'] !== hash(bytes))
    return refused('InvalidSignatureException', 'the body is another than x-amz-content-sha256 says', clock);
  if (!(Math.abs(of - at) < 300_000)) return refused('InvalidSignatureException', `Signature expired: ${date}`, clock);
  if (region !== 'eu-central-1' || signedFor !== service || hmac(signing, toSign).toString('hex') !== signature)
    return refused(
      'InvalidSignatureException',
      `The request signature we calculated does not match. The Canonical String was '${canonical}'`,
      clock,
    );
  return undefined;
}

/** What the container answers with, where it is no stream of events, by the prompt. */
const TYPES: Readonly<Record<string, string>> = { whole: 'application/json', lines: 'application/jsonlines' };

/** InvokeEndpointWithResponseStream, in front of a container with chat completions. */
function streamed({ json }: Asked): Told {
  const prompt = json.messages.at(-1).content;
  if (prompt === 'slow') return { never: true };
  const headers = {
    'content-type': 'application/vnd.amazon.eventstream',
    'x-amzn-sagemaker-content-type': TYPES[prompt] ?? 'text/event-stream',
  };
  const [first, second] = [chatDelta('Paris,'), chatDelta(' of course')];
  switch (prompt) {
    case 'whole': {
      const choices = [{ message: { content: 'Paris, of course' }, finish_reason: 'stop' }];
      return { headers, parts: [part(JSON.stringify({ choices }))] };
    }
    case 'lines': {
      // Of LMI, without the names of events.
      const lines = [first, second, chatDelta('', 'stop')].map((event) => event.replace(/^data: (.*)\n\n$/, '$1\n'));
      return { headers, parts: [part(lines.join(''))] };
    }
    case 'fails': {
      const body = { ErrorCode: 'ModelInvocationTimeExceeded', Message: 'the model is too slow' };
      return { headers, parts: [part(first), exception('ModelStreamError', body)] };
    }
    case 'dies': {
      const error = { message: 'EngineCore died', type: 'InternalServerError', param: null, code: 500 };
      return { headers, parts: [part(first), part(`data: ${JSON.stringify({ error })}\n\ndata: [DONE]\n\n`)] };
    }
    case 'aborts':
      return { headers, parts: [part(first), part(chatDelta('', 'abort'))] };
    case 'breaks':
      return { headers, parts: [part(first)] };
    default:
      // An event in two frames, as the container's chunks fall.
      return {
        headers,
        parts: [part(first + second.slice(0, 20)), part(second.slice(20)), part(chatDelta('', 'length'))],
      };
  }
}

const validation = (Message: string): Told => ({
  status: 400,
  headers: { 'x-amzn-errortype': 'ValidationError' },
  json: { Message },
});

/** InvokeEndpoint as its API reference describes it, in front of a container of Hugging Face. */
export function sagemaker(asked: Asked): Told {
  const fault = signatureFault(asked);
  if (fault) return fault;
  const { path, headers, json } = asked;
  const [, endpoint] = /^\/endpoints\/([\w-]+)\/invocations(?:-response-stream)?$/.exec(path) ?? [];
  if (endpoint === undefined) return { status: 404, json: { message: 'UnknownOperationException' } };
  if (endpoint !== 'model') return validation(`Endpoint ${endpoint} of account 111122223333 not found.`);
  const variant = headers['x-amzn-sagemaker-target-variant'];
  if (variant !== undefined && variant !== 'blue') return validation(`Variant ${variant} not found for model.`);
  if (headers['content-type'] === 'audio/x-wav') return { json: { text: `${asked.text.slice(0, 4)} heard` } };
  if (json?.instances) return { json: { predictions: json.instances } };
  if (path.endsWith('-stream')) return streamed(asked);
  const text = [json?.inputs].flat()[0];
  if (text === 'slow') return { never: true };
  if (text === 'bad') {
    const OriginalMessage = '{"code": 400, "type": "InternalServerException", "message": "text must not be bad"}';
    return {
      status: 424,
      headers: { 'x-amzn-errortype': 'ModelError' },
      json: {
        LogStreamArn: 'arn:aws:logs:eu-central-1:111122223333:log-group:/aws/sagemaker/Endpoints/model',
        Message: `Received client error (400) from primary with message "${OriginalMessage}"`,
        OriginalMessage,
        OriginalStatusCode: 400,
      },
    };
  }
  if (Array.isArray(json?.inputs)) return { json: json.inputs.map(() => [3, 4]) };
  return {
    json: [
      { label: 'yes', score: 0.75 },
      { label: 'no', score: 0.25 },
    ],
  };
}
