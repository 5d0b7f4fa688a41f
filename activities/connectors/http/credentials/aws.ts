import { z } from 'zod';
import type { Authorizer } from './authorizer.js';
import { type AwsScope, signAwsV4 } from './aws-v4.js';
import { keyOf } from './key-json.js';

const part = z.string().regex(/^[\x21-\x7e]{1,8192}$/, 'must be printable ASCII without spaces');
const keys = z.strictObject({ accessKeyId: part, secretAccessKey: part, sessionToken: part.optional() });

/** Headers that are signed; others may change on the way. The trace’s header does. */
const signs = (name: string): boolean =>
  name === 'content-type' || (name.startsWith('x-amz') && name !== 'x-amzn-trace-id');

/** Refusals of a clock that is wrong. */
const SKEWED = ['InvalidSignatureException', 'RequestTimeTooSkewed', 'RequestExpired', 'SignatureDoesNotMatch'];
/** AWS takes signatures that are this old, in milliseconds. */
const MOST_SKEW = 4 * 60_000;

/** Signs requests by AWS Signature Version 4. A refusal whose date is far from this machine's corrects the clock. */
export function awsAuthorizer(key: string, scope: AwsScope, now: () => number = Date.now): Authorizer {
  const what = '{ "accessKeyId", "secretAccessKey", "sessionToken" } of AWS, as { "env": { "accessKeyId": … } } gives';
  const own = keyOf(key, keys, what);
  const secrets = [own.secretAccessKey, ...(own.sessionToken === undefined ? [] : [own.sessionToken])];
  let offset = 0;
  return {
    headers: async (request) => {
      const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => signs(name)));
      return signAwsV4({ ...request, headers }, own, scope, now() + offset);
    },
    again({ status, headers }) {
      const date = Date.parse(headers.get('date') ?? '');
      const type = headers.get('x-amzn-errortype') ?? '';
      // S3 names a refusal in its body alone.
      const refused = scope.service === 's3' ? status === 403 : SKEWED.some((each) => type.startsWith(each));
      if (!refused || Number.isNaN(date)) return false;
      if (Math.abs(date - now() - offset) < MOST_SKEW) return false;
      offset = date - now();
      return true;
    },
    secrets: () => secrets,
  };
}
