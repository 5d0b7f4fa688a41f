import { describe, expect, it } from 'vitest';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import type { JsonObject } from '../../../../../pipelines/json.js';
import { s3Failure } from '../../../../support/sagemaker-jobs.js';
import { asyncJobs, soon } from './async-jobs.js';

describe('faults of sagemaker-async (a fixture)', async () => {
  const { aws, http, kept, call } = await asyncJobs();

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

  it.each([
    ['abort', 'BACKEND_UNAVAILABLE'],
    ['content_filter', 'BACKEND_REJECTED'],
  ])('a completion that ends with %s is %s', async (finish, code) => {
    aws.held = true;
    const answer = call({ kind: 'chat', with: {}, input: { prompt: 'p', history: [] } });
    const outcome = expect(answer).rejects.toMatchObject({ code, message: expect.stringContaining(finish) });
    await expect.poll(() => aws.submitted.length, soon).toBe(1);
    const made = { choices: [{ message: { content: 'Paris, of' }, finish_reason: finish }] };
    aws.finish({ bytes: Buffer.from(JSON.stringify(made)), type: 'application/json' });
    await outcome;
    expect(kept.at(-1)).toBeNull();
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
