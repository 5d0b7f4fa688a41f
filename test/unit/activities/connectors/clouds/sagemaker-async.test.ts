import { createHash } from 'node:crypto';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { Call, CallContext } from '../../../../../activities/connectors/connector.js';
import { HandedOver } from '../../../../../activities/connectors/handed-over.js';
import { httpConnector } from '../../../../../activities/connectors/http/index.js';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import type { Json, JsonObject } from '../../../../../pipelines/json.js';
import { connectorContract } from '../../../../contract/connector-contract.js';
import { freePort } from '../../../../support/free-port.js';
import { asking, silence } from '../../../../support/preset-calls.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { PNG, SageMakerJobs, type Submission, s3Failure } from '../../../../support/sagemaker-jobs.js';
import { AWS_KEYS, contractCalls } from './sagemaker-fixture.js';

const key = JSON.stringify(AWS_KEYS);
/** For what happens at once on a machine that does not stand still. */
const soon = { timeout: 30_000 };

describe('sagemaker-async (a fixture that checks the signatures of both services)', async () => {
  const aws = await new SageMakerJobs().start();
  afterAll(() => aws.stop());
  connectorContract({
    connector: presetConnector('sagemaker-async', aws.options),
    endpoint: aws.url,
    key,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    // A canary would be a job that nobody waits for.
    unknownModel: null,
    refused: {
      // Files are tested below: the contract has no store for them.
      generate: {
        call: { model: 'model', with: { makes: 'image' }, input: { prompt: 'bad' } },
        code: 'BACKEND_REJECTED',
        canary: false,
      },
    },
    ...contractCalls,
  });
});

describe('sagemaker-async beyond the contract (a fixture)', async () => {
  const aws = await new SageMakerJobs().start();
  afterAll(() => aws.stop());
  const kept: Json[] = [];
  beforeEach(() => {
    aws.clear();
    kept.length = 0;
  });
  const http = httpConnector();

  interface Asked extends Partial<Call> {
    /** Members of the options, and of its `objects`. */
    readonly options?: JsonObject;
    readonly objects?: JsonObject;
    readonly context?: Partial<CallContext>;
  }

  const open = (kind: string, { options = {}, objects = {} }: Asked) => {
    const whole = {
      preset: 'sagemaker-async',
      ...aws.options,
      ...options,
      objects: { ...aws.options.objects, ...objects },
    };
    return http.connect(aws.url, key, optionsOf(http, { kind, options: whole }, 'options'));
  };

  const call = (asked: Asked = {}) => {
    const { kind, model, with: own, input } = { ...asking('text'), ...asked };
    return open(kind, asked).invoke(
      { kind, model, with: own, input },
      {
        signal: AbortSignal.timeout(30_000),
        audio: silence,
        checkpoint: (progress) => void kept.push(progress),
        emit: () => undefined,
        tenant: 'acme',
        ...asked.context,
      },
    );
  };

  /** The first request that the endpoint has taken. */
  const submission = (): Submission => {
    const [first] = aws.submitted;
    if (!first) throw new Error('nothing was submitted');
    return first;
  };

  const written: Buffer[] = [];
  const artifacts: CallContext['artifacts'] = {
    read: () => Promise.reject(new Error('nothing is read')),
    async write(data, { type }) {
      written.push(Buffer.from(data));
      const sha256 = createHash('sha256').update(data).digest('hex');
      return { uri: `artifact://t/${sha256}`, sha256, mime: type, bytes: data.length };
    },
  };
  const painting: Asked = {
    kind: 'generate',
    with: { makes: 'image' },
    input: { prompt: 'a mill' },
    context: { artifacts },
  };

  it('writes the input, names it, and fetches the file that comes of it', async () => {
    const endsAt = performance.now() + 10_000_000;
    const { output } = await call({ ...painting, context: { artifacts, endsAt } });
    expect(output).toMatchObject({ image: { mime: 'image/png', bytes: PNG.length } });
    expect(written).toEqual([PNG]);
    const [input = ''] = aws.keys('in/');
    const [, id] = /^in\/acme\/([0-9a-f-]{36})$/.exec(input) ?? [];
    expect(aws.objects.get(input)).toEqual({
      bytes: Buffer.from('{"inputs":"a mill","parameters":{}}'),
      type: 'application/json',
    });
    expect(aws.lines).toEqual([
      `PUT /jobs/${input}`,
      'POST /endpoints/model/async-invocations',
      `GET /jobs/out/${id}.out`,
    ]);
    const { headers } = submission();
    expect(headers).toMatchObject({
      'x-amzn-sagemaker-inputlocation': `s3://jobs/${input}`,
      'x-amzn-sagemaker-content-type': 'application/json',
      'x-amzn-sagemaker-accept': 'image/png',
      'x-amzn-sagemaker-inference-id': id,
      'x-amzn-sagemaker-invocationtimeoutseconds': '3600',
      'content-length': '0',
    });
    expect(Number(headers['x-amzn-sagemaker-requestttlseconds'])).toBeLessThanOrEqual(10_000);
    const tokens = aws.requests.map(({ headers: each }) => each['x-amz-security-token']);
    expect(new Set(tokens)).toEqual(new Set([AWS_KEYS.sessionToken]));
  });

  it('lets a request wait and work no longer than the attempt has, within the bounds of the API', async () => {
    const times = async (context: Partial<CallContext>) => {
      aws.clear();
      await call({ context });
      const { headers } = submission();
      return ['requestttl', 'invocationtimeout'].map((name) => headers[`x-amzn-sagemaker-${name}seconds`]);
    };
    expect(await times({})).toEqual([undefined, undefined]);
    expect(await times({ endsAt: performance.now() + 29_000 })).toEqual(['60', expect.stringMatching(/^2\d$/)]);
    expect(await times({ endsAt: performance.now() + 90_000_000 })).toEqual(['21600', '3600']);
  });

  it('asks until a late output is there; that it is not there yet is no failure', async () => {
    aws.held = true;
    const answer = call();
    await expect.poll(() => aws.lines.filter((line) => line.includes('/out/')).length, soon).toBeGreaterThan(2);
    aws.finish();
    expect((await answer).output).toMatchObject({ label: 'yes', score: 0.75 });
    expect(aws.submitted).toHaveLength(1);
    const { input, inferenceId } = submission();
    const first = { endpoint: aws.url, input: `s3://jobs/${input}` };
    const job = {
      output: `s3://jobs/out/${inferenceId}.out`,
      failure: `s3://jobs/failed/${inferenceId}-error.out`,
    };
    expect(kept).toEqual([first, { ...first, job }]);
  });

  describe('a repeated attempt', () => {
    /** What an attempt leaves whose worker stops while the job works. */
    const stopped = async (asked: Asked = {}): Promise<Json> => {
      aws.held = true;
      const leaving = new AbortController();
      const attempt = call({ ...asked, context: { ...asked.context, signal: leaving.signal } });
      await expect.poll(() => aws.lines.some((line) => line.includes('/out/')), soon).toBe(true);
      leaving.abort(new HandedOver());
      await expect(attempt).rejects.toBeInstanceOf(HandedOver);
      return kept.at(-1) as Json;
    };

    it('goes on with its job, whose input is still there', async () => {
      const resumeFrom = await stopped({ objects: { deleteInputs: true } });
      expect(aws.keys('in/acme/')).toHaveLength(1);
      aws.finish();
      const { output } = await call({ objects: { deleteInputs: true }, context: { resumeFrom } });
      expect(output).toMatchObject({ label: 'yes' });
      expect(aws.submitted).toHaveLength(1);
      expect(aws.lines.filter((line) => line.startsWith('PUT'))).toHaveLength(1);
      expect(aws.keys('in/')).toEqual([]);
    });

    it('submits anew, under another name, where its job has failed', async () => {
      const resumeFrom = await stopped();
      aws.finish('Received server error (500) from primary with message "out of memory"');
      aws.held = false;
      expect((await call({ context: { resumeFrom } })).output).toMatchObject({ label: 'yes' });
      const [first, second] = aws.submitted;
      expect(aws.submitted).toHaveLength(2);
      expect(second?.inferenceId).not.toBe(first?.inferenceId);
      expect(second?.input).not.toBe(first?.input);
    });

    it('submits anew where its job has come to nothing in twice the time that its attempt had', async () => {
      const resumeFrom = (await stopped({ context: { endsAt: performance.now() + 600_000 } })) as JsonObject;
      const job = resumeFrom.job as JsonObject;
      expect(Number(job.until) - Date.now()).toBeGreaterThan(600_000);
      expect(Number(job.until) - Date.now()).toBeLessThanOrEqual(1_260_000);
      aws.held = false;
      const late = { ...resumeFrom, job: { ...job, until: Date.now() - 1 } };
      expect((await call({ context: { resumeFrom: late } })).output).toMatchObject({ label: 'yes' });
      expect(aws.submitted).toHaveLength(2);
      expect(aws.submitted[1]?.input).not.toBe(aws.submitted[0]?.input);
    });

    it('submits the same input under the same name, where no answer to its submission came', async () => {
      await stopped();
      const [resumeFrom] = kept;
      aws.held = false;
      await call({ context: { resumeFrom: resumeFrom as Json } });
      const [first, second] = aws.submitted;
      expect([second?.input, second?.inferenceId]).toEqual([first?.input, first?.inferenceId]);
      expect(aws.keys('in/')).toHaveLength(1);
    });

    it('has nothing of another tenant’s, another endpoint’s, or of places that the pool does not name', async () => {
      const resumeFrom = (await stopped()) as JsonObject;
      aws.finish({ bytes: Buffer.from('[{"label":"no","score":1}]'), type: 'application/json' });
      aws.held = false;
      for (const [each, tenant] of [
        [resumeFrom, 'zeta'],
        [{ ...resumeFrom, endpoint: 'http://127.0.0.1:1' }, 'acme'],
        [{ ...resumeFrom, job: { output: 's3://elsewhere/out/1.out' } }, 'acme'],
        [{ ...resumeFrom, input: 's3://jobs/in/acme/../zeta/1' }, 'acme'],
      ] as const) {
        const before = aws.submitted.length;
        const { output } = await call({ context: { resumeFrom: each, tenant } });
        expect(output).toMatchObject({ label: 'yes' });
        expect(aws.submitted).toHaveLength(before + 1);
        expect(aws.submitted.at(-1)?.input).toMatch(new RegExp(`^in/${tenant}/[0-9a-f-]{36}$`));
      }
    });
  });

  it('writes every input under its tenant and a name of its own, and calls outside runs under none', async () => {
    const tenants = ['acme', 'acme', 'zeta', undefined];
    for (const tenant of tenants) await call({ context: { tenant } as Partial<CallContext> });
    const inputs = aws.submitted.map(({ input }) => input);
    expect(new Set(inputs).size).toBe(4);
    expect(inputs.map((input) => input.split('/')[1])).toEqual(['acme', 'acme', 'zeta', '_']);
  });

  describe('with deleteInputs', () => {
    const objects = { deleteInputs: true };

    it('deletes the input when its job has ended, with an output or a failure, and when it is refused', async () => {
      await call({ objects });
      expect(aws.keys('in/')).toEqual([]);
      await expect(call({ objects, input: { text: 'bad' } })).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
      expect(aws.keys('in/')).toEqual([]);
      await expect(call({ objects, model: 'other' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      expect(aws.keys('in/')).toEqual([]);
      expect(aws.keys('out/')).toHaveLength(1);
    });

    it.each([
      ['its job works', '/out/'],
      ['its submission is not answered', '/async-invocations'],
    ])('deletes the input of a call that is cancelled while %s, without waiting for it', async (_, part) => {
      aws.held = true;
      aws.refuses = ({ path }) => (path.endsWith(part) ? { never: true } : undefined);
      const leaving = new AbortController();
      const reason = new Error('enough');
      const answer = call({ objects, context: { signal: leaving.signal } });
      await expect.poll(() => aws.lines.some((line) => line.includes(part)), soon).toBe(true);
      expect(aws.keys('in/')).toHaveLength(1);
      leaving.abort(reason);
      await expect(answer).rejects.toBe(reason);
      await expect.poll(() => aws.keys('in/'), soon).toEqual([]);
    });

    it('writes nothing with keys that may not delete', async () => {
      aws.refuses = ({ method }) => (method === 'DELETE' ? s3Failure(403, 'AccessDenied', 'Access Denied') : undefined);
      await expect(call({ objects })).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
      expect([aws.keys('in/'), aws.submitted]).toEqual([[], []]);
    });

    it('an input that cannot be deleted any more fails no call', async () => {
      aws.refuses = ({ method }) =>
        method === 'DELETE' && aws.submitted.length > 0 ? s3Failure(500, 'InternalError', 'again') : undefined;
      expect((await call({ objects })).output).toMatchObject({ label: 'yes' });
      expect(aws.keys('in/')).toHaveLength(1);
    });
  });

  it.each<[string, string]>([
    ['Received client error (413) from primary with message "too large"', 'BACKEND_REJECTED'],
    ['Received client error (429) from primary with message "busy"', 'BACKEND_OVERLOADED'],
    ['Received server error (503) from primary with message "queue is full"', 'BACKEND_OVERLOADED'],
    ['Received server error (504) from primary with message "upstream"', 'BACKEND_TIMEOUT'],
    ['Received server error (0) from primary with message "Your invocation timed out"', 'BACKEND_TIMEOUT'],
    ['Received server error (500) from primary with message "CUDA out of memory"', 'BACKEND_ERROR'],
    ['', 'BACKEND_ERROR'],
  ])('a failure %j is %s, with its text', async (text, code) => {
    aws.held = true;
    const answer = call();
    const outcome = expect(answer).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`the job failed: ${text}`),
    });
    await expect.poll(() => aws.submitted.length, soon).toBe(1);
    aws.finish(text);
    await outcome;
  });

  it.each<[string, string, JsonObject]>([
    ['an output in another bucket', 's3://another/out', {}],
    ['an output beside those of the pool', 's3://jobs/outside', { outputs: ['s3://jobs/out'] }],
    ['an output above them', 's3://jobs/out/../in/zeta', { outputs: ['s3://jobs/out'] }],
    ['an output at an address of the web', 'https://169.254.169.254/latest', {}],
  ])('%s is not asked for', async (_, outputsAt, objects) => {
    aws.outputsAt = outputsAt;
    await expect(call({ objects })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('"outputs"'),
    });
    expect(aws.lines.filter((line) => line.startsWith('GET'))).toEqual([]);
  });

  it('outputs are bounded: one that is too large is not read', async () => {
    aws.refuses = ({ path }) =>
      path.includes('/out/') ? { headers: { 'content-length': String(65 * 1_024 * 1_024) }, parts: ['x'] } : undefined;
    await expect(call()).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('longer than 64 MiB'),
    });
  });

  it.each<[number, string, string, string]>([
    [403, 'AccessDenied', 'BACKEND_UNAUTHORIZED', 's3:ListBucket'],
    [400, 'ExpiredToken', 'BACKEND_UNAUTHORIZED', 'ExpiredToken'],
    [403, 'InvalidAccessKeyId', 'BACKEND_UNAUTHORIZED', 'InvalidAccessKeyId'],
    [400, 'AuthorizationHeaderMalformed', 'BACKEND_UNAUTHORIZED', 'AuthorizationHeaderMalformed'],
    [404, 'NoSuchBucket', 'BACKEND_REJECTED', 'NoSuchBucket'],
    [301, 'PermanentRedirect', 'BACKEND_REJECTED', 'PermanentRedirect'],
  ])('%i %s of S3 ends the attempt: %s', async (status, code, expected, text) => {
    aws.refuses = ({ method }) => (method === 'GET' ? s3Failure(status, code, 'as it is') : undefined);
    await expect(call()).rejects.toMatchObject({ code: expected, message: expect.stringContaining(text) });
    expect(aws.submitted).toHaveLength(1);
  });

  it.each<[number, string, string, object]>([
    [503, 'SlowDown', 'BACKEND_RATE_LIMITED', { retryAfterMs: 1_000 }],
    [503, 'ServiceUnavailable', 'BACKEND_UNAVAILABLE', { unsent: true }],
    [500, 'InternalError', 'BACKEND_ERROR', {}],
    [400, 'RequestTimeout', 'BACKEND_TIMEOUT', {}],
  ])('an input that S3 refuses by %i %s is %s: nothing is submitted', async (status, code, expected, details) => {
    aws.refuses = () => s3Failure(status, code, 'as it is');
    await expect(call()).rejects.toMatchObject({ code: expected, details: { endpoint: aws.url, ...details } });
    expect(aws.submitted).toEqual([]);
  });

  it('a question that S3 throttles is asked again', async () => {
    let questions = 0;
    aws.refuses = ({ path }) =>
      path.includes('/out/') && ++questions < 4 ? s3Failure(503, 'SlowDown', 'Reduce your request rate.') : undefined;
    expect((await call()).output).toMatchObject({ label: 'yes' });
    expect(questions).toBe(4);
  });

  it('a clock that is wrong is corrected by the refusals of both services', async () => {
    aws.now = () => Date.now() + 3_600_000;
    expect((await call()).output).toMatchObject({ label: 'yes' });
    expect(aws.lines.map((line) => line.split(' ')[0])).toEqual(['PUT', 'PUT', 'POST', 'POST', 'GET']);
  });

  it('an unknown endpoint is MODEL_NOT_FOUND', async () => {
    await expect(call({ model: 'other' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('texts beyond a batch are several jobs, told apart by a repeated attempt', async () => {
    const texts = Array.from({ length: 65 }, (_, i) => String(i));
    const asked = { kind: 'embed', with: {}, input: { texts } };
    await call(asked);
    expect(aws.submitted).toHaveLength(2);
    const resumeFrom = kept.at(-1) as Json;
    await call({ ...asked, context: { resumeFrom } });
    // The second batch's job was there already.
    expect(aws.submitted).toHaveLength(3);
  });

  it('names the buckets of Amazon S3 in hosts, but for names with dots', async () => {
    const urls = async (objects: JsonObject, region = 'eu-central-1') => {
      const seen: string[] = [];
      const own = httpConnector({
        transport: async (url) => {
          seen.push(url);
          throw new Error('seen');
        },
      });
      const options = { preset: 'sagemaker-async', values: { region }, objects };
      const backend = own.connect(aws.url, key, optionsOf(own, { kind: 'classify', options }, 'options'));
      const nothing = () => undefined;
      const context = { signal: AbortSignal.timeout(30_000), audio: silence, checkpoint: nothing, emit: nothing };
      await backend.invoke(asking('text'), { ...context, tenant: 'acme' }).catch(nothing);
      return seen.map((url) => url.replace(/[0-9a-f-]{36}$/, 'ID'));
    };
    expect(await urls({ inputs: 's3://jobs/a+b' })).toEqual([
      'https://jobs.s3.eu-central-1.amazonaws.com/a%2Bb/acme/ID',
    ]);
    expect(await urls({ inputs: 's3://jobs.of.acme/' }, 'us-east-1')).toEqual([
      'https://s3.us-east-1.amazonaws.com/jobs.of.acme/acme/ID',
    ]);
    expect(await urls({ inputs: 's3://jobs' }, 'cn-north-1')).toEqual([
      'https://jobs.s3.cn-north-1.amazonaws.com.cn/acme/ID',
    ]);
  });

  it.each<[string, JsonObject, string]>([
    ['no place of inputs', { objects: {} }, 'objects.inputs'],
    ['a place that is none', { objects: { inputs: 'https://jobs.s3.amazonaws.com' } }, 'objects.inputs'],
    ['a place above its bucket', { objects: { inputs: 's3://jobs/../x' } }, 'objects.inputs'],
    ['a key of another kind', { credential: 'bearer' }, 'credential'],
    ['a job besides', { job: { id: '$/body', poll: { path: '/' }, done: { at: '/body', exists: true } } }, 'job'],
    ['a stream', { response: { stream: { as: 'text' } } }, 'response.stream'],
    ['a canary', { canary: { input: {} } }, 'canary'],
    ['a bound that is no number', { headers: { a: { $from: '/call/leftS', most: '1' } } }, 'headers.a.most'],
  ])('%s is named when the options are read', (_, wrong, field) => {
    const right = { preset: 'sagemaker-async', values: { region: 'eu-central-1' }, objects: { inputs: 's3://jobs' } };
    const read = (options: JsonObject) => optionsOf(http, { kind: 'classify', options }, 'options');
    expect(() => read(right)).not.toThrow();
    expect(() => read({ ...right, ...wrong })).toThrow(`options.${field}: `);
  });
});
