import { createHash } from 'node:crypto';
import { afterAll, beforeEach } from 'vitest';
import type { Call, CallContext } from '../../../../../activities/connectors/connector.js';
import { httpConnector } from '../../../../../activities/connectors/http/index.js';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import type { Json, JsonObject } from '../../../../../pipelines/json.js';
import { asking, silence } from '../../../../support/preset-calls.js';
import { SageMakerJobs, type Submission } from '../../../../support/sagemaker-jobs.js';
import { AWS_KEYS } from './sagemaker-fixture.js';

/** A call, and what differs in the pool that it is made through. */
export interface Asked extends Partial<Call> {
  /** Members of the options, and of its `objects`. */
  readonly options?: JsonObject;
  readonly objects?: JsonObject;
  readonly context?: Partial<CallContext>;
}

export const key = JSON.stringify(AWS_KEYS);
/** For what happens at once on a machine that does not stand still. */
export const soon = { timeout: 30_000 };

/** The preset `sagemaker-async` at a fixture of both services, for the tests of a `describe`. */
export async function asyncJobs() {
  const aws = await new SageMakerJobs().start();
  afterAll(() => aws.stop());
  const kept: Json[] = [];
  beforeEach(() => {
    aws.clear();
    kept.length = 0;
  });
  const http = httpConnector();
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
        signal: AbortSignal.timeout(110_000),
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

  return { aws, http, kept, written, artifacts, painting, submission, call };
}
